"""A rival that is not additive: ridge regression on random features of all covariates at once.

load = constant + (z, tanh(z W + b)) · beta, z the covariates, centred, scaled, clamped (Rahimi and
Recht, "Weighted sums of random kitchen sinks", 2008). It finds by itself how temperature, hour, day
and season act together, which an additive model is not told; the mixture gains most from such
another view. One matrix W for all slots, one beta for each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import TYPES, Floats
from models.forecast.per_slot import PerSlot

CLAMP = 4.0
"""Deviations from the training mean beyond which a covariate counts as at the bound."""


@dataclass(frozen=True)
class Ridge(PerSlot):
    """S slots, C covariates, I inputs (C and the calendar's), K random features.

    centre, scale: float64[I]. weights: float64[I, K]. bias: float64[K]. beta: float64[S, I + K].
    constant, sd: float64[S]. mean, deviation: float64[S, 1], of its one effect in training.
    """

    covariates: tuple[str, ...]
    centre: Floats
    scale: Floats
    weights: Floats
    bias: Floats
    beta: Floats
    constant: Floats
    mean: Floats
    deviation: Floats
    sd: Floats

    def features(self, x: Floats) -> Floats:
        """float64[..., S, I + K]; x: float64[..., S, C]."""
        z = inputs(self.covariates, x) - self.centre
        z /= self.scale
        np.clip(z, -CLAMP, CLAMP, out=z)
        return np.concatenate([z, np.tanh(z @ self.weights + self.bias)], axis=-1)

    def effects(self, x: Floats) -> Floats:
        """Its one effect, float64[..., S, 1]; x: float64[..., S, C]."""
        return np.asarray(np.einsum("...sk,sk->...s", self.features(x), self.beta)[..., None])

    def predict(self, x: Floats) -> Floats:
        """float64[..., S]; x: float64[..., S, C]."""
        return self.constant + self.effects(x)[..., 0]

    def clamped(self, x: Floats) -> npt.NDArray[np.bool_]:
        """bool[..., S, C]: where a covariate is so far from its mean that it was clamped."""
        z = (inputs(self.covariates, x) - self.centre) / self.scale
        return np.abs(z[..., : len(self.covariates)]) > CLAMP


def inputs(covariates: tuple[str, ...], x: Floats) -> Floats:
    """Covariates as they enter: the time of year as two waves, the day type as its indicators.

    The two columns themselves stay, at no weight's cost. float64[..., C + 2 + TYPES].
    """
    year = 2 * np.pi * x[..., covariates.index("toy")]
    kind = x[..., covariates.index("day_type"), None] == np.arange(TYPES)
    return np.concatenate([x, np.sin(year)[..., None], np.cos(year)[..., None], kind], axis=-1)
