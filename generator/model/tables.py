"""From a model to what the kernels read: tables, days, and who the meters are."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from generator.model import chain, donors, kernels, states
from generator.model.artefact import SEASONS, Model
from generator.model.driver import Driver
from generator.model.habits import kind_of, period_of
from generator.model.ranks import KNOTS

SPREAD: Final = 0.12
"""Sd of the logarithm of a new home's scale."""
MOST: Final = 0.5
"""Largest weight of a new home's partner: the home it moves like is always the larger part."""


class People(NamedTuple):
    """Who meters are: home and partner int32[n], weight of the partner and scale float64[n],
    and years int32[n] by which their habits are ahead of the calendar's period."""

    homes: npt.NDArray[np.int32]
    partners: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64]
    scales: npt.NDArray[np.float64]
    years: npt.NDArray[np.int32]


def people(model: Model, seed: int, meters: npt.NDArray[np.int64], engine: int = 0) -> People:
    """New homes: blends of a home with one of those most alike, scaled."""
    n = len(meters)
    out = People(
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n),
        np.empty(n),
        np.empty(n, np.int32),
    )
    years = model.rows_of.shape[1] // SEASONS
    kernels.draw_people(seed, meters, model.near, years, SPREAD, MOST, *out)
    out.scales[:] *= float(model.level[engine])
    return out


def twins(model: Model, meters: npt.NDArray[np.int64]) -> People:
    """The training homes themselves: meter m is home m modulo their number."""
    homes = (meters % model.homes).astype(np.int32)
    return People(
        homes, homes, np.zeros(len(homes)), np.ones(len(homes)), np.zeros(len(homes), np.int32)
    )


def training_driver(model: Model) -> dict[int, float]:
    """Day number → common driver found in the training data."""
    return {int(day): float(value) for day, value in model.card.get("driver", {}).items()}


def days_of(
    model: Model, days: npt.NDArray[np.int64], driver: Driver | None = None
) -> kernels.Days:
    """Days with what the calendar and the common driver say of them and of those around."""
    numbers = np.asarray(days, np.int64)
    chosen = driver or Driver(known=training_driver(model))
    around = numbers[:, None] + np.array([-1, 0, 1])
    values = chosen.values(around).reshape(-1, 3)
    years = model.rows_of.shape[1] // SEASONS
    period = period_of(numbers, int(model.card.get("first_year", 0)), years)
    return kernels.Days(numbers, kind_of(numbers), period, values)


def energy_scale(model: Model) -> npt.NDArray[np.int32]:
    """int32[256]: what a rank of 8 bits counts where blocks meet, from 0 to 510.

    Half rank, half the energy that homes of this model have at it, on average: where loads are high
    a small step in rank is a large one in Wh, and ramps are made of Wh.
    """
    at = (np.arange(256) + 0.5) / 256
    each = model.quantiles[0].astype(np.float64)
    top = np.maximum(each[:, np.searchsorted(KNOTS, 0.99)], 1.0)
    usual = np.interp(at, KNOTS, np.median(each / top[:, None], axis=0))
    return np.asarray(np.round(np.arange(256) + 255 * np.minimum(usual, 1.5)), np.int32)


def tables_of(model: Model) -> kernels.Tables:
    """The model's arrays as the kernels read them (float64, lists of lenders joined)."""
    bounds, marks, number = donors.lists(model.block_list, model.marks, model.near, model.donors)
    wide = np.float64
    scale = energy_scale(model)
    columns = np.vstack([marks.T.astype(np.int32), (marks[:, 0].astype(np.int32) + marks[:, 1])])
    columns[2], columns[4] = scale[columns[2]], scale[columns[4]]
    return kernels.Tables(
        rows_of=model.rows_of,
        quantiles=model.quantiles.astype(wide),
        targets=model.targets.reshape(*model.targets.shape[:2], -1).astype(wide),
        off=model.off.astype(wide),
        mixing=np.ascontiguousarray(model.mixing.astype(wide).transpose(0, 2, 1)),
        weigh=states.weights(model.shares),
        driven=model.driven.astype(wide),
        seam=np.array([model.seam[0], np.sqrt(model.seam[1])], wide),
        factors=model.factors.astype(wide),
        blocks=model.blocks,
        bounds=bounds,
        marks=columns,
        scale=scale,
        number=number,
        habit=model.habit.astype(wide) / 127,
        move_class=model.move_class,
        moves=chain.alias(model.chain_odds),
    )
