"""Effects that drift: a Kalman filter per slot on the weights of a model's effects.

Load / sd = h · theta + noise, with h the effects (each centred and scaled over the training days),
a 1, and what the static model missed lately; theta starts at the fitted model and moves as
a random walk whose steps have variance q, the same for all weights (Obst, de Vilmarest, Goude,
"Adaptive methods for short-term electricity load forecasting during COVID-19 lockdown in France",
2021). Recursive least squares with forgetting, the older way, diverges where an effect rests for
months: here noise is added instead, and P is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Floats

CLIP = 6.0
"""Innovations count at most so many of their own deviations: one wild reading moves little."""
NOISE_RATE = 0.03
"""How fast the running variance of the innovations follows: about a month of days."""
BOUND = 4.0
"""Variance of one weight, in residual variances, at most."""
START = 0.01
"""Variance of each weight at the start, in residual variances."""


@dataclass
class Filters:
    """F filters × S slots, p weights each; those of smaller models are padded, with h of 0.

    theta: float64[F, S, p]. p: float64[F, S, p, p], in residual variances. q: float64[F, 1, p].
    noise: float64[F, S], running variance of the innovations over what P predicts.
    """

    theta: Floats
    p: Floats
    q: Floats
    noise: Floats

    @classmethod
    def start(cls, theta: Floats, q: Floats) -> Filters:
        """Weights float64[F, S, p] of the fitted models; q: float64[F, 1, p], 0 where padded."""
        f, s, p = theta.shape
        return cls(theta, np.tile(np.eye(p) * START, (f, s, 1, 1)), q, np.ones((f, s)))

    def predict(self, h: Floats) -> Floats:
        """float64[F, S], in residual deviations; h: float64[F, S, p]."""
        return np.asarray(np.matmul(self.theta[:, :, None, :], h[..., None])[:, :, 0, 0])

    def update(self, h: Floats, y: Floats, part: slice = slice(None)) -> None:
        """One more day of the slots of `part`: h float64[F, part, p], y float64[F, part], in
        residual deviations; a filter whose slot has NaN in either learns nothing."""
        theta, p, noise = self.theta[:, part], self.p[:, part], self.noise[:, part]
        known = np.isfinite(y) & np.isfinite(h).all(axis=-1)
        if not known.all():
            h, y = np.where(known[..., None], h, 0.0), np.where(known, y, 0.0)
        column = h[..., None]
        missed = y - np.matmul(theta[:, :, None, :], column)[..., 0, 0]
        ph = np.matmul(p, column)[..., 0]
        spread = np.matmul(ph[:, :, None, :], column)[..., 0, 0] + 1.0
        limit = CLIP * np.sqrt(spread * noise)
        missed = np.minimum(np.maximum(missed, -limit), limit) * known
        noise += known * (NOISE_RATE * (missed**2 / spread - noise))
        gain = ph / spread[..., None]
        theta += gain * missed[..., None]
        p -= gain[..., :, None] * ph[..., None, :]
        diagonal = np.einsum("fspp->fsp", p)
        diagonal += known[..., None] * self.q
        if diagonal.max(initial=0.0) > BOUND:  # no filter at all, where only the naive sits
            scale = np.sqrt(np.where(diagonal > BOUND, BOUND / diagonal, 1.0))
            p *= scale[..., :, None] * scale[..., None, :]
