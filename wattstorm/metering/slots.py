"""Slots of time and local days: which slot a stamp is in, which day a slot is in.

A slot is a stretch of 10, 15, 30 or 60 minutes of UTC, numbered from the epoch:
slot s begins at s × seconds. Days of UTC have always the same number of slots.
Local days run from midnight to midnight of a time zone; with half hours they
have 46, 48 or 50 slots (Lord Howe, which moves its clocks by 30 minutes: 47, 49).

Nothing here reads a clock. Time zones come from the pinned `tzdata` package, not
from the machine, so that all workers see the same midnights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from wattstorm.errors import SlotError

Slots = npt.NDArray[np.int32]
"""int32[n], numbers of slots since the epoch."""

GRID_MINUTES = (10, 15, 30, 60)
DAY_SECONDS = 86_400
FIRST_DATE, LAST_DATE = date(1970, 1, 1), date(2099, 12, 31)
"""Local days that a calendar knows; bounds its table at 7 M slots of 10 minutes."""

_EPOCH = date(1970, 1, 1).toordinal()
_INT32 = np.iinfo(np.int32)
_FIRST_DAY, _END_DAY = 0, LAST_DATE.toordinal() - _EPOCH + 1
_CHUNK_DAYS = 64  # the table grows by this much, so that live data seldom makes it grow


@dataclass(frozen=True)
class SlotGrid:
    """Slots of `minutes` minutes, numbered from 1970-01-01T00:00Z.

    >>> grid = SlotGrid(30)
    >>> slots, on_grid = grid.slot_of(np.array([0, 1800, 1801]))
    >>> slots.tolist(), on_grid.tolist()
    ([0, 1, 1], [True, True, False])
    """

    minutes: int = 30

    def __post_init__(self) -> None:
        if self.minutes not in GRID_MINUTES:
            raise SlotError(
                f"a slot of {self.minutes!r} minutes", "slots have 10, 15, 30 or 60 minutes"
            )

    @property
    def seconds(self) -> int:
        """Length of a slot in seconds."""
        return self.minutes * 60

    @property
    def per_day(self) -> int:
        """Slots in a day of UTC."""
        return DAY_SECONDS // self.seconds

    def slot_of(self, epoch_s: npt.ArrayLike) -> tuple[Slots, npt.NDArray[np.bool_]]:
        """Slots that stamps fall in, and which stamps are the start of theirs.

        epoch_s: int64[n], seconds since the epoch. Returns int32[n] and bool[n].
        A stamp so far off that its slot is no int32 gets slot 0 and False.
        """
        stamps = _whole_numbers(epoch_s, "time stamps")
        slots = stamps // self.seconds
        on_grid = slots * self.seconds == stamps
        if slots.size and (slots.min() < _INT32.min or slots.max() > _INT32.max):
            fits = (slots >= _INT32.min) & (slots <= _INT32.max)
            on_grid &= fits
            slots = np.where(fits, slots, 0)
        return slots.astype(np.int32), on_grid

    def slot_at(self, epoch_s: int) -> int:
        """The slot that begins at this second; SlotError if none does."""
        slot, over = divmod(epoch_s, self.seconds)
        if over:
            raise SlotError(
                f"time stamp {epoch_s} lies {over} s into a slot of {self.minutes} minutes",
                f"stamps are whole multiples of {self.seconds} s since the epoch",
            )
        return slot

    def start_of(self, slots: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """int64[n], second since the epoch at which each slot begins. slots: int32[n]."""
        return _whole_numbers(slots, "slots") * self.seconds

    def start_at(self, slot: int) -> int:
        """Second since the epoch at which the slot begins."""
        return int(slot) * self.seconds

    def utc_day_of(self, slots: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """int32[n], days since the epoch in UTC. slots: int32[n]."""
        return (_whole_numbers(slots, "slots") // self.per_day).astype(np.int32)

    def first_slot_of_utc_day(self, day: int) -> int:
        """The slot that begins at 00:00Z of this day since the epoch."""
        return int(day) * self.per_day


def day_number(day: date) -> int:
    """Days from 1970-01-01 to this date.

    >>> day_number(date(1970, 1, 2))
    1
    """
    return day.toordinal() - _EPOCH


def date_of_day_number(number: int) -> date:
    """The date that lies this many days after 1970-01-01.

    >>> date_of_day_number(day_number(date(2024, 2, 29)))
    datetime.date(2024, 2, 29)
    """
    return date.fromordinal(int(number) + _EPOCH)


class LocalCalendar:
    """Local days of a time zone, in slots of a grid.

    A day begins with the first moment that bears its date; days follow each other
    without gap or overlap. Known are the days of 1970 to 2099. What a calendar
    worked out it keeps: a day costs microseconds once, nothing later.

    >>> paris = LocalCalendar(SlotGrid(30), "Europe/Paris")
    >>> [len(paris.day_slots(date(2024, m, d))) for m, d in ((3, 31), (6, 1), (10, 27))]
    [46, 48, 50]
    >>> [paris.label(s) for s in paris.day_slots(date(2024, 10, 27))[5:7]]
    ['2024-10-27T02:30+02:00', '2024-10-27T02:00+01:00']
    """

    def __init__(self, grid: SlotGrid, time_zone: str) -> None:
        self.grid = grid
        self.time_zone = time_zone
        self._zone = load_zone(time_zone)
        self._starts: dict[int, int] = {}
        # (first slot, day numbers from it on), put in place together: threads share a calendar
        self._table: tuple[int, npt.NDArray[np.int32]] = (0, np.empty(0, np.int32))
        _check_fit(grid, time_zone, self._zone)

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalCalendar, (self.grid, self.time_zone)

    def __repr__(self) -> str:
        return f"LocalCalendar({self.grid!r}, {self.time_zone!r})"

    @cached_property
    def known(self) -> range:
        """Slots of the local days that a calendar knows. A zone whose midnights did not fit the
        grid once (Monrovia until 1972) is known from the first day on that does."""
        months = [date(year, month, 1) for year in range(1970, 2100) for month in range(1, 13)]
        odd = [day for day in months if _midnight(day, self._zone) % self.grid.seconds]
        first = day_number(odd[-1]) if odd else _FIRST_DAY
        while _midnight(date_of_day_number(first), self._zone) % self.grid.seconds:
            first += 1
        return range(max(self._start(first), 0), self._start(_END_DAY))

    def day_slots(self, day: date) -> range:
        """Slots of a local day, first to last."""
        number = day_number(day)
        return range(self._start(number), self._start(number + 1))

    def date_of(self, slot: int) -> date:
        """The local day that the slot lies in."""
        return date_of_day_number(self._day_of(int(slot)))

    def dates_of(self, slots: npt.ArrayLike) -> npt.NDArray[np.int32]:
        """int32[n], number (days since the epoch) of the LOCAL day each slot lies in.

        slots: int32[n]. SlotError if one lies outside the years that are known.
        """
        numbers = _whole_numbers(slots, "slots")
        if not numbers.size:
            return np.empty(numbers.shape, np.int32)
        first, last = int(numbers.min()), int(numbers.max())
        base, days = self._table
        if first < base or last >= base + days.size:
            base, days = self._grown(first, last)
        return days.take(numbers - base)

    def label(self, slot: int) -> str:
        """Local start of the slot with its offset, so that the repeated hour stays two."""
        start = datetime.fromtimestamp(self.grid.start_at(slot), self._zone)
        return start.isoformat(timespec="minutes")

    def _start(self, number: int) -> int:
        """First slot of the local day of this number."""
        found = self._starts.get(number)
        if found is not None:
            return found
        if not _FIRST_DAY <= number <= _END_DAY:
            raise _out_of_years(f"day {number} since the epoch")
        day = date_of_day_number(number)
        slot, over = divmod(_midnight(day, self._zone), self.grid.seconds)
        if over:
            raise _misfit(self.grid, self.time_zone, day, over, GRID_MINUTES)
        self._starts[number] = slot
        return slot

    def _day_of(self, slot: int) -> int:
        """Number of the local day; zones lie less than a day from UTC."""
        utc_day = slot // self.grid.per_day
        for number in (utc_day + 1, utc_day, utc_day - 1):
            if _FIRST_DAY <= number < _END_DAY and (
                self._start(number) <= slot < self._start(number + 1)
            ):
                return number
        raise _out_of_years(f"slot {slot}")

    def _grown(self, first: int, last: int) -> tuple[int, npt.NDArray[np.int32]]:
        """The table, made to hold these slots beside those that it holds."""
        from_day, to_day = self._day_of(first), self._day_of(last)
        held = self._table[1]
        if held.size:
            from_day = min(from_day, int(held[0]))
            to_day = max(to_day, int(held[-1]))
        from_day = max(from_day // _CHUNK_DAYS * _CHUNK_DAYS, _FIRST_DAY)
        to_day = min((to_day // _CHUNK_DAYS + 1) * _CHUNK_DAYS, _END_DAY)
        starts = [self._start(n) for n in range(from_day, to_day + 1)]
        numbers = np.arange(from_day, to_day, dtype=np.int32)
        self._table = starts[0], np.repeat(numbers, np.diff(starts))
        return self._table


@lru_cache(maxsize=64)
def calendar_of(minutes: int, time_zone: str) -> LocalCalendar:
    """The calendar of this grid and zone, one for all who ask: what it worked out serves them all.
    It is asked for with each text of rules that is read; to make one takes milliseconds."""
    return LocalCalendar(SlotGrid(minutes), time_zone)


def clock_places(calendar: LocalCalendar, number: int) -> npt.NDArray[np.int16]:
    """int16[slots of the day], which slot of the wall clock each slot of the local day is.

    A day of 46 half hours leaves two places out, a day of 50 has two twice.
    """
    slots = calendar.day_slots(date_of_day_number(number))
    per_day = calendar.grid.per_day
    if len(slots) == per_day:
        return np.arange(per_day, dtype=np.int16)
    minutes = [
        int(text[11:13]) * 60 + int(text[14:16]) for text in (calendar.label(s) for s in slots)
    ]
    return (np.array(minutes) // calendar.grid.minutes).astype(np.int16)


@lru_cache(maxsize=64)
def load_zone(name: str) -> ZoneInfo:
    """The zone as the pinned `tzdata` package has it; SlotError if it has none of the name."""
    if re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", name):
        found = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
        if found.is_file():
            with found.open("rb") as file:
                if file.read(4) == b"TZif":
                    file.seek(0)
                    return ZoneInfo.from_file(file, key=name)
    raise SlotError(
        f"unknown time zone {name!r}", "take a name of the tz database, such as Europe/Paris"
    )


def _midnight(day: date, zone: ZoneInfo) -> int:
    """Second since the epoch at which the local day begins."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _sample_midnights(zone: ZoneInfo) -> Iterator[tuple[date, int]]:
    """First days of the months of 2020 to 2035 with the second at which each begins."""
    for year in range(2020, 2036):
        for month in range(1, 13):
            day = date(year, month, 1)
            yield day, _midnight(day, zone)


