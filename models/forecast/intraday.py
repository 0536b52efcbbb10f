"""The rest of a day that has begun: what was missed so far says what will be missed later.

Errors of the slots to come are regressed on the mean error of the last hours, over the whole days
of scaled errors that the intervals keep; with few days, or where the two have nothing to do with
each other, the forecast stays what it was. The interval narrows by what the regression explains.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.intervals import Intervals

HOURS = 3
"""The last hours whose errors are looked at."""
DOUBT = 10.0
"""Days that count as if errors had nothing to do with each other."""


class Rest(NamedTuple):
    """point: float64[S], quantiles: float64[L, S], paths: float64[n, S]; of slots that have passed
    they are of no meaning."""

    point: Floats
    quantiles: Floats
    paths: Floats


def rest_of_day(
    point: Floats, scale: Floats, load: Floats, intervals: Intervals, place: int
) -> Rest:
    """The day's forecast float64[S] and its deviations, given its load so far, float64[S], NaN
    unknown, before the slot `place`."""
    slots = len(point)
    recent = slice(max(0, place - HOURS * slots // 24), place)
    seen = np.isfinite(load[recent])
    past = intervals.paths[np.isfinite(intervals.paths).all(axis=1)]
    beta, explained = np.zeros(slots), np.zeros(slots)
    before, now = np.zeros(len(past)), 0.0
    if seen.any() and len(past):
        now = float(((load - point) / scale)[recent][seen].mean())
        before = past[:, recent][:, seen].mean(axis=1)
        own, both, other = before @ before, before @ past, (past**2).sum(axis=0)
        trust = len(past) / (len(past) + DOUBT)
        beta = trust * both / max(own, 1e-12)
        explained = trust * both**2 / np.maximum(own * other, 1e-12)
    moved = point + beta * now * scale
    narrow = scale * np.sqrt(np.maximum(1 - explained, 0.05))
    quantiles = np.sort(moved + intervals.offsets * narrow, axis=0)
    return Rest(moved, quantiles, moved + (past - beta * before[:, None]) * scale)
