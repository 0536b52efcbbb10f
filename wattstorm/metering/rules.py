"""What the settings say about readings, and the local days that are open under them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from wattstorm.errors import DataError
from wattstorm.metering.slots import LocalCalendar, SlotGrid, calendar_of

if TYPE_CHECKING:
    from wattstorm.settings import Settings

AHEAD_DAYS: Final = 1
"""Local days after the watermark's whose readings are taken without more ado."""

_TYPES: Final[dict[str, Callable[[Any], Any]]] = {
    "int": int,
    "float": float,
    "tuple[str, ...]": lambda names: tuple(map(str, names)),
}


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
    """What the settings say about readings, and about the curves that they make.

    open_days: local days kept open, the watermark's included; future_s: tolerance for
    meters' clocks; power_margin: factor on contracted power; deadline_slots: a
    reading later than this behind the watermark raises its slot's revision, and a slot
    this far behind is final; scopes: the curves, see `aggregates.Scopes`; final_coverage:
    share of the meters with which a slot is final before.
    """

    grid: SlotGrid
    calendar: LocalCalendar
    open_days: int = 3
    future_s: int = 900
    power_margin: float = 1.2
    deadline_slots: int = 48
    scopes: tuple[str, ...] = ("nation", "tariff", "region")
    final_coverage: float = 0.99

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        stream = settings.stream
        calendar = calendar_of(stream.slot_minutes, stream.time_zone)
        return cls(
            calendar.grid,
            calendar,
            stream.open_days,
            int(stream.future_minutes * 60),
            stream.power_margin,
            round(stream.deadline_hours * 3600 / calendar.grid.seconds),
            tuple(stream.scopes),
            stream.final_coverage,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as an entry of the log and a snapshot hold them."""
        plain = {f.name: getattr(self, f.name) for f in fields(self)[2:]}
        zone = {"slot_minutes": self.grid.minutes, "time_zone": self.calendar.time_zone}
        return {**zone, **plain, "scopes": list(self.scopes)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Rules:
        """Inverse of `to_dict`; DataError for anything else. A rule that is not named has its
        default: whoever wrote it knew none."""
        try:
            calendar = calendar_of(plain["slot_minutes"], plain["time_zone"])
            known = {f.name: f.type for f in fields(cls)[2:]}
            of = {
                name: _TYPES[str(kind)](plain[name])
                for name, kind in known.items()
                if name in plain
            }
            return cls(calendar.grid, calendar, **of)
        except (LookupError, TypeError, ValueError) as error:
            raise DataError(
                f"rules that say {plain!r}: {error!r}", "no engine wrote them"
            ) from error

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
