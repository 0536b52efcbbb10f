"""The newest days of all scopes, kept in memory from the entries of the log `slots`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from wattstorm.metering.results import SlotChange, SlotResult
from wattstorm.metering.slots import LocalCalendar

KEPT_DAYS = 9
"""Today, a week ago, and one more for a day of 50 slots."""
WELL_COVERED = 0.9
"""A slot of which less has reported is shown as provisional, scaled to all meters."""

Rows = dict[int, SlotResult]


@dataclass
class Board:
    """rows: label → slot → its row, import channel; newest: the newest slot that anybody
    reported in, measured: the newest that is measured in a scope, -1: none.

    >>> from wattstorm.metering.slots import SlotGrid
    >>> board = Board(LocalCalendar(SlotGrid(30), "Europe/Paris"), ["nation"])
    >>> row = SlotResult(wh=1200, readings=2, expected=3, revision=1, final=False)
    >>> board.apply(SlotChange(0, 756_698, 1, False, {"nation": row}))
    >>> board.newest, board.today
    (756698, datetime.date(2013, 2, 28))
    """

    calendar: LocalCalendar
    labels: list[str]
    rows: dict[str, Rows] = field(default_factory=dict)
    newest: int = -1
    measured: int = -1

    def apply(self, change: SlotChange) -> None:
        """An entry of the log: from here on the slot's rows are these."""
        if change.channel != 0:
            return
        for label, row in change.rows.items():
            if label not in self.rows:
                self.rows[label] = {}
                if label not in self.labels:
                    self.labels.append(label)
            self.rows[label][change.slot] = row
            self._see(change.slot, row)
        if change.slot == self.calendar.day_slots(self.today).start:
            self._forget()

    def put(self, label: str, rows: Mapping[int, SlotResult]) -> None:
        """Rows as they stand in the store."""
        self.rows.setdefault(label, {}).update(rows)
        for slot, row in rows.items():
            self._see(slot, row)

    @property
    def today(self) -> date:
        """Today in the time of the readings: it begins when its first slot is measured."""
        return self.calendar.date_of(max(0, self.newest if self.measured < 0 else self.measured))

    def day(self, label: str, day: date) -> dict[int, SlotResult]:
        """slot → row of a scope's local day, ascending, up to the newest slot."""
        rows = self.rows.get(label, {})
        slots = self.calendar.day_slots(day)
        return {slot: rows[slot] for slot in slots if slot in rows and slot <= self.newest}

    def clocks(self, day: date) -> list[str]:
        """Local time at which each slot of the day begins: "00:00", "00:30" …"""
        return [self.calendar.label(slot)[11:16] for slot in self.calendar.day_slots(day)]

    def _see(self, slot: int, row: SlotResult) -> None:
        if row.readings:
            self.newest = max(self.newest, slot)
            if is_measured(row):
                self.measured = max(self.measured, slot)

    def _forget(self) -> None:
        first = self.calendar.day_slots(self.today - timedelta(days=KEPT_DAYS)).start
        for rows in self.rows.values():
            for slot in [slot for slot in rows if slot < first]:
                del rows[slot]


def is_measured(row: SlotResult) -> bool:
    """Enough have reported for its sum to stand for all; else it still fills."""
    return row.final or row.coverage >= WELL_COVERED


def same_clock(clocks: list[str], other: list[str]) -> list[int | None]:
    """For each slot of a day the slot of another day at the same local time, as places: days of
    46 and 50 slots lie beside days of 48.

    >>> same_clock(["01:00", "02:00", "02:00", "03:00"], ["01:00", "02:00", "03:00"])
    [0, 1, 1, 2]
    >>> same_clock(["01:00", "02:00", "03:00"], ["01:00", "03:00"])
    [0, None, 1]
    """
    places: dict[str, list[int]] = {}
    for place, clock in enumerate(other):
        places.setdefault(clock, []).append(place)
    seen: dict[str, int] = {}
    found: list[int | None] = []
    for clock in clocks:
        at = places.get(clock)
        nth = seen[clock] = seen.get(clock, -1) + 1
        found.append(at[min(nth, len(at) - 1)] if at else None)
    return found
