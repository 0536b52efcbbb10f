"""Amounts: energy per slot × a price per slot, with an interval that holds for the total.

Points are exact decimals, as money must be. Intervals come from whole days that may come
(`Intervals.drawn`): adding the slots' quantiles would cover far too much, treating slots as
independent far too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Days, Floats, weekday

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Amount:
    """€ of a day: the point and the central 90 % interval, exact to the cent."""

    point: Decimal
    low: Decimal
    high: Decimal


def amount(wh: npt.NDArray[np.int64], micro_eur_per_kwh: npt.NDArray[np.int64]) -> Decimal:
    """€ of energy int64[S] in Wh at prices int64[S] in millionths of a € per kWh; exact, then
    rounded to the cent, half to even."""
    units = sum(a * b for a, b in zip(wh.tolist(), micro_eur_per_kwh.tolist(), strict=True))
    return (Decimal(units) / Decimal(10**9)).quantize(CENT, ROUND_HALF_EVEN)


def day_amount(point: Floats, paths: Floats, micro_eur_per_kwh: npt.NDArray[np.int64]) -> Amount:
    """A day's amount: point float64[S] in Wh, paths float64[n, S] of days that may come."""
    sums = np.sort(paths @ (micro_eur_per_kwh / 1e9)) if len(paths) else np.array([np.nan])
    middle = amount(np.rint(point).astype(np.int64), micro_eur_per_kwh)
    if not np.isfinite(sums).all():
        return Amount(middle, middle, middle)
    low, high = np.quantile(sums, [0.05, 0.95], method="hazen")
    return Amount(middle, _cents(low), _cents(high))


def _cents(value: float) -> Decimal:
    return Decimal(repr(float(value))).quantize(CENT, ROUND_HALF_EVEN)


@dataclass(frozen=True)
class Totals:
    """% of days whose amount lay in the 90 % interval; mean width and error in % of the amount."""

    covered: float
    width: float
    error: float


def peak_prices(days: Days, slots: int) -> Floats:
    """€ per MWh of a peak and off-peak tariff: working days 8 to 20 h cost more. [days, slots]."""
    hour = np.arange(slots) * 24 / slots
    peak = (weekday(days) < 5)[:, None] & (hour >= 8) & (hour < 20)
    return np.where(peak, 230.0, 160.0)


def daily_totals(load: Floats, paths: list[Floats], days: Days, test: slice) -> Totals:
    """How the intervals of daily amounts did over the test days, at `peak_prices`."""
    prices = peak_prices(days, load.shape[1])
    inside, wide, off = [], [], []
    for day in range(test.start, test.stop):
        if len(paths[day]) < 20 or not np.isfinite(load[day]).all():
            continue
        truth = float(load[day] @ prices[day])
        sums = paths[day] @ prices[day]
        low, high = np.quantile(sums, [0.05, 0.95], method="hazen")
        inside.append(low <= truth <= high)
        wide.append((high - low) / truth)
        off.append(abs(np.median(sums) - truth) / truth)
    return Totals(*(100 * float(np.mean(v)) for v in (inside, wide, off)))
