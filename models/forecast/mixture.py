"""Mixtures of experts, per slot: weights that follow who was right lately.

Bernstein online aggregation (Wintenberger, "Optimal learning with Bernstein online aggregation",
2017) and ML-Poly (Gaillard, Stoltz, van Erven, "A second-order bound with excess losses", 2014),
each with its own learning rate per expert, so there is nothing to tune. Losses are linearised
(the gradient trick), so the mixture competes with the best fixed convex combination.

Experts may sleep (NaN): weights of those awake share the whole, and a sleeper's regret stands still
(Devaine, Gaillard, Goude, Stoltz, "Forecasting electricity consumption by aggregating specialized
experts", 2013).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Flags, Floats

TINY = 1e-12
WILD = 10.0
"""An expert's excess loss counts at most so many scales: the learning rates remember the worst."""


@dataclass
class Mixture:
    """Weights of K experts in S slots; regret, spread, most: float64[rules, S, K].

    Rule 0 is BOA, rule 1 ML-Poly. Experts are the last axis, so
    that a slot's sums are the same to the bit whether it is updated alone or with others.
    """

    regret: Floats
    spread: Floats
    most: Floats

    @classmethod
    def start(cls, experts: int, slots: int) -> Mixture:
        zero = np.zeros((2, slots, experts))
        return cls(zero.copy(), zero.copy(), zero.copy())

    def weights(self, awake: Flags, part: slice = slice(None)) -> Floats:
        """float64[rules, part, K], zero for sleepers, summing to one; awake: bool[part, K]."""
        regret = self.regret[:, part]
        spread, most = np.maximum(self.spread[:, part], TINY), np.maximum(self.most[:, part], TINY)
        eta = self._eta(spread[0], most[0])
        power = np.where(awake, np.log(eta) + eta * regret[0], -np.inf)
        highest = power.max(axis=-1, keepdims=True)
        boa = np.exp(power - np.where(np.isfinite(highest), highest, 0.0))
        poly = np.maximum(regret[1], 0.0) / (spread[1] + most[1] ** 2) * awake
        poly = np.where(poly.sum(axis=-1, keepdims=True) > 0, poly, awake)
        both = np.stack([boa, poly])
        return np.asarray(both / np.maximum(both.sum(axis=-1, keepdims=True), TINY))

    def answer(self, experts: Floats, awake: Flags, loss: Floats) -> Floats:
        """float64[S]: the mean of three mixtures, BOA's, ML-Poly's, and the one whose weights are
        the inverse squares of recent losses float64[K] (Bates and Granger, "The combination of
        forecasts", 1969), which learns nothing slot by slot and so overfits nothing.

        experts: float64[S, K].
        """
        x = np.where(awake, experts, 0.0)
        # losses over the least of them, so that a nation's Wh weigh as a town's MW do
        near = loss.min() / loss if (loss > 0).all() else np.ones_like(loss)
        plain = awake * near**2
        plain /= np.maximum(plain.sum(axis=-1, keepdims=True), TINY)
        rules = (self.weights(awake) * x).sum(axis=-1).sum(axis=0)
        return np.asarray((rules + (plain * x).sum(axis=-1)) / 3)

    def update(
        self, experts: Floats, y: Floats, awake: Flags, scale: Floats, part: slice = slice(None)
    ) -> None:
        """One more day of the slots of `part`: experts float64[part, K], y and scale float64[part].

        A slot whose y is NaN learns nothing. awake: as when it was forecast.
        """
        x = np.where(awake, experts, 0.0)
        mixed = (self.weights(awake, part) * x).sum(axis=-1)
        known = np.isfinite(y) & awake.any(axis=-1)
        miss = np.where(known, mixed - np.where(known, y, 0.0), 0.0)
        # the slope of the absolute error: what percentages are made of
        r = np.sign(miss)[:, :, None] * (mixed[:, :, None] - x) / scale[:, None]
        r = np.where(awake & known[:, None], np.clip(r, -WILD, WILD), 0.0)
        spread, most, regret = self.spread[:, part], self.most[:, part], self.regret[:, part]
        spread += r**2
        np.maximum(most, np.abs(r), out=most)
        eta = self._eta(np.maximum(spread[0], TINY), np.maximum(most[0], TINY))
        regret[0] += 0.5 * (r[0] - eta * r[0] ** 2 + most[0] * (eta * r[0] > 0.5))
        regret[1] += r[1]

    def _eta(self, spread: Floats, most: Floats) -> Floats:
        """BOA's learning rates."""
        return np.asarray(
            np.minimum(0.5 / most, np.sqrt(np.log(max(self.regret.shape[2], 2)) / spread))
        )
