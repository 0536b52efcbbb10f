"""What the settings say about readings, and the local days that are open under them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from wattstorm.metering.slots import LocalCalendar, SlotGrid

if TYPE_CHECKING:
    from wattstorm.settings import Settings

AHEAD_DAYS: Final = 1
"""Local days after the watermark's whose readings are taken without more ado."""


@dataclass(frozen=True, slots=True)
class OpenDays:
    """The local days around a watermark, in slots.

    low: the first slot taken; tomorrow: the first slot of the next local day; stop: readings
    from here on are taken only once the watermark has followed them.
    """

    low: int
    tomorrow: int
    stop: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about readings.

    open_days: local days kept open, the watermark's included; future_s: tolerance for
    meters' clocks; power_margin: factor on contracted power; deadline_slots: a
    reading later than this behind the watermark raises its slot's revision.
    """

    grid: SlotGrid
    calendar: LocalCalendar
    open_days: int = 3
    future_s: int = 900
    power_margin: float = 1.2
    deadline_slots: int = 48

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        stream = settings.stream
        grid = SlotGrid(stream.slot_minutes)
        return cls(
            grid,
            LocalCalendar(grid, stream.time_zone),
            stream.open_days,
            int(stream.future_minutes * 60),
            stream.power_margin,
            round(stream.deadline_hours * 3600 / grid.seconds),
        )

    @property
    def ring_days(self) -> int:
        """UTC days that hold the open local days and those ahead, whatever the zone: a local
        day begins within a day of UTC, so that one more is touched."""
        return self.open_days + AHEAD_DAYS + 1

    def open_around(self, mark: int) -> OpenDays:
        """The local days that are open when the watermark stands at slot `mark`."""
        known, day = self.calendar.known, self.calendar.date_of(mark)
        first = max(day - timedelta(self.open_days - 1), self.calendar.date_of(known.start))
        last = min(day + timedelta(AHEAD_DAYS), self.calendar.date_of(known.stop - 1))
        return OpenDays(
            max(self.calendar.day_slots(first).start, known.start),
            self.calendar.day_slots(day).stop,
            self.calendar.day_slots(last).stop,
        )
