"""Weather and prices as entries of the log: what was known when, and which version was used."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.forecast.calendar import Calendar
from models.forecast.price_book import KEPT, PriceBook
from models.forecast.weather_book import KEEP, LEAD, MOST, Vintage, WeatherBook, hundredths
from wattstorm.errors import DataError

HOUR, DAY = 3600, 86400
START = 20_000 * DAY
NO_HOLIDAYS = Calendar(np.array([], "datetime64[D]"))
SPOT = {"rules": {"spot": {"kind": "hourly"}}}
FLAT = {"rules": {"base_*": {"kind": "flat", "price": "0.2516"}}}


def run(issued: int, celsius: float, hours: int = 48, place: str = "nation") -> Vintage:
    """A run of a weather model: the same temperature for `hours` hours from its issue."""
    values = hundredths(np.full(hours, celsius))
    return Vintage(place, "temp", issued, issued, HOUR, values)


def at(*hours: float) -> np.ndarray:
    return (START + np.array(hours) * HOUR).astype(np.int64)


# ------------------------------------------------------------------ weather


def test_a_forecast_knows_the_newest_run_before_its_issue_and_none_after() -> None:
    """Three runs a day apart; each moment is of the newest that reaches it, and that is told."""
    book = WeatherBook().with_(run(START + d * DAY, float(d)) for d in range(3))
    known = book.known("nation", "temp", START + DAY + HOUR, at(0, 24, 47, 70, 73))
    assert known.values[:4].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert np.isnan(known.values[4])
    assert known.issued.tolist() == [START, *[START + DAY] * 3, -1]
    assert known.newest == START + DAY
    assert np.isnan(book.known("nation", "temp", START - 1, at(0, 24)).values).all()


def test_slots_between_two_hours_lie_on_the_line_between_and_a_hole_stays_a_hole() -> None:
    values = hundredths([10.0, 12.0, np.nan, 20.0])
    book = WeatherBook().with_([Vintage("nation", "temp", START, START, HOUR, values)])
    said = book.known("nation", "temp", START, at(-0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4)).values
    # 12.0 says nothing of half past, for what comes then is missing; the last stands for its hour
    expected = [np.nan, 10, 11, 12, np.nan, np.nan, np.nan, 20, 20, np.nan]
    np.testing.assert_array_equal(said, expected)


def test_a_run_is_not_believed_longer_than_a_week_ahead() -> None:
    book = WeatherBook().with_([run(START, 5.0, 9 * 24)])
    moments = np.array([START + LEAD, START + LEAD + HOUR])
    assert np.isfinite(book.known("nation", "temp", START + 8 * DAY, moments).values).tolist() == [
        True,
        False,
    ]


def test_a_place_of_which_nothing_was_said_has_the_nations_weather() -> None:
    book = WeatherBook().with_([run(START, 5.0), run(START, 9.0, place="north")])
    said = [book.known(p, "temp", START, at(1)).values[0] for p in ("north", "south")]
    assert said == [9.0, 5.0]
    assert np.isnan(book.known("north", "cloud", START, at(1)).values[0])


def test_the_book_is_its_text_to_the_bit_and_a_damaged_one_is_refused() -> None:
    book = WeatherBook().with_(run(START + d * DAY, d / 7) for d in range(9))
    text = book.text()
    assert WeatherBook.of(text) == book
    assert WeatherBook.of(text).text() == text
    plain = json.loads(text)
    for harm in ({"values": plain["values"][:-8]}, {"sha256": "0"}, {"vintages": [[1]]}):
        with pytest.raises(DataError, match="cannot be read"):
            WeatherBook.of(json.dumps({**plain, **harm}))
    with pytest.raises(DataError, match="schema 9"):
        WeatherBook.of(json.dumps({**plain, "schema": 9}))


def test_a_year_of_runs_stays_within_its_bounds_and_the_newest_are_kept() -> None:
    """Four runs a day of 15 days by hours; loaded twice in whatever order it is the same book."""
    runs = [run(START + k * DAY // 4, k % 30, 360) for k in range(4 * 365)]
    book = WeatherBook().with_(runs)
    assert sum(len(v.values) for v in book.vintages) <= MOST
    assert book.vintages[-1].issued == runs[-1].issued
    assert min(v.end for v in book.vintages) > runs[-1].issued - KEEP
    assert book.with_(reversed(runs)) == book
    assert len(book.text()) < 200_000


@pytest.mark.parametrize(
    ("vintage", "said"),
    [
        (run(START, 300.0), "temp of 300 in nation"),
        (Vintage("nation", "rain", START, START, HOUR, hundredths([1.0])), "weather 'rain'"),
        (Vintage("nation", "temp", START, START, DAY, hundredths([1.0])), "every 1440 minutes"),
    ],
)
def test_what_is_no_weather_is_refused_with_value_and_limit(vintage: Vintage, said: str) -> None:
    with pytest.raises(DataError, match=said):
        WeatherBook().with_([vintage])


# ------------------------------------------------------------------ prices


def hourly(day: str, first: int) -> dict[str, dict[str, dict[str, list[int]]]]:
    return {"hourly": {"spot": {day: list(range(first, first + 24))}}}


def test_hourly_prices_of_tomorrow_change_tomorrow_and_what_they_stand_in_for() -> None:
    """They come in the afternoon: the version of today's amounts stays, tomorrow's is another."""
    noon = PriceBook().with_(SPOT).with_(hourly("2025-01-10", 100))
    evening = noon.with_(hourly("2025-01-11", 300))
    (changed,) = evening.changed_since(noon)
    assert [changed.on("spot", d) for d in ("2025-01-10", "2025-01-11", "2025-01-13")] == [
        False,
        True,
        True,
    ]
    today, tomorrow = np.datetime64("2025-01-10"), np.datetime64("2025-01-11")
    versions = [
        book.priced("spot", day, 48, NO_HOLIDAYS).version
        for day in (today, tomorrow)
        for book in (noon, evening)
    ]
    assert versions[:3] == [versions[0]] * 3  # until its own arrive, tomorrow has today's
    assert versions[3] != versions[2]
    assert [b.priced("spot", tomorrow, 48, NO_HOLIDAYS).settled for b in (noon, evening)] == [
        False,
        True,
    ]
    assert evening.with_(hourly("2025-01-11", 300)).changed_since(evening) == ()


def test_a_new_price_holds_from_its_date_and_yesterdays_stays_what_it_was() -> None:
    """By the longest pattern that fits the tariff's name; an unknown tariff has no price."""
    dearer = {"rules": {"base_*": {"kind": "flat", "price": 0.3}}, "from": "2025-02-01"}
    own = {"rules": {"base_12": {"kind": "flat", "price": "0.19"}}}
    book = PriceBook().with_(FLAT).with_(dearer).with_(own)
    said = [
        int(book.priced(name, np.datetime64(day), 24, NO_HOLIDAYS).prices[0])
        for name, day in (
            ("base_6", "2025-01-31"),
            ("base_6", "2025-02-01"),
            ("base_12", "2025-02-01"),
        )
    ]
    assert said == [251_600, 300_000, 190_000]
    assert book.priced("tempo_6", np.datetime64("2025-02-01"), 24, NO_HOLIDAYS) is None


