"""What a kilowatt-hour costs, slot by slot: tariffs as data, in versions.

A price is an integer, millionths of a € per kWh, so that amounts are exact. Four kinds:

    flat      {"kind": "flat", "price": 0.1952}
    periods   {"kind": "periods", "periods": [{"from": "06:00", "to": "22:00", "days": "mon-fri",
               "price": 0.2068}], "otherwise": 0.1565}
    colours   {"kind": "colours", "colours": {"blue": PERIODS, "red": PERIODS}, "usual": "blue"},
              with the day's colour announced the day before
    hourly    prices of each slot of a day, arriving in the afternoon of the day before

Where a colour or an hourly price has not arrived yet the forecast in € says so: `usual` or the
same slot of the last known day stands in, and `Priced.settled` is False.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Calendar, weekday
from wattstorm.errors import DataError

MicroEur = npt.NDArray[np.int64]
"""int64[S], millionths of a € per kWh."""
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MOST: Final = 10**9
"""1000 € per kWh: beyond it a price is a mistake of units."""


def micro_eur(price: object) -> int:
    """A price in € per kWh, number or text, as an integer; DataError if it is none.

    >>> micro_eur("0.1952"), micro_eur(-0.05)
    (195200, -50000)
    """
    try:
        exact = Decimal(str(price)) * 10**6
        rounded = int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        raise DataError(f"price {price!r}", "give € per kWh, such as 0.1952") from None
    if rounded != exact or abs(rounded) > MOST:
        raise DataError(f"price {price!r}", "at most six decimals, below 1000 € per kWh")
    return rounded


@dataclass(frozen=True)
class Priced:
    """A day's prices, the version of the tariff they come from, and whether all had arrived."""

    prices: MicroEur
    version: str
    settled: bool


@dataclass(frozen=True)
class Tariff:
    """A tariff in one version. rule: as above, in JSON. colours: date to colour, hourly: date to
    int64[S], both as announced so far."""

    name: str
    rule: Mapping[str, Any]
    colours: Mapping[str, str] = field(default_factory=dict)
    hourly: Mapping[str, MicroEur] = field(default_factory=dict)

    def day(self, day: np.datetime64, slots: int, calendar: Calendar) -> Priced:
        """Prices of each slot of a local day."""
        if self.rule.get("kind") == "hourly":
            return self._hourly(day, slots)
        rule, told = self.rule, ""
        if rule.get("kind") == "colours":
            told = self.colours.get(str(day), "")
            rule = _known(rule["colours"], told or rule["usual"], "colour")
        settled = bool(told) or rule is self.rule
        if rule.get("kind", "periods") == "flat":
            prices = np.full(slots, micro_eur(rule["price"]))
        else:
            prices = _periods(rule, day, slots, calendar)
        return Priced(prices, self._version(told), settled)

    def _hourly(self, day: np.datetime64, slots: int) -> Priced:
        """The day's own prices, or those of the last day that has some."""
        past = max((d for d in self.hourly if d <= str(day)), default="")
        if not past:
            raise DataError(f"tariff {self.name!r} has no price up to {day}", "load its prices")
        prices = self.hourly[past]
        if slots % len(prices):
            raise DataError(f"{len(prices)} prices for {slots} slots", "give one a slot or an hour")
        version = self._version([past, prices.tolist()])
        return Priced(np.repeat(prices, slots // len(prices)), version, past == str(day))

    def _version(self, told: Any) -> str:
        """Twelve letters of what the prices follow from: the rule, and what was announced."""
        text = json.dumps([self.name, self.rule, told], sort_keys=True, default=dict)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def _known(of: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in of:
        raise DataError(f"{what} {name!r} is not in the tariff", f"it knows {', '.join(of)}")
    return of[name]


def _periods(
    rule: Mapping[str, Any], day: np.datetime64, slots: int, calendar: Calendar
) -> MicroEur:
    """The first period that a slot begins in sets its price. A holiday counts as Sunday."""
    one = np.array([day], "datetime64[D]")
    today = 6 if calendar.is_holiday(one)[0] else int(weekday(one)[0])
    start = np.arange(slots) * 1440 // slots
    prices = np.full(slots, micro_eur(rule["otherwise"]))
    for period in reversed(rule.get("periods", [])):
        if today in _days(period.get("days", "mon-sun")):
            low, high = _minute(period["from"]), _minute(period["to"])
            over_midnight = (start >= low) | (start < high)
            inside = (start >= low) & (start < high) if low < high else over_midnight
            prices[inside] = micro_eur(period["price"])
    return prices


def _days(text: str) -> range:
    """`mon-fri` or `sat`, as numbers.

    >>> list(_days("sat-sun"))
    [5, 6]
    """
    first, _, last = text.partition("-")
    low, high = (
        _known({d: i for i, d in enumerate(DAYS)}, x, "day") for x in (first, last or first)
    )
    return range(low, high + 1)


def _minute(text: str) -> int:
    """Minutes after midnight of `06:30`; `24:00` is the day's end."""
    hour, _, minute = text.partition(":")
    if not (hour.isdigit() and minute.isdigit() and int(hour) * 60 + int(minute) <= 1440):
        raise DataError(f"time {text!r}", "write HH:MM")
    return int(hour) * 60 + int(minute)