def _check_fit(grid: SlotGrid, time_zone: str, zone: ZoneInfo) -> None:
    """Refuse at once what would fail on some day: midnights that start no slot."""
    midnights = list(_sample_midnights(zone))
    fitting = [m for m in GRID_MINUTES if all(at % (m * 60) == 0 for _, at in midnights)]
    for day, at in midnights:
        if at % grid.seconds:
            raise _misfit(grid, time_zone, day, at % grid.seconds, fitting)


def _misfit(
    grid: SlotGrid, time_zone: str, day: date, over: int, fitting: list[int] | tuple[int, ...]
) -> SlotError:
    options = [str(m) for m in fitting if m < grid.minutes]
    remedy = f"take slots of {' or '.join(options)} minutes" if options else "take another zone"
    return SlotError(
        f"slots of {grid.minutes} minutes do not fit {time_zone}:"
        f" midnight of {day} falls {over / 60:g} minutes into a slot",
        remedy,
    )


def _out_of_years(what: str) -> SlotError:
    return SlotError(
        f"{what} lies outside the local days {FIRST_DATE} to {LAST_DATE}",
        "check the time stamps: their unit must be seconds since the epoch",
    )


def _whole_numbers(values: npt.ArrayLike, what: str) -> npt.NDArray[np.int64]:
    """Values as int64[n]; SlotError if their type holds anything but whole numbers."""
    array = np.asarray(values)
    if array.size and not np.can_cast(array.dtype, np.int64):
        raise SlotError(f"{what} of type {array.dtype}", "give whole numbers, int32 or int64")
    return array.astype(np.int64, copy=False)
