"""How wrong a forecast may be: quantiles per slot, and whole days of errors for totals.

Two steps. Errors are scaled by an exponentially weighted deviation per slot; quantiles of the
scaled errors are tracked online (Gibbs and Candès, "Adaptive conformal inference under
distribution shift", 2021), so that coverage comes right even where no law fits. Totals (a day, an
amount in €) need errors that belong together: whole days of scaled errors are kept and drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Floats

LEVELS = np.array([0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975])
NORMAL = np.array([-1.96, -1.645, -1.282, -0.674, 0.0, 0.674, 1.282, 1.645, 1.96])
KEEP, STEP, PATHS = 0.97, 0.05, 60
WILD = 8.0
"""Deviations that an error counts at most."""


@dataclass
class Intervals:
    """S slots, L levels. variance: float64[S], 0 before the first error. offsets: float64[L, S],
    quantiles of scaled errors. paths: float64[PATHS, S], the last days' scaled errors, NaN unknown.
    """

    variance: Floats
    offsets: Floats
    paths: Floats

    @classmethod
    def start(cls, sd: Floats) -> Intervals:
        """From the residual deviations of training, float64[S]."""
        offsets = np.repeat(NORMAL[:, None], len(sd), axis=1)
        return cls(sd**2, offsets, np.full((PATHS, len(sd)), np.nan))

    def scale(self) -> Floats:
        """float64[S]: the deviation of the errors now."""
        return np.sqrt(np.maximum(self.variance, 1e-12))

    def quantiles(self, point: Floats) -> Floats:
        """float64[L, S], rising with the level."""
        return np.sort(point + self.offsets * self.scale(), axis=0)

    def update(self, error: Floats, scale: Floats, part: slice = slice(None)) -> None:
        """Errors (load less forecast) of slots, float64[part], NaN unknown; `scale`: the deviations
        when it was forecast."""
        known = np.isfinite(error)
        z = np.clip(np.where(known, error / scale, 0.0), -WILD, WILD)
        variance, offsets = self.variance[part], self.offsets[:, part]
        limited = (z * scale) ** 2
        variance += np.where(known, (1 - KEEP) * (limited - variance), 0.0)
        above = LEVELS[:, None] - (z <= offsets)
        offsets += np.where(known, STEP * above, 0.0)

    def new_day(self, error: Floats, scale: Floats) -> None:
        """A whole day's errors and deviations, float64[S], into the paths."""
        self.paths = np.vstack([self.paths[1:], np.clip(error / scale, -WILD, WILD)])

    def drawn(self, point: Floats) -> Floats:
        """float64[n, S]: days that may come, n ≤ PATHS: the forecast plus errors of a past day."""
        whole = self.paths[np.isfinite(self.paths).all(axis=1)]
        return point + whole * self.scale()
