"""What the page shows of a scope: today against yesterday, last week and the forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from wattstorm.metering.results import SlotResult
from wattstorm.serve.page.board import Board, is_measured, same_clock

Line = list[float | None]
"""By slot of today's local day, mean power in W; None where there is nothing."""


@dataclass(frozen=True)
class Foreseen:
    """A forecast of today, by slot of the local day, in W, with its band; model: who made it."""

    point: Line
    low: Line
    high: Line
    model: str = ""


@dataclass(frozen=True)
class ScopeView:
    """One scope today.

    clocks: local begin of each slot; measured: slots of which enough meters have reported;
    provisional: the others, scaled to all meters; coverage: 0 … 1; yesterday, last_week: the
    same local times. at: place of the newest slot that is measured, None if none is.
    """

    label: str
    day: date
    clocks: list[str]
    rows: list[SlotResult | None]
    measured: Line
    provisional: Line
    coverage: Line
    yesterday: Line
    last_week: Line
    minutes: int
    at: int | None
    foreseen: Foreseen | None = None

    @property
    def kind(self) -> str:
        return self.label.partition(":")[0]

    @property
    def name(self) -> str:
        return self.label.partition(":")[2] or self.label

    @property
    def power(self) -> float | None:
        """W, in the newest measured slot."""
        return None if self.at is None else self.measured[self.at]

    def then(self, line: Line) -> float | None:
        """What another line says of that slot."""
        return None if self.at is None else line[self.at]

    @property
    def energy_wh(self) -> int:
        """Today so far, as published."""
        return sum(row.wh for row in self.rows if row)

    def energy_against(self, line: Line) -> tuple[float, float]:
        """Wh of today and of another line over the slots that both have."""
        both = [
            (a, b)
            for a, b in zip(self.measured, line, strict=True)
            if a is not None and b is not None
        ]
        hours = self.minutes / 60
        return sum(a for a, _ in both) * hours, sum(b for _, b in both) * hours

    @property
    def meters(self) -> int:
        """Meters that are expected, in the newest slot."""
        return next((row.expected for row in reversed(self.rows) if row), 0)

    @property
    def closed_coverage(self) -> float | None:
        """readings / expected of today's slots, without the newest, which still fills."""
        rows = [row for row in self.rows if row][:-1]
        expected = sum(row.expected for row in rows)
        return sum(row.readings for row in rows) / expected if expected else None

    def error(self, line: Line) -> float | None:
        """Mean absolute error of a line today so far, as a share of what was measured."""
        both = [
            (abs(a - b), a)
            for a, b in zip(self.measured, line, strict=True)
            if a is not None and b is not None
        ]
        total = sum(a for _, a in both)
        return sum(e for e, _ in both) / total if total else None


def scope_view(board: Board, label: str, foreseen: Foreseen | None = None) -> ScopeView:
    """A scope's today. Before the first reading there is none: ask `board.newest`."""
    today = board.today
    clocks = board.clocks(today)
    found = board.day(label, today)
    rows = [found.get(slot) for slot in board.calendar.day_slots(today)]
    watts = 60 / board.calendar.grid.minutes
    good = [row is not None and is_measured(row) for row in rows]
    measured = [row.wh * watts if row and ok else None for row, ok in zip(rows, good, strict=True)]
    places = [place for place, ok in enumerate(good) if ok]
    return ScopeView(
        label,
        today,
        clocks,
        rows,
        measured,
        _provisional(rows, measured, watts),
        [row.coverage if row else None for row in rows],
        _beside(board, label, clocks, today - timedelta(days=1), watts),
        _beside(board, label, clocks, today - timedelta(days=7), watts),
        board.calendar.grid.minutes,
        places[-1] if places else None,
        foreseen,
    )


def ranked(views: Mapping[str, ScopeView], kind: str) -> list[ScopeView]:
    """Those of a kind, most energy today first."""
    return sorted(
        (view for view in views.values() if view.kind == kind),
        key=lambda view: (-view.energy_wh, view.name),
    )


def _provisional(rows: Sequence[SlotResult | None], measured: Line, watts: float) -> Line:
    """Slots that still fill, scaled to all meters; and the measured neighbours, so that the dashed
    line begins where the solid one ends."""
    line: Line = [
        row.wh * watts * row.expected / row.readings if row and row.readings and m is None else None
        for row, m in zip(rows, measured, strict=True)
    ]
    ends = [
        place
        for place, m in enumerate(measured)
        if m is not None
        and any(0 <= near < len(line) and line[near] is not None for near in (place - 1, place + 1))
    ]
    for place in ends:
        line[place] = measured[place]
    return line


def _beside(board: Board, label: str, clocks: list[str], day: date, watts: float) -> Line:
    """Another day at today's local times."""
    slots = board.calendar.day_slots(day)
    rows = board.day(label, day)
    found = [rows.get(slot) for slot in slots]
    line: Line = []
    for place in same_clock(clocks, board.clocks(day)):
        row = None if place is None else found[place]
        line.append(row.wh * watts if row and is_measured(row) else None)
    return line
