"""Which experts the mixture may hear: a diverged one in the pool does lasting harm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Flags, Floats

LOW, HIGH = 0.3, 3.0
"""Of the least and the greatest load of the last days: outside is not believed."""
WORSE = 3.0
"""Times the best expert's recent loss: such an expert sleeps until it is better."""
RATE = 0.05
"""Of the recent loss, per day: about three weeks."""


@dataclass
class Gate:
    """loss: float64[K, S], recent absolute error of each expert, 0 before it was heard."""

    loss: Floats

    @classmethod
    def start(cls, experts: int, slots: int) -> Gate:
        return cls(np.zeros((experts, slots)))

    def recent(self) -> Floats:
        """float64[K]: each expert's loss over the slots it was heard in, 0 before the first."""
        return np.asarray(self.loss.sum(axis=1) / np.maximum((self.loss > 0).sum(axis=1), 1))

    def awake(self, experts: Floats, loads: Iterable[Floats]) -> Flags:
        """bool[K, S] of experts float64[K, S], NaN asleep; `loads`: of the last days."""
        awake = np.isfinite(experts)
        recent = np.concatenate([np.empty(0), *loads])
        recent = recent[np.isfinite(recent)]
        if len(recent):
            least, most = float(recent.min()), float(recent.max())
            low = LOW * least if least > 0 else HIGH * least
            high = HIGH * most if most > 0 else LOW * most
            with np.errstate(invalid="ignore"):
                awake &= (experts >= low) & (experts <= high)
        mean = self.recent()
        heard = mean > 0
        if heard.any():
            good = ~heard | (mean <= WORSE * mean[heard].min())
            some = (awake & good[:, None]).any(axis=0)
            awake = np.where(some, awake & good[:, None], awake)
        return awake

    def learn(self, experts: Floats, y: Floats, part: slice = slice(None)) -> None:
        """Losses of the slots of `part`, experts float64[K, part], y float64[part], NaN unknown."""
        loss = self.loss[:, part]
        error = np.abs(experts - y)
        rate = np.where(loss == 0, 1.0, RATE)
        loss += np.where(np.isfinite(error), rate * (error - loss), 0.0)
