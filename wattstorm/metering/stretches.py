"""When the stretches of a local day close, and what they hold then: segment frames.

A stretch closes when the partition's watermark lies `GRACE_MINUTES` behind its end; a day closes
when it leaves the open days, and can change no more. Both follow from where the watermark and the
first open slot stood at the last commit and stand now, so nothing has to be remembered for it: a
batch that is undone, or a log that is replayed, says nothing twice.

A day's final frame says all of it once more. To say only what changed, each meter would
have to carry marks of what was said, in the day store's undo and in its snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from wattstorm.metering.checks import NO_CLASS
from wattstorm.metering.daystore import DayStore
from wattstorm.metering.frame import STRETCHES, SegmentFrame, clip
from wattstorm.metering.frame_kernels import add_slot
from wattstorm.metering.joins import Joins
from wattstorm.metering.parts import MAX_METERS, firsts
from wattstorm.metering.rules import Rules
from wattstorm.metering.slots import (
    LocalCalendar,
    clock_places,
    date_of_day_number,
    day_number,
)

GRACE_MINUTES: Final = 60
"""How far behind a stretch's end the watermark must lie: what comes later is in the day's final
frame only."""


class Day(NamedTuple):
    """A local day. number: since the epoch; slots: those of each stretch; full: uint8[8], how
    many they are; ends: by stretch the first slot behind it."""

    number: int
    slots: tuple[tuple[int, ...], ...]
    full: npt.NDArray[np.uint8]
    ends: tuple[int, ...]


class Due(NamedTuple):
    """Stretches of a day that closed; final: the day did."""

    day: Day
    stretches: range
    final: bool


class Place(NamedTuple):
    """mark: the watermark; low: the first slot that is still taken."""

    mark: int
    low: int


@lru_cache(maxsize=64)
def day_of(calendar: LocalCalendar, number: int) -> Day:
    slots = calendar.day_slots(date_of_day_number(number))
    part = clock_places(calendar, number).astype(np.int64) * STRETCHES // calendar.grid.per_day
    of = tuple(tuple(slots.start + int(i) for i in np.flatnonzero(part == p)) for p in _EIGHT)
    ends, end = [], slots.start
    for some in of:  # where the clocks jump over all of a stretch it ends with the one before
        end = max(end, *some) + 1 if some else end
        ends.append(end)
    return Day(number, of, np.array([len(some) for some in of], np.uint8), tuple(ends))


def due(rules: Rules, before: Place, after: Place) -> Iterator[Due]:
    """What closed on the way from one place to another, in order of time."""
    calendar, grace = rules.calendar, GRACE_MINUTES // rules.grid.minutes
    number = day_number(calendar.date_of(before.low))
    last = day_number(calendar.date_of(after.mark))
    for day in (day_of(calendar, n) for n in range(number, last + 1)):
        if day.ends[-1] <= after.low:
            yield Due(day, range(STRETCHES), final=True)
            continue
        for p in _EIGHT:
            if day.full[p] and before.mark < day.ends[p] - 1 + grace <= after.mark:
                yield Due(day, range(p, p + 1), final=False)


def frames(
    partition: int, rules: Rules, joins: Joins, stores: Sequence[DayStore], closed: Iterator[Due]
) -> Iterator[SegmentFrame]:
    """The frames of what closed; of meters of which nothing was seen, none. Each holds until the
    next one is asked for: they share their memory, which to claim anew takes longer than to fill.

    stores: the day store, and behind it those that had another shape at the last commit.
    """
    columns = np.empty((4, 0, 0), np.int64)
    for one in closed:
        slots = [one.day.slots[p] for p in one.stretches]
        if not any(store.row_in(s) is not None for store in stores for of in slots for s in of):
            continue
        for first in firsts(joins.size):
            n = min(MAX_METERS, joins.size - first)
            if columns.shape != (4, len(slots), n):
                columns = np.empty((4, len(slots), n), np.int64)
            columns[:] = 0
            for at, of in enumerate(slots):
                for slot in of:
                    _add(stores, slot, first, columns[:, at])
            energy, seen, low, high = columns
            if seen.any():
                clip(energy)
                classes = _classes(joins, one.day, first, n) if one.final else None
                yield SegmentFrame(
                    *(partition, one.day.number, first, one.stretches.start, one.day.full),
                    *(energy, seen, low, high, classes),
                )


def _add(stores: Sequence[DayStore], slot: int, first: int, columns: npt.NDArray[np.int64]) -> None:
    for store in stores:
        row = store.row_in(slot)
        if row is not None:
            energy, seen, low, high = columns
            beside = store.keys, store.beside_wh
            add_slot(row, first, slot, store.size, *beside, energy, seen, low, high)
            return


def _classes(joins: Joins, day: Day, first: int, n: int) -> npt.NDArray[np.uint16]:
    """What the meters belonged to on that day; NO_CLASS for those that were unknown."""
    tables, _ = joins.of_slots(np.array([day.ends[-1] - 1], np.int32))
    classes: npt.NDArray[np.uint16] = (tables[0][first : first + n] & NO_CLASS).astype(np.uint16)
    return classes


_EIGHT: Final = range(STRETCHES)
