"""Where forecasts are made: the loads of the last weeks, the seats, the books; undoable.

Event time alone decides. An issue time has come when every slot before it has closed in all
curves, or at the latest once a slot `wait` behind it was heard of: then what is not closed
counts as known where most meters have reported, and as unknown elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.forecast.calendar import Calendar, Floats
from models.forecast.forecaster import Forecaster
from models.forecast.intraday import rest_of_day
from models.forecast.loads import COVERED, Loads, bounds_of
from models.forecast.price_book import PriceBook
from models.forecast.trusted import trusted
from models.forecast.weather_book import WeatherBook
from wattstorm.metering.forecasts import ForecastRow
from wattstorm.metering.results import SlotChange
from wattstorm.metering.slots import date_of_day_number
from wattstorm.stream.forecast_inputs import NO_HOLIDAYS, Inputs, lacking
from wattstorm.stream.forecast_models import Models, Place, Stages, Table
from wattstorm.stream.forecast_rows import Said, added_up, row_of
from wattstorm.stream.forecast_rules import ForecastRules, Issue
from wattstorm.stream.forecast_scores import Scores
from wattstorm.stream.forecast_seats import Horizon, Journal, Seat

FORECAST = ("nation", "tariff:")
"""Scopes that are forecast: regions are not."""
BEHIND = 8
"""Days that an issue time may lie behind the newest slot and still be issued."""
Bounds = tuple[float, float]


@dataclass
class Desk:
    """See the module. table: the models in force; bounds: of each curve what load is believed;
    mark: the newest slot heard of, -1 before any; passed: the slot of the last issue time."""

    rules: ForecastRules
    models: Models
    table: dict[Place, Stages] = field(default_factory=dict)
    weather: WeatherBook = field(default_factory=WeatherBook)
    prices: PriceBook = field(default_factory=PriceBook)
    loads: dict[str, Loads] = field(default_factory=dict)
    seats: dict[Horizon, Seat] = field(default_factory=dict)
    bounds: dict[str, Bounds] = field(default_factory=dict)
    scores: Scores = field(default_factory=Scores)
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
                bounds = self.bounds.get(label, (-np.inf, np.inf))
                load = self.loads[label].learnable(day, bounds)
                for seat in seats:
                    seat.learn(day, load, self.journal)
        self._closing.clear()

    # --- issue times

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

    def issue(self, issue: Issue, position: int) -> None:
        """All forecasts of an issue time: published rows are in `rows` then."""
        self.learn()
        inputs = Inputs(self.rules.calendar, self.weather, issue)
        leads = (0, 1) if issue.place == 0 else (1,)
        said: dict[int, dict[str, Said]] = {lead: {} for lead in (0, 1)}
        told: dict[tuple[int, str], dict[str, Any]] = {}
        for label in sorted(self.loads):
            self._change(scores=self.scores.counted(label, self.loads[label], issue.day))
            table = self._table(label, issue)
            if issue.place:
                self._rest(label, issue, said[0], told)
            for lead in leads:
                horizon = Horizon(label, issue.place, lead)
                one = self._forecast(horizon, inputs, table, issue, told)
                if one is not None:
                    said[lead][label] = one
                    point = one.point
                    if lead == 0:  # stands in for what tomorrow's forecast cannot know yet
                        table[-2] = np.where(np.isnan(table[-2]), point, table[-2])
        for lead, of in said.items():
            for label, one in added_up(of).items():
                self._publish(Horizon(label, issue.place, lead), one, issue, position, told)

    def _table(self, label: str, issue: Issue) -> Floats:
        """float64[days, S] up to tomorrow, as it is known at issue; what is believed from here."""
        table = trusted(self.loads[label].table(issue.day + 1, issue.slot))
        self._change(bounds={**self.bounds, label: bounds_of(table[:-2])})
        return table

    def _forecast(
        self,
        horizon: Horizon,
        inputs: Inputs,
        table: Floats,
        issue: Issue,
        told: dict[tuple[int, str], dict[str, Any]],
    ) -> Said | None:
        """What a seat says; None where nothing is known yet."""
        target = issue.day + horizon.lead
        seat = self._seat(horizon, table)
        rows = table if horizon.lead else table[:-1]

        def values(forecaster: Forecaster) -> dict[str, Floats]:
            known, eve = forecaster.models.known, rows
            if horizon.lead and known == self.rules.per_day:
                eve = self._eve(horizon, rows, issue)
            return inputs.values(horizon.label, horizon.lead, eve, forecaster)

        answer = seat.forecast(target, values, self.journal)
        own = values(seat.forecaster)
        if not np.isfinite(answer.point).all():
            self.counted["silent_forecasts"] += 1
            return None
        members = seat.forecaster.members
        asleep = [m.name for m, awake in zip(members, answer.awake, strict=True) if not awake.any()]
        told[horizon.lead, horizon.label] = {
            "model": seat.name,
            "version": seat.live,
            "weather": inputs.vintages.get(horizon.label, -1),
            "asleep": tuple(asleep),
            "missing": lacking(own, seat.forecaster),
        }
        scale = seat.forecaster.days[target].scale
        return Said(answer.point, answer.quantiles, answer.paths, scale, own["naive"])

    def _eve(self, horizon: Horizon, rows: Floats, issue: Issue) -> Floats:
        """The rest of today is not known to tomorrow's forecast: today's stands in."""
        today = self.scores.newest(horizon.label, issue.day)
        if today is None:
            return rows
        out = rows.copy()
        late = np.arange(rows.shape[1]) >= issue.place
        out[-2] = np.where(late & np.isnan(out[-2]), today, out[-2])
        return out

    def _rest(
        self,
        label: str,
        issue: Issue,
        said: dict[str, Said],
        told: dict[tuple[int, str], dict[str, Any]],
    ) -> None:
        """The rest of the day that has begun, by what was missed so far."""
        seat = self.seats.get(Horizon(label, 0, 0))
        point = self.scores.newest(label, issue.day)
        if seat is None or point is None or not seat.learners:
            return
        intervals = seat.forecaster.intervals
        scale = intervals.scale()
        load = self.loads[label].learnable(issue.day, self.bounds.get(label, (-np.inf, np.inf)))
        rest = rest_of_day(point, scale, load, intervals, issue.place)
        said[label] = Said(*rest, scale, np.full(len(point), np.nan))
        told[0, label] = {"model": seat.name, "version": seat.live}

    def _publish(
        self,
        horizon: Horizon,
        one: Said,
        issue: Issue,
        position: int,
        told: Mapping[tuple[int, str], dict[str, Any]],
    ) -> None:
        label, place, lead = horizon
        day, begins = issue.day + lead, issue.place if not lead else 0
        more = told[lead, label]
        accuracy = self.scores.accuracy(horizon, issue.day)
        if lead or not place:
            self._change(scores=self.scores.told(horizon, day, one.point, one.naive))
        row = row_of(
            one,
            self.rules.calendar,
            day,
            begins,
            {
                "label": label,
                "issued": issue.slot,
                "position": position,
                "accuracy": accuracy,
                **more,
            },
        )
        self.rows.append((lead, row))

    def _seat(self, horizon: Horizon, table: Floats) -> Seat:
        seat = self.seats.get(horizon)
        if seat is None:
            seat = self.seats[horizon] = Seat(horizon)
            self.journal.append(lambda: self.seats.pop(horizon))
            seat.swap(*self._placed(horizon), self.models, self.journal)
        if seat.live not in seat.learners:
            known = table[np.isfinite(table)]
            sd = np.full(table.shape[1], max(float(known.std()), 1.0) if known.size else 1.0)
            seat.without_model(sd, self.holidays(), self.journal)
        return seat

    def _placed(self, horizon: Horizon) -> tuple[Place | None, Stages]:
        """The models that sit at a horizon by the table in force."""
        for place in horizon.places(self.rules.per_day):
            if place in self.table:
                return place, self.table[place]
        return None, Stages()

    def holidays(self) -> Calendar:
        """Of any model in force: the naive forecast has no list of its own."""
        for (curve, _), stages in sorted(self.table.items()):
            if stages.live:
                return self.models.open(curve, stages.live).calendar
        return NO_HOLIDAYS

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
            self._change(loads={}, seats={}, bounds={}, scores=Scores(), mark=-1, passed=-1)
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
