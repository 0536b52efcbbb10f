"""The last weeks of a curve's load, as the forecaster's tables want them: days by the wall clock.

What closed is known. What is still provisional is known once most meters have reported, as if all
had; it is never learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.forecast.calendar import Flags, Floats
from models.forecast.trusted import HIGH, LOW, frozen
from wattstorm.metering.slots import LocalCalendar, clock_places, date_of_day_number

DAYS = 42
"""Days that a forecast looks back: four weeks, and what a holiday's naive forecast wants."""
COVERED = 0.9
"""Share of the meters from which a provisional slot counts as known."""


@dataclass
class DayLoad:
    """wh: float64[n], of the local day's slots in time, NaN unknown. closed: bool[n]."""

    wh: Floats
    closed: Flags


@dataclass
class Loads:
    """One curve. days: by the local day's number."""

    calendar: LocalCalendar
    days: dict[int, DayLoad] = field(default_factory=dict)

    def day(self, number: int) -> DayLoad:
        """A day, begun if it is not there."""
        held = self.days.get(number)
        if held is None:
            n = len(self.calendar.day_slots(date_of_day_number(number)))
            held = self.days[number] = DayLoad(np.full(n, np.nan), np.zeros(n, bool))
        return held

    def table(self, last: int, before: int) -> Floats:
        """float64[DAYS, S] up to day `last`, NaN unknown; nothing from the slot `before` on."""
        out = np.full((DAYS, self.calendar.grid.per_day), np.nan)
        for row, number in enumerate(range(last - DAYS + 1, last + 1)):
            held = self.days.get(number)
            if held is None:
                continue
            wh = held.wh
            start = self.calendar.day_slots(date_of_day_number(number)).start
            if before < start + len(wh):
                wh = np.where(np.arange(len(wh)) + start < before, wh, np.nan)
            out[row] = on_clock(wh, self.calendar, number)
        return out

    def learnable(self, number: int, bounds: tuple[float, float]) -> Floats:
        """float64[S]: what of a day may be learned: closed, within bounds, of a meter that lives;
        a place of the clock that comes twice once both have closed."""
        per_day = self.calendar.grid.per_day
        two = np.full((2, per_day), np.nan)
        for row, day in enumerate((number - 1, number)):
            held = self.days.get(day)
            if held is not None:
                two[row] = on_clock(np.where(held.closed, held.wh, np.nan), self.calendar, day)
        with np.errstate(invalid="ignore"):
            wild = frozen(two)[1] | (two[1] < bounds[0]) | (two[1] > bounds[1])
        return np.where(wild, np.nan, two[1])

    def trim(self, last: int) -> None:
        """Forget what no forecast of day `last` or later looks at."""
        for number in [n for n in self.days if n < last - DAYS - 8]:
            del self.days[number]


def bounds_of(believed: Floats) -> tuple[float, float]:
    """Least and greatest load of the next day that is believed; believed: float64[days, S]."""
    seen = believed[-28:]
    seen = seen[np.isfinite(seen)]
    if len(seen) < believed.shape[1]:
        return -np.inf, np.inf
    least, most = np.percentile(seen, [2, 98])
    return float(LOW * least), float(HIGH * most)


def on_clock(values: Floats, calendar: LocalCalendar, number: int) -> Floats:
    """float64[S] by the wall clock, of values in time, float64[n]: the mean of an hour that comes
    twice (NaN until both are known), the mean of its neighbours for one that is left out."""
    per_day = calendar.grid.per_day
    if len(values) == per_day:
        return values
    places = clock_places(calendar, number)
    out = np.full(per_day, np.nan)
    count = np.bincount(places, minlength=per_day)
    total = np.bincount(places, values, minlength=per_day)
    there = count > 0
    out[there] = total[there] / count[there]
    if not there.all():
        gone = np.flatnonzero(~there)
        edges = out[[gone[0] - 1, gone[-1] + 1]]
        out[gone] = edges.mean()
    return out


def in_time(values: Any, calendar: LocalCalendar, number: int) -> Any:
    """[..., n] of the local day's slots in time, of values by the clock, [..., S]."""
    return values if values.shape[-1] == 0 else values[..., clock_places(calendar, number)]
