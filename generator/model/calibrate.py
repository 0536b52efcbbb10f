"""Calibration after the fit: what the engines really draw, against the homes.

1. Each row's ranks are counted over a simulation and its quantile function is warped, so that
   a home's own distribution is exact whatever the choice among blocks prefers.
2. One factor for each slot and day type makes the mean curve of new homes the training mean.
3. Each row is scaled by what the factors did to its mean, so that a home's energy is exact;
   2 and 3 are done twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from generator.model import kernels
from generator.model.artefact import ENGINES, Model
from generator.model.habits import kind_of, period_of, years_of
from generator.model.homes import Homes
from generator.model.ranks import KNOTS
from generator.model.tables import days_of, people, tables_of

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
        counts, _ = _count(model, days, engine)
        for row, count in enumerate(counts):
            if count.sum():
                drawn = np.r_[0.0, np.cumsum(count) / count.sum()]
                true = np.interp(KNOTS, np.linspace(0, 1, _BINS + 1), drawn)
                quantiles[engine, row] = np.interp(true, KNOTS, model.quantiles[engine, row])
    model = replace(model, quantiles=quantiles)
    for _ in range(2):
        ones = np.ones_like
        model = replace(model, factors=ones(model.factors), level=ones(model.level))
        found = [_factors(model, homes, e) for e in range(len(ENGINES))]
        factors = np.array([f for f, _ in found]).astype(np.float32)
        level = np.array([n for _, n in found], np.float32)
        model = replace(model, factors=factors)
        model = replace(model, quantiles=_scaled(model, quantiles, days))
    return replace(model, level=level)


def _scaled(
    model: Model, quantiles: npt.NDArray[np.float32], days: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Quantiles whose means the model's factors leave as they were."""
    out = quantiles.copy()
    for engine in range(len(ENGINES)):
        _, sums = _count(replace(model, quantiles=quantiles), days, engine)
        ratio = np.where(sums[:, 0] > 0, sums[:, 1] / np.maximum(sums[:, 0], 1e-9), 1.0)
        out[engine] *= ratio[:, None]
    return out


def _typical_days(homes: Homes) -> npt.NDArray[np.int64]:
    """Some days of the training period, spread over its seasons and day types."""
    step = max(1, len(homes.days) // 112)
    step += step % 7 == 0
    return homes.days[::step].astype(np.int64)


def _count(
    model: Model, days: npt.NDArray[np.int64], engine: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """(int64[rows, _BINS] ranks drawn in each row, float64[rows, 2] Wh, see `count_ranks`)."""
    rows = model.quantiles.shape[1]
    counts, sums = np.zeros((rows, _BINS), np.int64), np.zeros((rows, 2))
    periods = max(len(set(row)) for row in model.rows_of.tolist())
    times = max(1, round(_VALUES * periods / (len(days) * model.slots)))
    homes = np.tile(np.arange(model.homes, dtype=np.int32), times)
    meters = np.arange(homes.size, dtype=np.int64)
    kernels.count_ranks(
        _SEED,
        meters,
        homes,
        days_of(model, days),
        engine == 1,
        tables_of(model),
        kernels.scratch_of(model.slots),
        counts,
        sums,
    )
    return counts, sums


def _factors(model: Model, homes: Homes, engine: int) -> tuple[npt.NDArray[np.float64], float]:
    """(float64[2, slots], level): training mean over drawn mean of new homes.

    The factors are of mean 1 and act on every home; the level is what is left, and acts on
    new homes only: blends need not have the mean of what they are blended of.
    """
    days = homes.days.astype(np.int64)
    real, drawn = mean_curves(model, homes), np.ones((2, model.slots))
    meters = np.arange(max(1, _CURVES // len(days)), dtype=np.int64)
    who = people(model, _SEED, meters, engine)
    kind = kind_of(days)
    wh = np.empty((meters.size, len(days), model.slots), np.uint16)
    kernels.draw_curves(
        _SEED,
        meters,
        np.argsort(who.homes, kind="stable"),
        *who,
        days_of(model, days),
        engine == 1,
        tables_of(model),
        kernels.scratch_of(model.slots),
        wh,
    )
    for k in (0, 1):
        if (kind == k).any():
            drawn[k] = by_home(wh[:, kind == k].mean(axis=1), who.homes)
    factor = np.where((drawn > 0) & (real > 0), real / np.maximum(drawn, 1e-6), 1.0)
    factor = np.clip(factor, 0.5, 2.0)
    share = np.array([[(kind == 0).mean()], [(kind == 1).mean()]])
    level = float((factor * drawn * share).sum() / max(float((drawn * share).sum()), 1e-6))
    return factor / level, level


def by_home(curves: Floats, homes: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """float64[slots]: mean of curves [meters, slots] in which each home they are of counts alike.

    Which homes a few thousand meters happen to be is the larger part of the noise of their mean.
    """
    known, place = np.unique(homes, return_inverse=True)
    total = np.zeros((known.size, curves.shape[1]))
    np.add.at(total, place, curves)
    return np.asarray((total / np.bincount(place)[:, None]).mean(axis=0))


def mean_curves(model: Model, homes: Homes) -> npt.NDArray[np.float64]:
    """float64[2, slots], Wh by day type: the mean over homes, each over the training period.

    Every home counts alike, however long it was seen: days that it lacks are like
    those of the row that the model has for them.
    """
    days, kind, slots = homes.days, kind_of(homes.days), model.slots
    row = model.rows_of[:, period_of(days, *years_of(days))]
    total = np.zeros((model.quantiles.shape[1], 2, slots))
    count = np.zeros((model.quantiles.shape[1], 2, 1))
    present = homes.present()
    for h in range(len(row)):
        own = np.flatnonzero(present[h])
        np.add.at(total, (row[h, own], kind[own]), homes.wh[h, own])
        np.add.at(count, (row[h, own], kind[own]), 1)
    either = total.sum(axis=1, keepdims=True) / np.maximum(count.sum(axis=1, keepdims=True), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), either)
    return np.array(
        [
            mean[row[:, kind == k], k].mean(axis=(0, 1)) if (kind == k).any() else np.zeros(slots)
            for k in (0, 1)
        ]
    )
