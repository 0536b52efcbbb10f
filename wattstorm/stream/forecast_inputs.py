"""What a forecaster is given at an issue time: loads before, weather as it was known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Calendar, Days, Floats
from models.forecast.covariates import covariates
from models.forecast.forecaster import Forecaster
from models.forecast.weather_book import LIMITS, NATION, WeatherBook
from wattstorm.metering.slots import LocalCalendar, clock_places, date_of_day_number
from wattstorm.stream.forecast_rules import Issue

OUTSIDE: Final = "outside"


@dataclass
class Inputs:
    """Of one issue time. calendar: local days; weather: the book in force."""

    calendar: LocalCalendar
    weather: WeatherBook
    issue: Issue
    vintages: dict[str, int] = field(default_factory=dict)
    """By place, when the newest weather that was used was said; -1 for none."""

    def __post_init__(self) -> None:
        self._weather: dict[tuple[str, int, int], dict[str, Floats]] = {}
        self._made: dict[tuple[str, int, int, bytes], dict[str, Floats]] = {}
        self._places = {vintage.place for vintage in self.weather.vintages}

    def values(
        self, label: str, lead: int, table: Floats, forecaster: Forecaster
    ) -> dict[str, Floats]:
        """Covariates by name of the day `lead` ahead, float64[S]. table: float64[days, S], the load
        up to that day, NaN unknown."""
        models = forecaster.models
        key = label, lead, models.known, models.calendar.holidays.tobytes()
        if key not in self._made:
            last = self.issue.day + lead
            days = day_range(last, len(table))
            weather = self.weather_of(label, last, table.shape)
            every = covariates(days, table, weather, models.calendar, models.known)
            row = {name: values[-1] for name, values in every.items()}
            self._made[key] = row | {OUTSIDE: np.full(table.shape[1], np.nan)}
        return self._made[key]

    def weather_of(self, label: str, last: int, shape: tuple[int, int]) -> dict[str, Floats]:
        """float64[days, S] by name, of the days up to `last`; NaN where nothing was said."""
        place = label if label in self._places else NATION
        key = place, last, shape[0]
        if key not in self._weather:
            at = moments(self.calendar, last, *shape)
            issued = self.calendar.grid.start_at(self.issue.slot)
            known = {n: self.weather.known(place, n, issued, at.ravel()) for n in LIMITS}
            self._weather[key] = {n: found.values.reshape(shape) for n, found in known.items()}
            target = [int(k.issued.reshape(shape)[-1].max()) for k in known.values()]
            self.vintages[label] = self.vintages[place] = max(target)
        self.vintages.setdefault(label, self.vintages[place])
        return self._weather[key]


def day_range(last: int, count: int) -> Days:
    return (last - count + 1 + np.arange(count)).astype("datetime64[D]")


@lru_cache(maxsize=8)
def moments(calendar: LocalCalendar, last: int, days: int, slots: int) -> npt.NDArray[np.int64]:
    """int64[days, slots], UTC second of each place of the clock in the local days up to `last`."""
    out = np.empty((days, slots), np.int64)
    for row, number in enumerate(range(last - days + 1, last + 1)):
        start = calendar.day_slots(date_of_day_number(number)).start
        clock = clock_places(calendar, number)
        # a place that clocks skip has the moment at which they do
        at = np.searchsorted(clock, np.arange(slots)) if len(clock) < slots else np.arange(slots)
        if len(clock) > slots:
            at = np.array([int((clock == place).argmax()) for place in range(slots)])
        out[row] = calendar.grid.start_of(start + at)
    return out


def lacking(values: Mapping[str, Floats], forecaster: Forecaster) -> tuple[str, ...]:
    """What the models of a set want and do not have: "weather", "load"."""
    wanted = {name for model in forecaster.models.families.values() for name in model.covariates}
    gone = {name for name in wanted if not np.isfinite(values[name]).all()}
    kinds = {"load" if name.startswith("lag_") else "weather" for name in gone}
    return tuple(sorted(kinds))


NO_HOLIDAYS: Final = Calendar(np.empty(0, "datetime64[D]"))
