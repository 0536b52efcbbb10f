"""How good the published forecasts were, and what was said of days that have not closed yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from models.forecast.calendar import Floats
from wattstorm.metering.forecasts import BACK, Accuracy
from wattstorm.stream.forecast_seats import Horizon

PATIENCE = 3
"""Days that a day's slots may take to close until it is counted as it is."""


class Day(NamedTuple):
    """Sums over the slots of a day that closed: absolute errors of ours and of the naive forecast,
    the load, and how many slots."""

    number: int
    ours: float
    naive: float
    load: float
    slots: int


@dataclass(frozen=True)
class Scores:
    """A value: what changes makes another one. open: by horizon and day, (point, naive), float64[S]
    each; done: by horizon the last days, in order."""

    open: Mapping[tuple[Horizon, int], tuple[Floats, Floats]] = field(default_factory=dict)
    done: Mapping[Horizon, tuple[Day, ...]] = field(default_factory=dict)

    def told(self, horizon: Horizon, day: int, point: Floats, naive: Floats) -> Scores:
        return replace(self, open={**self.open, (horizon, day): (point, naive)})

    def newest(self, label: str, day: int) -> Floats | None:
        """What was said last of a day, float64[S]: at its midnight, else the day before."""
        of = [h for h, d in self.open if d == day and h.label == label]
        best = min(of, key=lambda h: (h.lead, -h.place), default=None)
        return None if best is None else self.open[best, day][0]

    def counted(self, label: str, loads: Any, today: int) -> Scores:
        """Days before `today` whose slots have all closed, or that were waited for long enough.
        loads: `Loads` of the curve."""
        open_, done = dict(self.open), dict(self.done)
        for horizon, day in sorted(self.open):
            if horizon.label != label or day >= today:
                continue
            load = loads.learnable(day, (-np.inf, np.inf))
            known = np.isfinite(load)
            if not known.all() and today - day <= PATIENCE:
                continue
            point, naive = open_.pop((horizon, day))
            known &= np.isfinite(naive)
            sums = [float(np.abs(each - load)[known].sum()) for each in (point, naive)]
            row = Day(day, sums[0], sums[1], float(np.abs(load[known]).sum()), int(known.sum()))
            done[horizon] = (*done.get(horizon, ()), row)[-max(BACK) - 1 :]
        return Scores(open_, done)

    def accuracy(self, horizon: Horizon, today: int) -> dict[int, Accuracy]:
        """By days back; only those of which something is known."""
        told = {}
        for back in BACK:
            first = today - back
            days = [d for d in self.done.get(horizon, ()) if d.number >= first]
            load = sum(d.load for d in days)
            if load > 0:
                ours, naive = (
                    round(100 * sum(getattr(d, which) for d in days) / load, 4)
                    for which in ("ours", "naive")
                )
                told[back] = Accuracy(ours, naive, sum(d.slots for d in days))
        return told
