"""Make the sample anew from the whole file of homes.

    python -m wattstorm.sample.make_sample DIRECTORY_WITH_sgsc_households_30min.parquet [INTO]

The same input gives the same rows: nothing is drawn at random.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

HOMES = 20
ZONE = "Australia/Sydney"
FIRST_DAY, END_DAY = date(2013, 3, 1), date(2013, 7, 1)  # the end day is left out
LEAST_COVERAGE = 0.75
LEAST_MEAN_KWH = 0.05  # leaves out homes that stand empty
ID_BASE = 21_000_000_000_000

TARIFFS = (  # name, contracted power in VA; in rising order of power
    ("base_3", 3_000),
    ("base_6", 6_000),
    ("offpeak_6", 6_000),
    ("weekend_6", 6_000),
    ("base_9", 9_000),
    ("offpeak_9", 9_000),
    ("tempo_9", 9_000),
    ("weekend_9", 9_000),
    ("base_12", 12_000),
    ("offpeak_12", 12_000),
    ("tempo_12", 12_000),
    ("weekend_12", 12_000),
)
REGIONS = ("north", "east", "south", "west")


def choose_homes(source: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of the chosen homes and months, and per home its rows, coverage and peak.

    Homes with gaps come first, all of them, for gaps are what a demo must show; the
    others are spread evenly over those without.

    source: meter_id, ts_utc, kwh as in the shared file.
    """
    first, end = (
        datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
        for d in (FIRST_DAY, END_DAY)
    )
    slots = int((end - first).total_seconds()) // 1800
    rows = source.with_columns(pl.col("meter_id").cast(pl.String)).filter(
        (pl.col("ts_utc") >= first) & (pl.col("ts_utc") < end)
    )
    homes = (
        rows.group_by("meter_id")
        .agg(rows=pl.len(), mean=pl.col("kwh").mean(), peak=pl.col("kwh").max())
        .with_columns(coverage=pl.col("rows") / slots)
        .filter((pl.col("coverage") >= LEAST_COVERAGE) & (pl.col("mean") >= LEAST_MEAN_KWH))
        .sort("meter_id")
    )
    gappy, whole = (homes.filter(pl.col("coverage") < 1), homes.filter(pl.col("coverage") == 1))
    others = HOMES - gappy.height
    spread = whole[[i * whole.height // others for i in range(others)]]
    chosen = pl.concat([gappy, spread]).sort("meter_id")
    return rows.join(chosen.select("meter_id"), on="meter_id"), chosen


def external_id() -> pl.Expr:
    """21000000000000 plus the digits of the source's id: int64, 14 digits."""
    digits = pl.col("meter_id").str.extract(r"^SGSC(\d+)$").cast(pl.Int64, strict=True)
    return digits + ID_BASE


def make_register(chosen: pl.DataFrame) -> pl.DataFrame:
    """Tariffs go to the homes in order of peak, regions in turn; neither was measured."""
    by_peak = chosen.sort("peak", "meter_id").with_columns(external_id=external_id())
    tariffs = [TARIFFS[i * len(TARIFFS) // HOMES] for i in range(HOMES)]
    return pl.DataFrame(
        {
            "external_id": by_peak["external_id"],
            "tariff": [name for name, _ in tariffs],
            "region": [REGIONS[i % len(REGIONS)] for i in range(HOMES)],
            "contracted_power_va": [power for _, power in tariffs],
            "producer": [False] * HOMES,
            "valid_from": [date(2012, 1, 1)] * HOMES,
        }
    ).sort("external_id")


def main(argv: list[str]) -> int:
    if len(argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    into = Path(argv[2]) if len(argv) == 3 else Path(__file__).resolve().parent
    source = pl.read_parquet(Path(argv[1]) / "sgsc_households_30min.parquet")
    rows, chosen = choose_homes(source)
    readings = rows.select(external_id().alias("meter"), "ts_utc", "kwh").sort("ts_utc", "meter")
    register = make_register(chosen)
    readings.write_parquet(into / "sgsc_20_homes.parquet", compression="zstd", compression_level=19)
    register.write_csv(into / "register.csv")
    bound = pl.col("contracted_power_va") * 0.5 / 1000 * 1.2
    above = readings.join(register, left_on="meter", right_on="external_id").filter(
        pl.col("kwh") > bound
    )
    print(
        f"{readings.height} readings of {readings['meter'].n_unique()} homes,"
        f" of which {chosen.filter(pl.col('coverage') < 1).height} have gaps,"
        f" {above.height} above power x slot x 1.2"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
