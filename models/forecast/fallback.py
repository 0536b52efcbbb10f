"""A curve without a model: the last day of its kind, with an interval that learns all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Calendar, Floats
from models.forecast.formula import Member
from models.forecast.model_set import ModelSet

NAIVE: Final = "naive"


@dataclass(frozen=True)
class Blank:
    """A family that says nothing, of S slots: it only tells how far the naive forecast errs at
    first. sd: float64[S]."""

    sd: Floats

    @property
    def covariates(self) -> tuple[str, ...]:
        return ()

    @property
    def constant(self) -> Floats:
        return np.zeros(len(self.sd))

    @property
    def mean(self) -> Floats:
        return np.zeros((len(self.sd), 1))

    @property
    def deviation(self) -> Floats:
        return np.ones((len(self.sd), 1))

    def gather(self, values: Mapping[str, Floats]) -> Floats:
        return np.empty((len(self.sd), 0))

    def effects(self, x: Floats) -> Floats:
        return np.zeros((len(self.sd), 1))

    def predict(self, x: Floats) -> Floats:
        return self.constant

    def clamped(self, x: Floats) -> npt.NDArray[np.bool_]:
        return np.zeros((len(self.sd), 0), bool)


def naive_set(sd: Floats, calendar: Calendar, known: int) -> ModelSet:
    """What forecasts a curve that nobody trained a model for. sd: float64[S], of its errors."""
    return ModelSet(len(sd), known, calendar, {"blank": Blank(sd)}, (Member(NAIVE),))