def test_the_price_book_is_its_text_and_keeps_the_newest_days() -> None:
    days = np.datetime64("2023-01-01") + np.arange(KEPT + 100)
    book = PriceBook().with_(SPOT)
    book = book.with_({"hourly": {"spot": {str(d): [i] * 24 for i, d in enumerate(days)}}})
    assert sorted(book.hourly["spot"]) == [str(d) for d in days[100:]]
    assert PriceBook.of(book.text()) == book
    with pytest.raises(DataError, match="cannot be read"):
        PriceBook.of(book.text().replace("[499", "[498", 1))


@pytest.mark.parametrize(
    ("news", "said"),
    [
        ({"rules": {"a": {"kind": "free"}}}, "kind 'free'"),
        ({"rules": {"a": {"kind": "flat", "price": 251.6e9}}}, "price"),
        ({"rules": {"a": {"kind": "periods"}}}, "lacks or garbles 'otherwise'"),
        ({"colours": {"a": {"2025-01-10": "red"}}}, "colour 'red'"),
        ({"hourly": {"spot": {"2025-01-10": [1] * 23}}, **SPOT}, "23 prices"),
        ({"hourly": {"spot": {"10 January": [1] * 24}}, **SPOT}, "day '10 January'"),
        ({"hourly": {"b": {"2025-01-10": [1] * 24}}}, "whose rule says otherwise"),
        ({"cost": {}}, "prices that say 'cost'"),
        (FLAT | {"from": "soon"}, "day 'soon'"),
    ],
)
def test_prices_that_cannot_be_meant_are_refused(news: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        PriceBook().with_(news)
