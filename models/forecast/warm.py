"""A forecaster that has seen its training days: filters, weights and intervals as they ended.

A cold one needs about a month of days until its filters and intervals are what they were in the
backtest. The state goes into the artefact, the great arrays with half the digits: it is where a
stream starts, not a snapshot to go on from to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from models.forecast.backtest import WARM, feed
from models.forecast.calendar import Days, Floats
from models.forecast.forecaster import Forecaster
from models.forecast.forecaster_state import restore, to_arrays
from models.forecast.model_set import ModelSet

DAYS: Final = 400
"""Last training days that are played: a year, so that every season was seen."""
HALVES: Final = ("filters.p", "record.h")
"""Arrays that are kept as float32."""


def warmed(
    models: ModelSet, days: Days, values: Mapping[str, Floats], load: Floats
) -> dict[str, Any]:
    """State after the training days; days in a row, values and load float64[days, S]."""
    forecaster, count = Forecaster(models), len(days)
    for day in range(max(WARM, count - DAYS), count):
        feed(forecaster, day, load)
        forecaster.forecast(day, {k: v[day] for k, v in values.items()})
    feed(forecaster, count, np.vstack([load, np.full_like(load[:1], np.nan)]))
    first = int(days[0].astype(np.int64))
    forecaster.days = {first + day: record for day, record in forecaster.days.items()}
    state = to_arrays(forecaster)
    return {k: v.astype(np.float32) if k in HALVES else v for k, v in state.items()}


def begun(models: ModelSet) -> Forecaster:
    """A forecaster as it stood at the end of training; a cold one if the set has no such state.
    SnapshotError if the state is another model's."""
    forecaster = Forecaster(models)
    if models.warm:
        wide = {k: v.astype(np.float64) if k in HALVES else v for k, v in models.warm.items()}
        restore(forecaster, wide)
    return forecaster
