"""From external id to dense index: an open-addressing table that lives in a file.

Each place of the table is one uint64: the low 32 bits hold dense index + 1
(0 = free), the high 32 bits a tag of the id. The id itself stands in `ids`,
which a register has anyway, so a place takes 8 bytes instead of 12 and a hit
costs the same two cache misses.

The id is scrambled by the finaliser of splitmix64 (Steele, Lea, Flood, Fast
Splittable Pseudorandom Number Generators, 2014), because real ids come in runs.
The upper half of the result, scaled to the table's length, is the place where
the search starts; the lower half is the tag. Collisions go to the next place.

The kernels work in chunks of 256 ids and in separate passes, so that the cache
misses of a chunk overlap instead of queueing behind each other.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

Ids = npt.NDArray[np.uint64]
Dense = npt.NDArray[np.int32]
Table = npt.NDArray[np.uint64]

LOAD: Final = 0.6
"""Share of the table in use at most: 1.75 places are seen on average for a hit (Knuth 6.4)."""
CHUNK: Final = 256
_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(0xFFFFFFFF00000000)
_HALF = np.uint64(32)
_ZERO, _ONE = np.uint64(0), np.uint64(1)


def places_for(meters: int) -> int:
    """Length of the table for this many meters.

    >>> places_for(3), places_for(35_000_000)
    (6, 58333334)
    """
    return int(meters / LOAD) + 1


def find(wanted: Ids, ids: Ids, table: Table) -> Dense:
    """Dense index of each wanted id, -1 where it is not in the table.

    wanted: uint64[n]; ids: uint64[meters]; table: uint64[places]; out: int32[n].
    """
    out = np.empty(len(wanted), np.int32)
    _find(wanted, ids, table, out)
    return out


def number(known: Ids, wanted: Ids) -> tuple[Dense, Ids, Table]:
    """Give dense indices to ids in the order they first appear, after the known ones.

    known: uint64[k], distinct, indices 0 to k - 1; wanted: uint64[n], may repeat.
    Returns (int32[n] dense index of each wanted id, uint64[meters] all ids, table).
    """
    ids = np.empty(len(known) + len(wanted), np.uint64)
    ids[: len(known)] = known
    table = np.zeros(places_for(len(ids)), np.uint64)
    dense = np.empty(len(ids), np.int32)
    _number(ids[: len(known)], ids, 0, table, dense)
    meters = int(_number(wanted, ids, len(known), table, dense[len(known) :]))
    ids = ids[:meters].copy() if meters < len(ids) else ids
    if len(table) != places_for(meters):
        # Many rows of few meters made the table too long: fill one of the right length.
        table = np.zeros(places_for(meters), np.uint64)
        _number(ids.copy(), ids, 0, table, np.empty(meters, np.int32))
    return dense[len(known) :], ids, table


@njit(cache=True, inline="always")
def _mix(x):  # type: ignore[no-untyped-def]
    """Finaliser of splitmix64: uint64 to uint64, one to one."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True)
def _search(wanted, ids, table, at):  # type: ignore[no-untyped-def]
    """One search by comparing ids: dense index, or -1 - (free place). Needs a free place."""
    tag = _mix(wanted) << _HALF
    for _ in range(len(table)):
        entry = table[at]
        if entry == _ZERO:
            return -1 - at
        if (entry & _HIGH) == tag:
            index = np.int64(entry & _LOW) - 1
            # The bound keeps a damaged file from reading outside the array.
            if 0 <= index < len(ids) and ids[index] == wanted:
                return index
        at = at + 1 if at + 1 < len(table) else 0
    return -1


@njit(cache=True, nogil=True)
def _find(wanted, ids, table, out):  # type: ignore[no-untyped-def]
    start = np.empty(CHUNK, np.int64)
    tags = np.empty(CHUNK, np.uint64)
    entries = np.empty(CHUNK, np.uint64)
    there = np.empty(CHUNK, np.uint64)
    places, meters = len(table), len(ids)
    for first in range(0, len(wanted), CHUNK):
        n = min(CHUNK, len(wanted) - first)
        for j in range(n):
            mixed = _mix(wanted[first + j])
            start[j] = np.int64(((mixed >> _HALF) * np.uint64(places)) >> _HALF)
            tags[j] = mixed << _HALF
        for j in range(n):  # loads only: nothing waits for them yet
            entries[j] = table[start[j]]
        for j in range(n):  # walk on to the first equal tag: the cache line is here by now
            entry, at = entries[j], start[j]
            for _ in range(places):
                if entry == _ZERO or (entry & _HIGH) == tags[j]:
                    break
                at = at + 1 if at + 1 < places else 0
                entry = table[at]
            entries[j] = entry & _LOW
        for j in range(n):
            index = np.int64(entries[j]) - 1
            there[j] = ids[index if 0 <= index < meters else 0]
        for j in range(n):
            index = np.int64(entries[j]) - 1
            if index >= 0 and (index >= meters or there[j] != wanted[first + j]):
                # Another id with the same tag, once in some thousand million.
                index = _search(wanted[first + j], ids, table, start[j])
            out[first + j] = index if index >= 0 else -1


@njit(cache=True, nogil=True)
def _number(wanted, ids, meters, table, dense):  # type: ignore[no-untyped-def]
    """Insert what is not there; writes ids[meters:], dense[:]; returns the new meter count."""
    start = np.empty(CHUNK, np.int64)
    touched = _ZERO
    for first in range(0, len(wanted), CHUNK):
        n = min(CHUNK, len(wanted) - first)
        for j in range(n):
            mixed = _mix(wanted[first + j])
            start[j] = np.int64(((mixed >> _HALF) * np.uint64(len(table))) >> _HALF)
        for j in range(n):
            touched ^= table[start[j]]
        for j in range(n):
            w = wanted[first + j]
            index = _search(w, ids[:meters], table, start[j])
            if index < 0:
                table[-1 - index] = (_mix(w) & _LOW) << _HALF | (np.uint64(meters) + _ONE)
                ids[meters] = w
                index = meters
                meters += 1
            dense[first + j] = index
    # `touched` is used, or the compiler would drop the pass that loads the lines.
    return meters if touched != _LOW else np.int64(meters)
