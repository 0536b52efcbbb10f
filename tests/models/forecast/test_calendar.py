"""What a date says, and which known day a day is like."""

from __future__ import annotations

import numpy as np

from models.forecast.calendar import BRIDGE, HOLIDAY, Calendar, in_break, time_of_year, weekday
from models.forecast.days import by_day
from models.forecast.trainers.holiday_dates import holiday_dates


def day(text: str) -> np.ndarray:
    return np.array([text], "datetime64[D]")


FRANCE = Calendar(holiday_dates("FR", "", 2023, 2024))


def test_ascension_thursday_is_a_holiday_and_its_friday_a_bridge() -> None:
    """2024-05-09 is Ascension; a holiday on a Sunday stays a Sunday."""
    kinds = [int(FRANCE.day_type(day(f"2024-05-{d:02d}"))[0]) for d in (7, 9, 10, 11)]
    assert kinds == [1, HOLIDAY, BRIDGE, 5]
    assert FRANCE.day_type(day("2023-01-01"))[0] == 6


def test_weekdays_and_time_of_year_follow_the_calendar() -> None:
    assert weekday(day("2024-02-29"))[0] == 3
    assert time_of_year(day("2024-01-01"))[0] == 0
    assert time_of_year(day("2023-12-31"))[0] == 364 / 365
    assert in_break(day("2024-01-02"), (12, 22), (1, 3))[0]
    assert not in_break(day("2024-01-04"), (12, 22), (1, 3))[0]


def test_the_naive_day_skips_a_holiday_and_swaps_a_holiday_for_a_sunday() -> None:
    """A week after Ascension, two weeks back; on Ascension itself, the Sunday before."""
    after, ascension = day("2024-05-16"), day("2024-05-09")
    assert FRANCE.same_day_before(after, after - 1)[0] == np.datetime64("2024-05-02")
    assert FRANCE.same_day_before(ascension, ascension - 1)[0] == np.datetime64("2024-05-05")
    monday = day("2024-05-13")
    assert FRANCE.same_day_before(monday, monday - 2)[0] == np.datetime64("2024-05-06")


def test_clock_changes_leave_whole_days() -> None:
    """In March the missing hour takes its neighbours' mean, in October the double one its own."""
    start = np.datetime64("2024-01-01", "s").astype(np.int64)
    epoch = start + 3600 * np.arange(24 * 366)
    table = by_day(epoch, {"x": np.arange(len(epoch), dtype=float)}, "Europe/Paris", 60)
    march = int((np.datetime64("2024-03-31") - table.days[0]).astype(int))
    october = int((np.datetime64("2024-10-27") - table.days[0]).astype(int))
    x = table.values["x"]
    assert not table.exists[march, 2]
    assert table.exists.sum() == table.exists.size - 1
    assert x[march, 1] < x[march, 2] < x[march, 3]
    assert x[march, 3] - x[march, 1] == 1
    assert x[october, 3] - x[october, 2] == 1.5
