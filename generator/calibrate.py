"""Calibration after the fit: what the engines really draw, against the homes.

1. Each row's ranks are counted over a simulation and its quantile function is warped, so that
   a home's own distribution is exact whatever the choice among blocks prefers.
2. One factor for each slot and day type makes the mean curve of new homes the training mean.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from generator import kernels
from generator.habits import kind_of, season_of
from generator.homes import Homes
from generator.model import ENGINES, Model
from generator.ranks import KNOTS
from generator.tables import days_of, people, tables_of

Floats = npt.NDArray[np.floating]

_SEED: Final = 0xCA11B
_VALUES: Final = 60_000
"""Values a row to count ranks by: a marginal to about half a percent."""
_CURVES: Final = 400_000
_BINS: Final = 2048


def calibrate(model: Model, homes: Homes) -> Model:
    """The model with its quantiles warped and its factors set, for both engines."""
    days = _typical_days(homes)
    quantiles = model.quantiles.copy()
    for engine in range(len(ENGINES)):
        counts = _count(model, days, engine)
        for row, count in enumerate(counts):
            if count.sum():
                drawn = np.r_[0.0, np.cumsum(count) / count.sum()]
                true = np.interp(KNOTS, np.linspace(0, 1, _BINS + 1), drawn)
                quantiles[engine, row] = np.interp(true, KNOTS, model.quantiles[engine, row])
    model = replace(model, quantiles=quantiles)
    factors = np.array([_factors(model, homes, e) for e in range(len(ENGINES))])
    return replace(model, factors=factors.astype(np.float32))


def _typical_days(homes: Homes) -> npt.NDArray[np.int64]:
    """Some days of the training period, spread over its seasons and day types."""
    step = max(1, len(homes.days) // 112)
    step += step % 7 == 0
    return homes.days[::step].astype(np.int64)


def _count(model: Model, days: npt.NDArray[np.int64], engine: int) -> npt.NDArray[np.int64]:
    """int64[rows, _BINS], ranks drawn in each row."""
    rows = model.quantiles.shape[1]
    counts = np.zeros((rows, _BINS), np.int64)
    periods = max(len(set(row)) for row in model.rows_of.tolist())
    times = max(1, round(_VALUES * periods / (len(days) * model.slots)))
    homes = np.tile(np.arange(model.homes, dtype=np.int32), times)
    meters = np.arange(homes.size, dtype=np.int64)
    kernels.count_ranks(
        _SEED, meters, homes, days_of(model, days), engine == 1, tables_of(model), 5, counts
    )
    return counts


def _factors(model: Model, homes: Homes, engine: int) -> npt.NDArray[np.float64]:
    """float64[2, slots]: training mean over drawn mean, by day type, of new homes."""
    days = homes.days.astype(np.int64)
    real, weight = mean_curves(homes)
    drawn = np.zeros((2, model.slots))
    meters = np.arange(max(1, _CURVES // len(days)), dtype=np.int64)
    who = people(model, _SEED, meters)
    kind = kind_of(days)
    wh = np.empty((meters.size, len(days), model.slots), np.uint16)
    kernels.draw_curves(
        _SEED, meters, np.argsort(who.homes, kind="stable"), *who, days_of(model, days),
        engine == 1, tables_of(model), wh,
    )  # fmt: skip
    for k in (0, 1):
        if (kind == k).any():
            drawn[k] = (wh[:, kind == k].mean(axis=0) * weight[kind == k, None]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where((drawn > 0) & (real > 0), real / drawn, 1.0)
    return np.clip(factor, 0.5, 2.0)


def mean_curves(homes: Homes) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(float64[2, slots] Wh by day type, float64[days] weight of each day in its type).

    Every home counts alike: its own mean of each season, averaged over the days present. So that a
    long history weighs no more than a short one.
    """
    days, kind = homes.days, kind_of(homes.days)
    season = season_of(days)
    present = homes.present()
    real = np.zeros((2, homes.wh.shape[2]))
    weight = np.zeros(len(days))
    for k in (0, 1):
        of = kind == k
        for s in range(4):
            here = of & (season == s)
            known = present[:, here].sum(axis=1)
            if not known.any():
                continue
            share = here.sum() / of.sum()
            means = np.array(
                [np.nanmean(homes.wh[h, here], axis=0) for h in np.flatnonzero(known)]
            )
            real[k] += share * means.mean(axis=0)
            weight[here] = 1.0 / of.sum()
    return real, weight
