"""What a date says about the load: day type, holidays, bridges, time of year, clock changes.

numpy alone: the dates of the holidays come as an array. A trainer asks the `holidays` package for
them (`models/forecast/trainers/holiday_dates.py`) and writes them into the artefact, so that
a worker scores with the very days that the model was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

HOLIDAY, BRIDGE = 7, 8
"""Day types after Monday (0) to Sunday (6)."""
TYPES = 9
TURNS = 5
"""How a day follows the one before: see `Calendar.turn`."""


def weekday(days: Days) -> npt.NDArray[np.int64]:
    """Monday 0 to Sunday 6; 1970-01-01 was a Thursday."""
    return (days.astype("datetime64[D]").astype(np.int64) + 3) % 7


def time_of_year(days: Days) -> Floats:
    """0 on 1 January to just below 1 on 31 December."""
    year = days.astype("datetime64[Y]")
    start, end = year.astype("datetime64[D]"), (year + 1).astype("datetime64[D]")
    return np.asarray((days - start).astype(np.float64) / (end - start).astype(np.float64))


def in_break(days: Days, first: tuple[int, int], last: tuple[int, int]) -> Flags:
    """Whether a day lies from `first` to `last` (month, day), over the new year if need be."""
    month = days.astype("datetime64[M]")
    of_year = month.astype(np.int64) % 12 + 1
    day = (days - month.astype("datetime64[D]")).astype(np.int64) + 1
    at = of_year * 100 + day
    low, high = first[0] * 100 + first[1], last[0] * 100 + last[1]
    return np.asarray((at >= low) & (at <= high) if low <= high else (at >= low) | (at <= high))


@dataclass(frozen=True)
class Calendar:
    """Dates with the holidays that apply. holidays: datetime64[D], sorted."""

    holidays: Days

    def is_holiday(self, days: Days) -> Flags:
        return np.isin(days, self.holidays)

    def day_type(self, days: Days) -> npt.NDArray[np.int64]:
        """0 to 6 the weekday, 7 a holiday on a working day, 8 a bridge; on Saturday a holiday
        is a Sunday.

        A bridge is a working Monday before a holiday, or a working Friday after one.
        """
        day, holiday = weekday(days), self.is_holiday(days)
        bridge = (day == 0) & self.is_holiday(days + 1) | (day == 4) & self.is_holiday(days - 1)
        kind = np.where(bridge, BRIDGE, day)
        return np.where(holiday, np.where(day < 5, HOLIDAY, 6), kind)

    def turn(self, days: Days, back: int = 1) -> npt.NDArray[np.int64]:
        """How a day follows the one `back` days before, whose load is known: 0 work after work,
        1 work after rest, 2 Saturday, 3 rest after Saturday, 4 rest after another day."""

        def rest(at: Days) -> Flags:
            return np.isin(self.day_type(at), (6, HOLIDAY))

        before = days - back
        work = np.where(rest(before) | (weekday(before) == 5), 1, 0)
        off = np.where(weekday(before) == 5, 3, 4)
        return np.where(rest(days), off, np.where(weekday(days) == 5, 2, work))

    def same_day_before(self, days: Days, known_until: Days) -> Days:
        """The last known day like each day: a week before, or on holidays the last Sunday.

        A week before that was itself a holiday says little of an ordinary day: then two weeks
        before, up to four. known_until: the last whole day known when each was forecast.
        """
        steps = np.arange(1, 6)[:, None] * 7
        start = np.where(self.is_holiday(days), days - (weekday(days) + 1) % 7 + 7, days)
        back: Days = start[None, :] - steps.astype("timedelta64[D]")
        good = (back <= known_until) & ~(self.is_holiday(back) & (weekday(back) < 6))
        return np.asarray(np.take_along_axis(back, good.argmax(axis=0)[None, :], axis=0)[0])
