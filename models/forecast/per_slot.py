"""What fitted families share, whatever they are: a model for each slot, and covariates by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from models.forecast.calendar import Floats


class _Family(Protocol):
    @property
    def covariates(self) -> tuple[str, ...]: ...
    @property
    def constant(self) -> Floats: ...


class PerSlot:
    """`covariates` and `constant` are the family's own."""

    @property
    def slots(self: _Family) -> int:
        return len(self.constant)

    def gather(self: _Family, values: Mapping[str, Floats]) -> Floats:
        """float64[..., S, C] of this family's covariates, in its order."""
        return np.stack([values[name] for name in self.covariates], axis=-1)
