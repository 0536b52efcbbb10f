"""Where forecasts are made: the loads of the last weeks, the seats, the books; undoable.

Event time alone decides. An issue time has come when every slot before it has closed in all
curves, or at the latest once a slot `wait` behind it was heard of: then what is not closed
counts as known where most meters have reported, and as unknown elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.forecast.loads import COVERED, Loads
from models.forecast.price_book import PriceBook
from models.forecast.weather_book import WeatherBook
from wattstorm.metering.forecasts import ForecastRow
from wattstorm.metering.results import SlotChange
from wattstorm.metering.slots import date_of_day_number
from wattstorm.stream.forecast_issuing import ANY, Bounds, Issuing
from wattstorm.stream.forecast_models import Models, Place, Stages, Table
from wattstorm.stream.forecast_rules import ForecastRules, Issue
from wattstorm.stream.forecast_scores import Scores
from wattstorm.stream.forecast_seats import Horizon, Journal, Seat

FORECAST = ("nation", "tariff:")
"""Scopes that are forecast: regions are not."""
BEHIND = 8
"""Days that an issue time may lie behind the newest slot and still be issued."""


@dataclass
class Desk(Issuing):
    """See the module; how forecasts are made is `Issuing`'s.

    table: the models in force; bounds: of each curve what load is believed; newest: by curve and
    days ahead what was said last; mark: the newest slot heard of, -1 before any; passed: the slot
    of the last issue time.
    """

    rules: ForecastRules
    models: Models
    table: dict[Place, Stages] = field(default_factory=dict)
    weather: WeatherBook = field(default_factory=WeatherBook)
    prices: PriceBook = field(default_factory=PriceBook)
    loads: dict[str, Loads] = field(default_factory=dict)
    seats: dict[Horizon, Seat] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict)
    scores: Scores = field(default_factory=Scores)
    newest: dict[tuple[str, int], tuple[Horizon, ForecastRow]] = field(default_factory=dict)
    mark: int = -1
    passed: int = -1

    def __post_init__(self) -> None:
        self.journal: Journal = []
        self.counted: Counter[str] = Counter()
        self.rows: list[tuple[int, ForecastRow]] = []
        self._closing: dict[str, list[tuple[int, int]]] = {}

    # --- slots

    def take(self, change: SlotChange) -> None:
        """One slot's results, new or changed. What is too old to be looked at changes nothing."""
        calendar, slot = self.rules.calendar, change.slot
        day = int(calendar.dates_of([slot])[0])
        if self.mark >= 0 and slot < self.mark - BEHIND * self.rules.per_day:
            return
        at = slot - calendar.day_slots(date_of_day_number(day)).start
        for label, row in change.rows.items():
            if label.startswith(FORECAST):
                known = row.final or (row.coverage >= COVERED and row.readings > 0)
                factor = 1.0 if row.final or not row.readings else row.expected / row.readings
                self._set(label, day, at, row.wh * factor if known else np.nan, row.final)
        if slot > self.mark:
            self._change(mark=slot)

    def _set(self, label: str, day: int, at: int, wh: float, closed: bool) -> None:
        loads = self.loads.get(label)
        if loads is None:
            loads = self.loads[label] = Loads(self.rules.calendar)
            self.journal.append(lambda: self.loads.pop(label))
        if day not in loads.days:
            self.journal.append(lambda: loads.days.pop(day))
        held = loads.day(day)
        was = float(held.wh[at]), bool(held.closed[at])
        if was[1] and not closed:
            return  # final stays final, in other words of an older register
        corrected = was[1] and was[0] != wh
        waiting = self._closing.get(label)
        if closed and (corrected or (waiting and waiting[-1] >= (day, at))):
            self.learn()  # what is learned may not depend on what came after it
        if corrected:
            self.counted["corrected_slots"] += 1
            for horizon, seat in self.seats.items():
                if horizon.label == label:
                    first = day if seat.corrected is None else min(day, seat.corrected)
                    seat.set(self.journal, corrected=first)
        held.wh[at], held.closed[at] = wh, closed
        self.journal.append(lambda: _put(held, at, was))
        if closed and not was[1]:
            self._closing.setdefault(label, []).append((day, at))

    def learn(self) -> None:
        """What has closed since this was last done: each slot is learned once."""
        days = {(label, day) for label, slots in self._closing.items() for day, _ in slots}
        for label, day in sorted(days):
            seats = [seat for horizon, seat in self.seats.items() if horizon.label == label]
            if any(day in f.days for seat in seats for f in seat.learners.values()):
                bounds = self.bounds.get(label, ANY)
                load = self.loads[label].learnable(day, bounds)
                for seat in seats:
                    seat.learn(day, load, self.journal)
        self._closing.clear()

    # --- when

    def due(self) -> Iterator[Issue]:
        """Issue times that have come and were not passed yet, in order. Those long gone are passed
        without a word: they were silent days, and nobody waits for their forecasts."""
        if self.mark < 0:
            return
        if self.passed < 0:
            self._change(passed=self.mark)
        while True:
            issue = self.rules.next_after(self.passed)
            if not self._has_come(issue):
                return
            self._change(passed=issue.slot)
            if issue.slot >= self.mark - BEHIND * self.rules.per_day:
                yield issue

    def _has_come(self, issue: Issue) -> bool:
        if self.mark < issue.slot - 1:
            return False
        if self.mark >= issue.slot - 1 + self.rules.wait:
            return True
        calendar, slot = self.rules.calendar, issue.slot - 1
        days = {int(d) for d in calendar.dates_of([slot, slot - self.rules.per_day + 1])}
        for loads in self.loads.values():
            for day in days:
                start = calendar.day_slots(date_of_day_number(day)).start
                open_ = ~loads.day(day).closed if day in loads.days else np.ones(1, bool)
                asked = np.arange(len(open_)) + start
                mine = (asked < issue.slot) & (asked >= issue.slot - self.rules.per_day)
                if (open_ & mine).any():
                    return False
        return True

    # --- what is in force

    def swap(self, table: Table) -> None:
        """Other models from here on; they were opened already."""
        self.learn()
        self._change(table=dict(table))
        for horizon, seat in self.seats.items():
            seat.swap(*self._placed(horizon), self.models, self.journal)

    def tell(self, **books: Any) -> None:
        """Another book of weather or prices from here on."""
        self._change(**books)

    def govern(self, rules: ForecastRules) -> None:
        """Other issue times from here on; another zone or slot length begins anew."""
        self.learn()
        if rules.calendar.time_zone != self.rules.calendar.time_zone or (
            rules.per_day != self.rules.per_day
        ):
            self._change(
                loads={}, seats={}, bounds={}, scores=Scores(), newest={}, mark=-1, passed=-1
            )
            self._change(models=Models(self.models.root, rules.per_day))
        self._change(rules=rules)

    def _change(self, **what: Any) -> None:
        before = {name: getattr(self, name) for name in what}
        self.journal.append(lambda: vars(self).update(before))
        vars(self).update(what)

    def keep(self) -> None:
        self.learn()
        if self.mark >= 0:
            day = int(self.rules.calendar.dates_of([self.mark])[0])
            for loads in self.loads.values():
                loads.trim(day)
        self._settle()

    def undo(self) -> None:
        for back in reversed(self.journal):
            back()
        self._settle()

    def _settle(self) -> None:
        self.journal.clear()
        self.rows.clear()
        self.counted.clear()
        self._closing.clear()


def _put(held: Any, at: int, was: tuple[float, bool]) -> None:
    held.wh[at], held.closed[at] = was
