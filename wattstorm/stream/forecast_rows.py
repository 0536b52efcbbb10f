"""From what forecasters say to what is published: totals that add up, whole Wh, amounts in €."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from models.forecast.calendar import Calendar, Floats
from models.forecast.hierarchy import reconciled
from models.forecast.loads import in_time
from models.forecast.money import amount, day_amount
from models.forecast.price_book import PriceBook
from models.forecast.prices import MicroEur
from wattstorm.metering.forecasts import LEVELS, ForecastRow, Money
from wattstorm.metering.slots import LocalCalendar, date_of_day_number

TOTAL = "nation"
FEW = 20
"""Whole days of errors from which on they say how far totals may err."""


@dataclass
class Said:
    """One curve's forecast of a day by the clock. point, scale, naive: float64[S]; quantiles:
    float64[L, S]; paths: float64[n, S]."""

    point: Floats
    quantiles: Floats
    paths: Floats
    scale: Floats
    naive: Floats

    def safe(self) -> Said:
        """While few whole days of errors are known, the curves of the quantiles stand for days that
        may come: their sums are too far apart rather than too near."""
        return self if len(self.paths) >= FEW else replace(self, paths=self.quantiles)

    def moved(self, point: Floats) -> Said:
        """The same with another point: all that is around it goes with it."""
        by = point - self.point
        return replace(self, point=point, quantiles=self.quantiles + by, paths=self.paths + by)


def added_up(said: Mapping[str, Said]) -> dict[str, Said]:
    """The nation and its tariffs, so that they add up to the Wh; others as they are."""
    whole = {label: one.moved(np.rint(one.point)) for label, one in said.items()}
    parts = [label for label in said if label.startswith("tariff:")]
    if TOTAL not in said or not parts:
        return whole
    points = np.stack([said[label].point for label in parts])
    variance = np.stack([said[label].scale ** 2 for label in parts])
    _, shared = reconciled(said[TOTAL].point, points, variance)
    shared = np.rint(shared)
    for label, point in zip(parts, shared, strict=True):
        whole[label] = said[label].moved(point)
    whole[TOTAL] = said[TOTAL].moved(shared.sum(axis=0))
    return whole


def row_of(
    said: Said, calendar: LocalCalendar, day: int, place: int, told: Mapping[str, Any]
) -> ForecastRow:
    """The row of a day from the clock's `place` on. told: what else it says."""
    number = date_of_day_number(day)
    slots = calendar.day_slots(number)
    point = in_time(said.point, calendar, day)
    paths, levels = in_time(said.paths, calendar, day), in_time(said.quantiles, calendar, day)
    first = int((clock_at(calendar, day) >= place).argmax())
    point, paths, levels = point[first:], paths[:, first:], levels[:, first:]
    sums = np.quantile(paths.sum(axis=1), [0.05, 0.95], method="hazen") if len(paths) else None
    total = int(point.sum())
    low, high = (total, total) if sums is None else (round(s) for s in sums.tolist())
    return ForecastRow(
        day=day,
        first=slots.start + first,
        wh=whole_wh(point),
        quantiles={q: whole_wh(row) for q, row in zip(LEVELS, levels, strict=True)},
        total=total,
        low=low,
        high=high,
        **told,
    )


def clock_at(calendar: LocalCalendar, day: int) -> Any:
    return in_time(np.arange(calendar.grid.per_day) * 1.0, calendar, day)


def whole_wh(values: Floats) -> tuple[int, ...]:
    return tuple(np.rint(values).astype(np.int64).tolist())


@dataclass(frozen=True)
class Priced:
    """Prices of the slots in time, int64[n], the version and whether all were announced."""

    micro_eur: MicroEur
    version: str
    settled: bool


def priced(
    rows: list[ForecastRow],
    paths: Mapping[str, Floats],
    book: PriceBook,
    calendar: LocalCalendar,
    holidays: Calendar,
) -> list[ForecastRow]:
    """The rows of one day with their amounts: each tariff's that has prices, the nation's where all
    have. paths: by label, float64[n, slots of the row]."""
    parts: list[tuple[ForecastRow, Priced, Money]] = []
    out: dict[str, ForecastRow] = {}
    for row in rows:
        kind, _, tariff = row.label.partition(":")
        if kind == "tariff":
            found = prices_of(book, tariff, calendar, row.day, row.first, holidays)
            money = money_of(row, paths[row.label], found) if found else None
            out[row.label] = replace(row, money=money)
            if found and money:
                parts.append((row, found, money))
    for row in rows:
        if row.label == TOTAL:
            whole = bool(parts) and len(parts) == len(out)
            money = national_money(row, paths[TOTAL], parts) if whole else None
            out[TOTAL] = replace(row, money=money)
    return [out.get(row.label, row) for row in rows]


def prices_of(
    book: PriceBook, tariff: str, calendar: LocalCalendar, day: int, first: int, holidays: Calendar
) -> Priced | None:
    """Of a tariff in the slots of a day from the first one told; None if there are none."""
    found = book.priced(
        tariff, np.datetime64(date_of_day_number(day)), calendar.grid.per_day, holidays
    )
    if found is None:
        return None
    start = calendar.day_slots(date_of_day_number(day)).start
    in_order = in_time(found.prices, calendar, day)[first - start :]
    return Priced(in_order, found.version, found.settled)


def money_of(row: ForecastRow, paths: Floats, priced: Priced) -> Money:
    """A tariff's amounts. paths: float64[n, slots of the row]."""
    wh = np.array(row.wh, np.int64)
    whole = day_amount(wh.astype(np.float64), paths, priced.micro_eur)
    each = tuple(str(amount(wh[i : i + 1], priced.micro_eur[i : i + 1])) for i in range(len(wh)))
    return Money(
        str(whole.point), str(whole.low), str(whole.high), priced.version, priced.settled, each
    )


def national_money(
    row: ForecastRow, paths: Floats, parts: list[tuple[ForecastRow, Priced, Money]]
) -> Money:
    """The nation's: its tariffs' amounts together; the interval of its own paths, at the mean
    price of each slot."""
    wh = np.stack([np.array(part.wh, np.float64) for part, _, _ in parts])
    micro = np.stack([priced.micro_eur for _, priced, _ in parts])
    mean = (wh * micro).sum(axis=0) / np.maximum(wh.sum(axis=0), 1.0)
    around = day_amount(np.array(row.wh, np.float64), paths, mean)
    each = [sum((Decimal(m.slots[i]) for _, _, m in parts), Decimal()) for i in range(len(row.wh))]
    return Money(
        str(sum((Decimal(money.point) for _, _, money in parts), Decimal())),
        str(around.low),
        str(around.high),
        "+".join(sorted({priced.version for _, priced, _ in parts})),
        all(priced.settled for _, priced, _ in parts),
        tuple(map(str, each)),
    )
