"""The models of one curve, fitted: families, calendar and members; what an artefact holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Calendar, Floats
from models.forecast.formula import STANDARD, Member


class Static(Protocol):
    """A fitted family: load = constant + the sum of its effects, per slot."""

    @property
    def covariates(self) -> tuple[str, ...]: ...
    @property
    def constant(self) -> Floats: ...
    @property
    def mean(self) -> Floats: ...
    @property
    def deviation(self) -> Floats: ...
    @property
    def sd(self) -> Floats: ...
    def gather(self, values: Mapping[str, Floats]) -> Floats: ...
    def effects(self, x: Floats) -> Floats: ...
    def predict(self, x: Floats) -> Floats: ...
    def clamped(self, x: Floats) -> npt.NDArray[np.bool_]: ...


@dataclass(frozen=True)
class ModelSet:
    """slots: of a day. known: slots of the eve known at issue. families: by name.

    card: what is told of it, JSON. references: per family "x" float64[S, n, C] and "expected"
    float64[S, n], what the trainer itself said. warm: a forecaster's state at the end of training,
    see `warm.py`; empty: it starts cold.
    """

    slots: int
    known: int
    calendar: Calendar
    families: Mapping[str, Static]
    members: tuple[Member, ...] = STANDARD
    card: Mapping[str, Any] = field(default_factory=dict)
    references: Mapping[str, Mapping[str, Floats]] = field(default_factory=dict)
    warm: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def present(self) -> tuple[Member, ...]:
        """Members that have what they need: their family was fitted, or is none's."""
        given = {"naive", "outside", *self.families}
        return tuple(m for m in self.members if m.family in given)
