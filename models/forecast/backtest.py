"""How good a curve's forecasts would have been: fitted once, then day after day as in the stream.

On each day the forecaster learns what had become known since the last issue time, then forecasts.
Nothing of a day reaches its own forecast but its weather, which the caller says is realised or
forecast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.forecaster import Forecaster

WARM = 8
"""Days before the first forecast: what a week's lag needs."""


@dataclass(frozen=True)
class Played:
    """point: float64[days, S], NaN before WARM. quantiles: float64[L, days, S]. experts:
    float64[K, days, S]. paths: one float64[n, S] for each day."""

    point: Floats
    quantiles: Floats
    experts: Floats
    paths: list[Floats]


def play(forecaster: Forecaster, values: Mapping[str, Floats], load: Floats) -> Played:
    """Forecast each day of float64[days, slots], learning in between; days in a row."""
    days, slots = load.shape
    levels, members = forecaster.intervals.offsets.shape[0], len(forecaster.members)
    point = np.full((days, slots), np.nan)
    quantiles = np.full((levels, days, slots), np.nan)
    experts = np.full((members, days, slots), np.nan)
    paths: list[Floats] = [np.empty((0, slots))] * days
    for day in range(WARM, days):
        feed(forecaster, day, load)
        said = forecaster.forecast(day, {k: v[day] for k, v in values.items()})
        point[day], quantiles[:, day], experts[:, day] = said.point, said.quantiles, said.experts
        paths[day] = said.paths
    return Played(point, quantiles, experts, paths)


def feed(forecaster: Forecaster, day: int, load: Floats) -> None:
    """What is known when `day` is forecast and was not the day before: the rest of the day before
    the eve, then the eve up to the issue time."""
    known = forecaster.models.known
    late, early = np.full(load.shape[1], np.nan), np.full(load.shape[1], np.nan)
    late[known:], early[:known] = load[day - 2, known:], load[day - 1, :known]
    forecaster.learn(day - 2, late)
    forecaster.learn(day - 1, early)
