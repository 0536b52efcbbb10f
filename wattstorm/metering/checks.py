"""What can happen to a reading, and the limits it must keep.

Every reading received ends in exactly one `Outcome`. Conservation is counted
in them: received = accepted + doubles + rejected.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError


class Outcome(IntEnum):
    """One code a reading; codes from 8 on are rejections, and dead letters' reasons."""

    NEW = 0
    """First value of this meter, channel and slot."""
    CORRECTED = 1
    """A higher version (or a better quality of the same) replaced the held value."""
    CONFLICT_WON = 2
    """Same version and quality, larger Wh than held: it replaced the held value."""
    DOUBLE = 3
    """The same reading again."""
    SUPERSEDED = 4
    """An older version than the one held."""
    CONFLICT_LOST = 5
    """Same version and quality, smaller Wh than held."""
    UNKNOWN_METER = 8
    """Not in the register on that date."""
    FUTURE = 9
    """The slot ends after the block's arrival plus tolerance, or lies days ahead of the stream
    and too few say so, see `watermark`."""
    TOO_OLD = 10
    """Before the open days: set aside for the backfill."""
    OFF_GRID = 11
    """A time stamp that is no start of a slot (found at ingest)."""
    NEGATIVE = 12
    """Below zero, and the meter is no producer."""
    TOO_HIGH = 13
    """Above contracted power x slot x margin."""
    STATE_LOST = 14
    """In a slot whose values seen were lost with every snapshot: it might be counted twice."""
    WRONG_PARTITION = 15
    """The block names another partition than the log it stands in."""
    WRONG_GRID = 16
    """The block's slots are not as long as the stream's."""
    UNREADABLE = 17
    """A row whose meter, time or energy could not be read (found at ingest)."""


ACCEPTED: Final = (Outcome.NEW, Outcome.CORRECTED, Outcome.CONFLICT_WON)
DOUBLES: Final = (Outcome.DOUBLE, Outcome.SUPERSEDED, Outcome.CONFLICT_LOST)
REJECTED: Final = tuple(o for o in Outcome if o >= Outcome.UNKNOWN_METER)
OUTCOMES: Final = max(Outcome) + 1
"""Length of an array of counts indexed by Outcome."""
WH_ACCEPTED: Final = OUTCOMES
"""In the counters of a day: Wh of the readings accepted."""
WH_REPLACED: Final = OUTCOMES + 1
"""In the counters of a day: Wh that corrections and won conflicts replaced."""
COUNTERS: Final = OUTCOMES + 2
"""Length of a day's counters: readings by Outcome, then `WH_ACCEPTED` and `WH_REPLACED`. What a
curve holds is its own account: as many readings as were NEW, and accepted less replaced Wh."""

# --- the join entry: all that a reading is joined with, in 4 bytes, so that one
# random access a reading is enough: class (14 bits), producer (1), limit (4 + 13).
MAX_CLASSES: Final = 16_382
NO_CLASS: Final = 16_383
"""Class of a meter that is not in the register on that date."""
PRODUCER_SHIFT: Final = 14
EXPONENT_SHIFT: Final = 15
MANTISSA_SHIFT: Final = 19
_MANTISSA_MAX: Final = (1 << 13) - 1


def join_entries(
    classes: npt.NDArray[np.integer],
    producer: npt.NDArray[np.bool_],
    limit_wh: npt.NDArray[np.integer],
    known: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint32]:
    """Pack the join columns, each [n], into uint32[n].

    limit_wh: the largest |Wh| allowed in a slot. It is kept to 13 significant
    bits, rounded up: exact to 8,191 Wh, within 1/4,096 above, and
    never above 268 MWh, the output of a power plant.
    Raises RegisterError for a class above MAX_CLASSES.
    """
    classes = np.asarray(classes, np.int64)
    if classes.size and int(classes.max()) > MAX_CLASSES:
        raise RegisterError(
            f"a meter has (tariff, region) class {int(classes.max())}, the limit is {MAX_CLASSES}",
            "group them: a register holds at most 127 tariffs and 127 regions",
        )
    limit = np.minimum(np.asarray(limit_wh, np.int64), _MANTISSA_MAX << 15)
    exponent = np.zeros(limit.shape, np.int64)
    while np.any(too_wide := -(-limit >> exponent) > _MANTISSA_MAX):
        exponent[too_wide] += 1
    mantissa = -(-limit >> exponent)
    entry = np.where(known, classes, NO_CLASS).astype(np.int64)
    entry |= np.where(producer, 1 << PRODUCER_SHIFT, 0) | exponent << EXPONENT_SHIFT
    return (entry | mantissa << MANTISSA_SHIFT).astype(np.uint32)


def outcomes(entries: npt.NDArray[np.uint32], wh: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """What the checks of an energy say, by reading: entries uint32[n], see `join_entries`; wh
    int[n]. uint8[n], NEW where all hold; as the kernels' loops say it for one reading."""
    entry, energy = entries.astype(np.int64), wh.astype(np.int64)
    limit = (entry >> MANTISSA_SHIFT) << (entry >> EXPONENT_SHIFT & 15)
    out = np.where(np.abs(energy) > limit, np.uint8(Outcome.TOO_HIGH), np.uint8(Outcome.NEW))
    out[(energy < 0) & (entry >> PRODUCER_SHIFT & 1 == 0)] = Outcome.NEGATIVE
    out[entry & NO_CLASS == NO_CLASS] = Outcome.UNKNOWN_METER
    return out


def power_limit_wh(
    power_va: npt.NDArray[np.integer], slot_minutes: int, margin: float
) -> npt.NDArray[np.int64]:
    """Largest Wh a slot may hold: contracted power (VA) x slot x margin, rounded up; int64[n]."""
    return np.ceil(np.asarray(power_va, np.float64) * slot_minutes / 60 * margin).astype(np.int64)
