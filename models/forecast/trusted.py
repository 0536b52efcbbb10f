"""Readings that a model may learn from: what no load of this curve can be counts as not known.

Causal: a reading is judged by the days before it alone, so a stream and a backtest agree.
"""

from __future__ import annotations

import numpy as np

from models.forecast.calendar import Flags, Floats

DAYS = 28
"""Days before that say what is possible."""
LOW, HIGH = 0.4, 2.0
"""Of the 2nd percentile and the 98th: below and above is no load of this curve."""
FROZEN_HOURS = 6
"""A value that stays the same to the last digit for so long is a meter that hangs."""


def trusted(load: Floats) -> Floats:
    """float64[days, slots] with NaN where the reading is not believed."""
    out = np.where(frozen(load), np.nan, load)
    for day in range(1, len(out)):
        before = out[max(0, day - DAYS) : day]
        before = before[np.isfinite(before)]
        if len(before) >= out.shape[1]:
            least, most = np.percentile(before, [2, 98])
            with np.errstate(invalid="ignore"):
                wild = (out[day] < LOW * least) | (out[day] > HIGH * most)
            # all day beyond reason is news, not a fault: an outage, or a curve that was extended
            out[day][wild] = np.nan if not wild.all() else out[day][wild]
    return out


def frozen(load: Floats) -> Flags:
    """bool[days, slots]: the same value as for FROZEN_HOURS before, or longer."""
    flat = load.ravel()
    same = np.concatenate([[False], flat[1:] == flat[:-1]])
    index = np.arange(len(flat))
    since = index - np.maximum.accumulate(np.where(same, 0, index))
    need = max(2, FROZEN_HOURS * load.shape[1] // 24)
    return np.asarray((since >= need).reshape(load.shape))
