"""The arrays of a register, and which entry of a meter is valid on a day.

An *entry* is all that a register says of a meter for a while, packed into one
uint64: contracted power (bits 0 to 31, VA), tariff code (32 to 39), region code
(40 to 47), producer flag (48). Each meter has a first entry; the few that change
later have *changes*, sorted by key = meter << 16 | day, with day a local day
number (days since 1970-01-01).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.register.textkeys import TEXT

EPOCH: Final = date(1970, 1, 1).toordinal()
FIRST_DATE: Final = date(1970, 1, 1)
LAST_DATE: Final = date(2099, 12, 31)
DAY_BITS: Final = 16
LAST_KEY_DAY: Final = (1 << DAY_BITS) - 1
"""Later than every date that a register takes."""
MAX_CODES: Final = 127
"""Names of tariffs, and of regions: all of their pairs have a number in the 14 bits of a join
entry (`classes`, `checks.MAX_CLASSES`)."""
_POWER, _BYTE = np.uint64(0xFFFFFFFF), np.uint64(0xFF)
_TARIFF, _REGION, _PRODUCER = np.uint64(32), np.uint64(40), np.uint64(48)


@dataclass(frozen=True)
class Columns:
    """The entries valid on one day for a slice of dense indices.

    tariff, region: uint8[n] codes; power_va: uint32[n], VA; producer: bool[n];
    known: bool[n], False where the meter's first entry starts later than the day
    (the other columns then hold that first entry).
    """

    tariff: npt.NDArray[np.uint8]
    region: npt.NDArray[np.uint8]
    power_va: npt.NDArray[np.uint32]
    producer: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Arrays:
    """What a register keeps in files, one `.npy` each, named like the field."""

    ids: npt.NDArray[np.uint64]
    """uint64[meters], external ids by dense index."""
    index: npt.NDArray[np.uint64]
    """uint64[places], the table of `idindex`."""
    entries: npt.NDArray[np.uint64]
    """uint64[meters], first entry."""
    first_days: npt.NDArray[np.uint16]
    """uint16[meters], day from which the first entry is valid."""
    last_days: npt.NDArray[np.uint16]
    """uint16[meters], latest valid_from heard of: up to there the past is settled."""
    change_keys: npt.NDArray[np.int64]
    """int64[changes], meter << 16 | day, ascending."""
    change_entries: npt.NDArray[np.uint64]
    """uint64[changes], the entry from that day on."""
    named: npt.NDArray[np.int32]
    """int32[named], dense indices, ascending, of meters whose id is no number (see `textkeys`)."""
    names: npt.NDArray[np.bytes_]
    """S40[named], their ids; `ids` holds their keys."""


DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "ids": np.dtype("<u8"),
    "index": np.dtype("<u8"),
    "entries": np.dtype("<u8"),
    "first_days": np.dtype("<u2"),
    "last_days": np.dtype("<u2"),
    "change_keys": np.dtype("<i8"),
    "change_entries": np.dtype("<u8"),
    "named": np.dtype("<i4"),
    "names": TEXT,
}
LATER: Final = ("named", "names")
"""Arrays that registers of schema 2 and before do not have: all their ids are numbers."""


def no_arrays() -> Arrays:
    """A register before its first row."""
    return Arrays(**{name: np.zeros(0, dtype) for name, dtype in DTYPES.items()})


def pack(
    tariff: npt.NDArray[np.integer],
    region: npt.NDArray[np.integer],
    power_va: npt.NDArray[np.integer],
    producer: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint64]:
    """Entries, uint64[n], from columns of n."""
    entry = power_va.astype(np.uint64)
    entry |= tariff.astype(np.uint64) << _TARIFF
    entry |= region.astype(np.uint64) << _REGION
    entry |= producer.astype(np.uint64) << _PRODUCER
    return entry


def unpack(entries: npt.NDArray[np.uint64], known: npt.NDArray[np.bool_]) -> Columns:
    """Columns from entries, uint64[n]; the inverse of `pack`."""
    return Columns(
        tariff=(entries >> _TARIFF).astype(np.uint8),
        region=(entries >> _REGION).astype(np.uint8),
        power_va=entries.astype(np.uint32),
        producer=(entries >> _PRODUCER).astype(np.bool_),
        known=known,
    )


def class_counts(
    entries: npt.NDArray[np.uint64], known: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Known meters by (tariff code, region code): int64[256, 256]."""
    both = (entries >> _TARIFF).astype(np.uint16)[known]
    return np.bincount(both, minlength=1 << 16).reshape(256, 256).T.astype(np.int64)


def entries_of_slice(arrays: Arrays, first: int, stop: int, day: int) -> npt.NDArray[np.uint64]:
    """Entries valid on `day` of the meters first to stop - 1: uint64[stop - first], a copy."""
    entries = arrays.entries[first:stop].copy()
    low, high = np.searchsorted(
        arrays.change_keys, np.array([first, stop], np.int64) << DAY_BITS
    ).tolist()
    keys = arrays.change_keys[low:high]
    due = np.flatnonzero((keys & LAST_KEY_DAY) <= day)
    meters = keys[due] >> DAY_BITS
    # Sorted by meter, then day: the last of each meter's run is the one in force.
    last = np.ones(len(due), np.bool_)
    last[:-1] = meters[1:] != meters[:-1]
    entries[meters[last] - first] = arrays.change_entries[low:high][due[last]]
    return entries


def entries_at(arrays: Arrays, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Entries valid at each key (meter << 16 | day): uint64[n]; unchecked before the first."""
    meters = keys >> DAY_BITS
    entries: npt.NDArray[np.uint64] = arrays.entries[meters]
    if len(arrays.change_keys):
        at = np.searchsorted(arrays.change_keys, keys, side="right") - 1
        changed = (at >= 0) & (arrays.change_keys[at] >> DAY_BITS == meters)
        entries[changed] = arrays.change_entries[at[changed]]
    return entries


def date_of(day: int) -> date:
    """Calendar date of a local day number."""
    return date.fromordinal(EPOCH + int(day))
