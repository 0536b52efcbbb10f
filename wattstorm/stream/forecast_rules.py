"""When forecasts are issued, in event time: what settings say of it, as the log has it in force."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from wattstorm.errors import DataError
from wattstorm.metering.slots import (
    LocalCalendar,
    SlotGrid,
    clock_places,
    date_of_day_number,
)

if TYPE_CHECKING:
    from wattstorm.settings import Settings

SCHEMA: Final = 1


class Issue(NamedTuple):
    """An issue time: the slot that begins with it, its local day, and its place in that day."""

    slot: int
    day: int
    place: int


@dataclass(frozen=True)
class ForecastRules:
    """calendar: of the curves' local days; issues: minutes after local midnight, ascending;
    wait: slots that are waited, from an issue time on, for slots before it to close.

    >>> rules = ForecastRules(LocalCalendar(SlotGrid(30), "Europe/Paris"), (0, 720), 2)
    >>> ForecastRules.parse(str(rules)) == rules
    True
    """

    calendar: LocalCalendar
    issues: tuple[int, ...]
    wait: int

    @classmethod
    def of(cls, settings: Settings) -> ForecastRules:
        grid = SlotGrid(settings.stream.slot_minutes)
        times = [time.split(":") for time in settings.forecast.issue]
        minutes = {int(hour) * 60 + int(minute) for hour, minute in times}
        wait = -(-settings.forecast.wait_minutes // grid.minutes)
        calendar = LocalCalendar(grid, settings.stream.time_zone)
        return cls(calendar, tuple(sorted(minutes)), wait)

    @classmethod
    def parse(cls, text: str) -> ForecastRules:
        """Inverse of `str`; DataError for anything else."""
        try:
            plain = json.loads(text)
            if plain["schema"] != SCHEMA:
                raise ValueError(f"schema {plain['schema']!r}")
            calendar = LocalCalendar(SlotGrid(plain["slot_minutes"]), str(plain["time_zone"]))
            return cls(calendar, tuple(map(int, plain["issues"])), int(plain["wait"]))
        except (LookupError, TypeError, ValueError) as error:
            what = f"rules of forecasts that say {text[:200]!r}: {error}"
            raise DataError(what, "no wattstorm wrote them") from error

    def __str__(self) -> str:
        plain = {
            "schema": SCHEMA,
            "slot_minutes": self.per_slot,
            "time_zone": self.calendar.time_zone,
            "issues": list(self.issues),
            "wait": self.wait,
        }
        return json.dumps(plain, sort_keys=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForecastRules) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def per_slot(self) -> int:
        return self.calendar.grid.minutes

    @property
    def per_day(self) -> int:
        return self.calendar.grid.per_day

    def next_after(self, slot: int) -> Issue:
        """The first issue time whose slot lies behind this one."""
        day = int(self.calendar.dates_of([slot])[0])
        for number in (day, day + 1):
            for found in self.of_day(number):
                if found.slot > slot:
                    return found
        raise AssertionError("a day has an issue time")

    def of_day(self, number: int) -> list[Issue]:
        """The issue times of a local day. One in an hour that clocks skip comes right after it."""
        slots = self.calendar.day_slots(date_of_day_number(number))
        clock = clock_places(self.calendar, number)
        found = []
        for place in sorted({minutes // self.per_slot for minutes in self.issues}):
            at = int((clock >= place).argmax())
            found.append(Issue(slots.start + at, number, place))
        return found
