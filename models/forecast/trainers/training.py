"""A curve's models fitted: one call for all families, by the trainer that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from models.forecast.calendar import Calendar, Floats
from models.forecast.formula import GAMS, RIDGES, STANDARD, Formula, Member
from models.forecast.model_set import ModelSet, Static
from models.forecast.trainers import ridge
from models.forecast.trainers.compiling import Fits, train
from wattstorm.errors import UsageError

TRAINERS = ("mgcv", "pygam", "statsmodels")


def trainer_named(name: str) -> Fits:
    """The trainer of additive models; what it needs is imported now."""
    if name == "mgcv":
        from models.forecast.trainers.mgcv import Trainer as Mgcv

        return Mgcv()
    if name == "pygam":
        from models.forecast.trainers.pygam import Trainer as Pygam

        return Pygam()
    if name == "statsmodels":
        from models.forecast.trainers.statsmodels import Trainer as Statsmodels

        return Statsmodels()
    raise UsageError(f"trainer {name!r}", f"one of {', '.join(TRAINERS)}")


def train_set(
    values: Mapping[str, Floats],
    load: Floats,
    calendar: Calendar,
    known: int,
    trainer: Fits,
    members: Sequence[Member] = STANDARD,
    tell: Callable[[str, int], Any] = lambda family, slot: None,
) -> ModelSet:
    """Fit the families that `members` need on days float64[days, slots] of covariates and load.

    Terms over covariates that are not given (no cloud, no weather at all) are left out; a family
    that would then be the same as another is not fitted.
    """
    families: dict[str, Static] = {}
    references: dict[str, dict[str, Floats]] = {}
    fitted: list[tuple[Any, ...]] = []
    for family in dict.fromkeys(m.family for m in members):
        said = lambda slot, name=family: tell(name, slot)  # noqa: E731
        if family in GAMS:
            formula: Formula = tuple(t for t in GAMS[family] if t.x in values)
            if formula in fitted:
                continue
            fitted.append(formula)
            families[family], references[family] = train(trainer, formula, values, load, said)
        elif family in RIDGES:
            names = tuple(n for n in RIDGES[family] if n in values)
            if names in fitted:
                continue
            fitted.append(names)
            seed = 1 + sorted(RIDGES).index(family)
            families[family], references[family] = ridge.train(names, values, load, seed, said)
    slots = load.shape[1]
    present = tuple(members)
    return ModelSet(slots, known, calendar, families, present, {}, references)


def training_days(values: Mapping[str, Floats], days: slice) -> dict[str, Floats]:
    """The covariates of these days."""
    return {k: np.asarray(v[days]) for k, v in values.items()}
