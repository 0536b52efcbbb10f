"""How the forecasts of an issue time are made: the part of the desk that asks the seats."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.forecast.calendar import Calendar, Floats
from models.forecast.forecaster import Forecaster
from models.forecast.intraday import rest_of_day
from models.forecast.loads import Loads, bounds_of, in_time
from models.forecast.price_book import PriceBook
from models.forecast.trusted import trusted
from models.forecast.weather_book import WeatherBook
from wattstorm.metering.forecasts import ForecastRow
from wattstorm.metering.slots import date_of_day_number
from wattstorm.stream.forecast_inputs import NO_HOLIDAYS, Inputs, lacking
from wattstorm.stream.forecast_models import Models, Place, Stages
from wattstorm.stream.forecast_rows import FEW, Said, added_up, priced, row_of
from wattstorm.stream.forecast_rules import ForecastRules, Issue
from wattstorm.stream.forecast_scores import Scores
from wattstorm.stream.forecast_seats import Horizon, Journal, Seat

if TYPE_CHECKING:
    from collections.abc import Callable

Bounds = tuple[float, float]
ANY: Bounds = -np.inf, np.inf
Told = dict[tuple[int, str], dict[str, Any]]
"""By days ahead and label, what a row says beside its numbers."""


class Issuing:
    """The part of a `Desk` that forecasts; what the fields are is said there."""

    rules: ForecastRules
    models: Models
    table: dict[Place, Stages]
    weather: WeatherBook
    prices: PriceBook
    loads: dict[str, Loads]
    seats: dict[Horizon, Seat]
    bounds: dict[str, Bounds]
    scores: Scores
    newest: dict[tuple[str, int], tuple[Horizon, ForecastRow]]
    mark: int
    journal: Journal
    counted: Counter[str]
    rows: list[tuple[int, ForecastRow]]
    learn: Callable[[], None]
    _change: Callable[..., None]

    def issue(self, issue: Issue, position: int) -> None:
        """All forecasts of an issue time: published rows are in `rows` then."""
        self.learn()
        inputs = Inputs(self.rules.calendar, self.weather, issue)
        leads = (0, 1) if issue.place == 0 else (1,)
        said: dict[int, dict[str, Said]] = {lead: {} for lead in (0, 1)}
        told: Told = {}
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
            added = added_up(of)
            rows = [
                self._row(Horizon(label, issue.place, lead), one, issue, position, told)
                for label, one in added.items()
            ]
            drawn = {row.label: self._in_row(row, added[row.label].paths) for row in rows}
            for row in priced(rows, drawn, self.prices, self.rules.calendar, self.holidays()):
                self._say(lead, Horizon(row.label, issue.place, lead), row)
                self.counted["forecasts"] += 1

    def _in_row(self, row: ForecastRow, by_clock: Any) -> Any:
        """[..., slots of the row] of [..., S]."""
        start = self.rules.calendar.day_slots(date_of_day_number(row.day)).start
        return in_time(by_clock, self.rules.calendar, row.day)[..., row.first - start :]

    def price_again(self, position: int) -> None:
        """Other prices: what was said last of days that are not over is told again with its
        amounts, its energy as it was. The intervals are those of the errors as they stand."""
        today = int(self.rules.calendar.dates_of([self.mark])[0]) if self.mark >= 0 else 0
        for lead in (0, 1):
            held = [of for (_, ahead), of in self.newest.items() if ahead == lead]
            told = [(horizon, row) for horizon, row in held if row.day >= today]
            drawn = {row.label: self._paths_of(horizon, row) for horizon, row in told}
            rows = [row for _, row in told]
            for row in priced(rows, drawn, self.prices, self.rules.calendar, self.holidays()):
                horizon, before = self.newest[row.label, lead]
                if row.money != before.money:
                    self._say(lead, horizon, replace(row, position=position))
                    self.counted["priced_again"] += 1

    def _paths_of(self, horizon: Horizon, row: ForecastRow) -> Floats:
        """float64[n, slots of the row]: what may come instead of what a row says."""
        seat = self.seats[horizon if horizon.lead else Horizon(row.label, 0, 0)]
        held = seat.live in seat.learners and seat.forecaster.intervals
        if not held or np.isfinite(held.paths).all(axis=1).sum() < FEW:
            return np.array(list(row.quantiles.values()), np.float64)
        errors = held.drawn(np.zeros(self.rules.per_day))
        return np.asarray(self._in_row(row, errors) + np.array(row.wh, np.float64))

    def _say(self, lead: int, horizon: Horizon, row: ForecastRow) -> None:
        self._change(newest={**self.newest, (row.label, lead): (horizon, row)})
        self.rows.append((lead, row))

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
        told: Told,
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

        self._correct(seat, issue, target)
        seat.remember(target, self.journal)
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
        return Said(answer.point, answer.quantiles, answer.paths, scale, own["naive"]).safe()

    def _correct(self, seat: Seat, issue: Issue, target: int) -> None:
        """What closed slots said was corrected since they taught: those days are learned again,
        from the state before the first of them was forecast, with what the loads are now."""
        since = seat.corrected
        if since is None:
            return
        seat.set(self.journal, corrected=None)
        base = next((b for b in reversed(seat.bases) if b.day <= since), None)
        if base is None:
            self.counted["corrections_too_late"] += 1
            return
        label, place, lead = seat.horizon
        then: dict[int, tuple[Inputs, Floats]] = {}

        def values(forecaster: Forecaster, day: int) -> dict[str, Floats]:
            if day not in then:
                was = next(i for i in self.rules.of_day(day - lead) if i.place == place)
                table = trusted(self.loads[label].table(day, was.slot))
                if lead:
                    table[-2] = np.where(np.isnan(table[-2]), self._stood_in(label, day), table[-2])
                then[day] = Inputs(self.rules.calendar, self.weather, was), table
            inputs, table = then[day]
            return inputs.values(label, lead, table, forecaster)

        def learn(forecaster: Forecaster, day: int) -> None:
            for past in sorted(forecaster.days):
                load = self.loads[label].learnable(past, self.bounds.get(label, ANY))
                if past >= day - lead:
                    known = past == day - lead and day < target
                    early = np.arange(len(load)) < (place if known else 0)
                    load = load if day == target else np.where(early, load, np.nan)
                forecaster.learn(past, load)

        seat.again(base, target, learn, values, self.journal)
        self.counted["learned_again"] += 1

    def _stood_in(self, label: str, day: int) -> Any:
        """What stood for the eve of `day` where it was not known yet, float64[S] or NaN."""
        seat = self.seats.get(Horizon(label, 0, 0))
        held = seat.forecaster.days.get(day - 1) if seat and seat.live in seat.learners else None
        return held.point if held else np.nan

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
        told: Told,
    ) -> None:
        """The rest of the day that has begun, by what was missed so far."""
        seat = self.seats.get(Horizon(label, 0, 0))
        point = self.scores.newest(label, issue.day)
        if seat is None or point is None or seat.live not in seat.learners:
            return
        intervals = seat.forecaster.intervals
        scale = intervals.scale()
        load = self.loads[label].learnable(issue.day, self.bounds.get(label, ANY))
        rest = rest_of_day(point, scale, load, intervals, issue.place)
        said[label] = Said(*rest, scale, np.full(len(point), np.nan)).safe()
        told[0, label] = {"model": seat.name, "version": seat.live}

    def _row(
        self,
        horizon: Horizon,
        one: Said,
        issue: Issue,
        position: int,
        told: Told,
    ) -> ForecastRow:
        label, place, lead = horizon
        day, begins = issue.day + lead, issue.place if not lead else 0
        more = {
            "label": label,
            "issued": issue.slot,
            "position": position,
            "accuracy": self.scores.accuracy(horizon, issue.day),
            **told[lead, label],
        }
        if lead or not place:
            self._change(scores=self.scores.told(horizon, day, one.point, one.naive))
        return row_of(one, self.rules.calendar, day, begins, more)

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
