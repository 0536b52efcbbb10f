"""Makes victoria.parquet: `python tests/models/forecast/make_sample.py vic_elec_30min.parquet`.

Hours of Victoria, Australia, 2012 to March 2014, means of two half-hours: demand in MW, temperature
in °C. Source: tsibbledata (tidyverts), `vic_elec`, GPL-3; demand by AEMO, temperature by the
Bureau of Meteorology. Rows are 24 a local day: the source's labels are an hour off in winter.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

DAYS = 821

if __name__ == "__main__":
    frame = pl.read_parquet(sys.argv[1]).head(DAYS * 48)
    hours = {k: frame[k].to_numpy().reshape(-1, 2).mean(axis=1) for k in ("demand_mw", "temp_c")}
    pl.DataFrame(
        {
            "demand_mw": np.rint(hours["demand_mw"]).astype(np.uint16),
            "temp_tenths": np.rint(hours["temp_c"] * 10).astype(np.int16),
        }
    ).write_parquet(Path(__file__).with_name("victoria.parquet"), compression="zstd")
