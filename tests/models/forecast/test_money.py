"""Prices slot by slot, amounts to the cent, and totals that add up."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from models.forecast.calendar import Calendar
from models.forecast.hierarchy import reconciled
from models.forecast.money import amount, day_amount
from models.forecast.prices import Tariff, micro_eur
from wattstorm.errors import DataError

NO_HOLIDAYS = Calendar(np.array(["2024-05-01"], "datetime64[D]"))
PEAK = {
    "kind": "periods",
    "periods": [{"from": "06:00", "to": "22:00", "days": "mon-fri", "price": 0.25}],
    "otherwise": "0.125",
}


def day(text: str) -> np.datetime64:
    return np.datetime64(text, "D")


def test_peak_hours_are_those_of_working_days_and_a_holiday_is_a_sunday() -> None:
    """2024-04-30 is a Tuesday, 1 May a holiday, 4 May a Saturday."""
    tariff = Tariff("peak", PEAK)
    count = [
        int((tariff.day(day(d), 48, NO_HOLIDAYS).prices == 250_000).sum())
        for d in ("2024-04-30", "2024-05-01", "2024-05-04")
    ]
    assert count == [32, 0, 0]


def test_a_period_may_run_over_midnight() -> None:
    night = {"periods": [{"from": "22:00", "to": "06:00", "price": 0.1}], "otherwise": 0.2}
    prices = Tariff("night", night).day(day("2024-04-30"), 24, NO_HOLIDAYS).prices
    assert np.flatnonzero(prices == 100_000).tolist() == [0, 1, 2, 3, 4, 5, 22, 23]


def test_a_colour_that_was_not_announced_is_the_usual_one_and_not_settled() -> None:
    rule = {
        "kind": "colours",
        "usual": "blue",
        "colours": {"blue": {"otherwise": 0.16}, "red": {"otherwise": 0.76}},
    }
    before = Tariff("days", rule)
    after = Tariff("days", rule, colours={"2024-01-10": "red"})
    guess, sure = (t.day(day("2024-01-10"), 48, NO_HOLIDAYS) for t in (before, after))
    assert (int(guess.prices[0]), guess.settled) == (160_000, False)
    assert (int(sure.prices[0]), sure.settled) == (760_000, True)
    assert guess.version != sure.version


def test_hourly_prices_stand_in_for_the_next_day_until_its_own_arrive() -> None:
    """Negative ones, too; an hour's price is that of its half hours."""
    hours = np.arange(-5, 19, dtype=np.int64) * 10_000
    tariff = Tariff("spot", {"kind": "hourly"}, hourly={"2024-01-10": hours})
    known = tariff.day(day("2024-01-10"), 48, NO_HOLIDAYS)
    assert known.settled
    assert known.prices[:3].tolist() == [-50_000, -50_000, -40_000]
    assert not tariff.day(day("2024-01-11"), 48, NO_HOLIDAYS).settled
    with pytest.raises(DataError, match="no price up to"):
        tariff.day(day("2024-01-09"), 48, NO_HOLIDAYS)


@pytest.mark.parametrize("price", ["cheap", "nan", 1e9, "0.12345678", None])
def test_what_is_no_price_is_refused(price: object) -> None:
    with pytest.raises(DataError, match="price"):
        micro_eur(price)


def test_an_amount_is_exact_where_floats_are_not() -> None:
    """A nation's day, 10^12 Wh a slot: every cent is right, halves go to the even one."""
    wh = np.full(48, 10**12 + 1, np.int64)
    prices = np.full(48, 195_201, np.int64)
    exact = Decimal(48 * (10**12 + 1) * 195_201) / 10**9
    assert amount(wh, prices) == round(exact, 2)
    assert amount(np.array([25]), np.array([200_000])) == Decimal("0.00")
    assert amount(np.array([75]), np.array([200_000])) == Decimal("0.02")


def test_an_interval_of_a_day_takes_whole_days_of_errors() -> None:
    """Errors that go together make the day's interval as wide as their sum."""
    point, prices = np.full(48, 1000.0), np.full(48, 1_000_000, np.int64)
    together = point + np.linspace(-100, 100, 60)[:, None]
    alone = (
        point
        + np.random.default_rng(1).permuted(np.tile(np.linspace(-100, 100, 60), (48, 1)), axis=1).T
    )
    wide, narrow = (day_amount(point, paths, prices) for paths in (together, alone))
    assert wide.point == Decimal("48.00")
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_reconciled_forecasts_add_up_and_the_least_sure_moves_most() -> None:
    total, parts = np.array([110.0, np.nan]), np.array([[60.0, 60.0], [40.0, 40.0]])
    mean, moved = reconciled(total, parts, np.array([[9.0, 9.0], [1.0, 1.0]]))
    assert mean[0] == 105
    assert moved[:, 0].tolist() == [64.5, 40.5]
    assert np.isnan(mean[1])
    assert moved[:, 1].tolist() == [60, 40]
