"""The loop that every reading goes through, compiled by numba.

`apply_readings` checks, joins, recognises doubles, applies corrections and
sums, in two passes over chunks of 512 readings: fetch what each reading is joined
with and touch its cell in the day store, then check, decide and add. The first
pass exists so that the cache misses of a chunk overlap instead of queueing
behind each other (DESIGN, trap 8). `kernels_numpy` has the same functions
without a compiler; `tests/metering/test_kernels.py` holds the two together.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from wattstorm.metering.block import BASE_RANK
from wattstorm.metering.checks import (
    EXPONENT_SHIFT,
    MANTISSA_SHIFT,
    NO_CLASS,
    PRODUCER_SHIFT,
    WH_ACCEPTED,
    WH_REPLACED,
    Outcome,
)

CHUNK: Final = 512
PLAIN_MAX: Final = 65533
"""Largest Wh that a cell of the day store holds by itself."""
BESIDE: Final = 65535
"""Cell value that says: look in the table beside. 0 is 'not seen', v + 1 is v Wh."""
EMPTY: Final = -1

_NEW, _CORRECTED, _WON = int(Outcome.NEW), int(Outcome.CORRECTED), int(Outcome.CONFLICT_WON)
_DOUBLE, _OLDER, _LOST = (
    int(Outcome.DOUBLE),
    int(Outcome.SUPERSEDED),
    int(Outcome.CONFLICT_LOST),
)
_UNKNOWN, _FUTURE, _TOO_OLD = (
    int(Outcome.UNKNOWN_METER),
    int(Outcome.FUTURE),
    int(Outcome.TOO_OLD),
)
_NEGATIVE, _TOO_HIGH, _STATE_LOST = (
    int(Outcome.NEGATIVE),
    int(Outcome.TOO_HIGH),
    int(Outcome.STATE_LOST),
)
_WH_ACCEPTED, _WH_REPLACED = WH_ACCEPTED, WH_REPLACED
_CLASS_MASK = _NO_CLASS = np.uint32(NO_CLASS)  # all its bits are ones
_PRODUCER, _EXPONENT, _MANTISSA = (
    np.uint32(PRODUCER_SHIFT),
    np.uint32(EXPONENT_SHIFT),
    np.uint32(MANTISSA_SHIFT),
)


@njit(cache=True, inline="always")
def check(entry, wh):  # type: ignore[no-untyped-def]
    """Outcome code of the checks on (join entry, Wh), or 0 where all hold."""
    if (entry & _CLASS_MASK) == _NO_CLASS:
        return _UNKNOWN
    if wh < 0 and not (entry >> _PRODUCER) & np.uint32(1):
        return _NEGATIVE
    limit = np.int64(entry >> _MANTISSA) << np.int64((entry >> _EXPONENT) & np.uint32(15))
    if (wh if wh >= 0 else -np.int64(wh)) > limit:
        return _TOO_HIGH
    return 0


@njit(cache=True, inline="always")
def _find(keys, key):  # type: ignore[no-untyped-def]
    """Position of `key` in the open-addressing table, or of the free place for it."""
    mask = len(keys) - 1
    at = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)) & mask
    while keys[at] != EMPTY and keys[at] != key:
        at = (at + 1) & mask
    return at


@njit(cache=True)
def _store(cells, row, m, wh, rank, keys, beside_wh, beside_rank, key, used):  # type: ignore[no-untyped-def]
    """Write a reading into its cell, beside it where the cell cannot hold it."""
    if rank == BASE_RANK and 0 <= wh <= PLAIN_MAX:
        cells[row, m] = np.uint16(wh + 1)
        return
    at = _find(keys, key)
    if keys[at] == EMPTY:
        keys[at] = key
        used[0] += 1
    beside_wh[at] = wh
    beside_rank[at] = rank
    cells[row, m] = BESIDE


@njit(cache=True, nogil=True)
def apply_readings(  # type: ignore[no-untyped-def]
    meter,
    slot,
    wh,
    rank,
    first_meter,
    entries,
    table_of_row,
    cells,
    keys,
    beside_wh,
    beside_rank,
    used,
    low,
    low_row,
    opens,
    closed,
    future,
    late_before,
    sum_wh,
    sum_n,
    revisions,
    changed,
    outcome,
    old_cell,
    old_wh,
    old_rank,
    by_day,
    per_day,
):
    """Apply n readings to the open days, in order.

    meter: uint32[n]; slot, rank: int32[n] or [1]; wh: uint16[n] or int32[n].
    entries: uint32[tables, meters], see `checks.join_entries`; table_of_row:
    uint8[rows]; cells: uint16[rows, meters]. Slot `low` stands in row
    `low_row`, later ones in the rows after it, around the ring. Readings in
    slots < opens (at or after low) are TOO_OLD, <= closed STATE_LOST, >= future
    FUTURE; accepted ones in slots < late_before raise their slot's revision.
    sum_wh, sum_n: int64[rows, classes]; revisions: int64[rows]; changed: uint8[rows].
    Out: outcome uint8[n]; old_cell uint16[n], old_wh and old_rank int32[n] for
    `undo_readings`; by_day int64[days + 1, COUNTERS], the last row for readings
    outside the ring.
    """
    n = len(meter)
    rows, size = cells.shape
    slot_step = 1 if len(slot) > 1 else 0
    rank_step = 1 if len(rank) > 1 else 0
    outside = len(by_day) - 1
    entry_of = np.empty(CHUNK, np.uint32)
    row_of = np.empty(CHUNK, np.int64)
    day_of = np.empty(rows, np.int64)
    for d in range(rows):
        row = d + low_row
        day_of[row if row < rows else row - rows] = d // per_day
    touched = np.uint16(0)
    for start in range(0, n, CHUNK):
        stop = min(n, start + CHUNK)
        for i in range(start, stop):
            d = np.int64(slot[i * slot_step]) - low
            m = np.int64(meter[i]) - first_meter
            k = i - start
            if 0 <= d < rows and 0 <= m < size:
                row = d + low_row
                if row >= rows:
                    row -= rows
                row_of[k] = row
                entry_of[k] = entries[np.uint64(table_of_row[np.uint64(row)]), np.uint64(m)]
                touched ^= cells[np.uint64(row), np.uint64(m)]
            else:
                row_of[k] = -1
                entry_of[k] = _NO_CLASS if not 0 <= m < size else np.uint32(0)
        for i in range(start, stop):
            k = i - start
            s = np.int64(slot[i * slot_step])
            w = np.int64(wh[i])
            if (entry_of[k] & _CLASS_MASK) == _NO_CLASS:
                code = _UNKNOWN
            elif s >= future:
                code = _FUTURE
            elif s < opens:
                code = _TOO_OLD
            elif s <= closed:
                code = _STATE_LOST
            else:
                code = check(entry_of[k], w)
            if code != 0:
                outcome[i] = code
                inside = 0 <= s - low < rows
                by_day[(s - low) // per_day if inside else outside, code] += 1
                continue
            row = np.uint64(row_of[k])
            day = day_of[row]
            m = np.uint64(np.int64(meter[i]) - first_meter)
            r = rank[i * rank_step]
            cell = cells[row, m]
            old_cell[i] = cell
            c = np.uint64(entry_of[k] & _CLASS_MASK)
            if cell == 0:
                if r == BASE_RANK and 0 <= w <= PLAIN_MAX:
                    cells[row, m] = np.uint16(w + 1)
                else:
                    key = s * size + np.int64(m)
                    _store(cells, row, m, w, r, keys, beside_wh, beside_rank, key, used)
                sum_wh[row, c] += w
                sum_n[row, c] += 1
                if s < late_before:
                    revisions[row] += 1
                changed[row] = 1
                outcome[i] = _NEW
                by_day[day, _NEW] += 1
                by_day[day, _WH_ACCEPTED] += w
                continue
            held_wh, held_rank = np.int64(cell) - 1, np.int32(BASE_RANK)
            if cell == BESIDE:
                at = _find(keys, s * size + np.int64(m))
                held_wh, held_rank = np.int64(beside_wh[at]), beside_rank[at]
            if r == held_rank:
                code = _DOUBLE if w == held_wh else (_WON if w > held_wh else _LOST)
            else:
                code = _CORRECTED if r > held_rank else _OLDER
            outcome[i] = code
            by_day[day, code] += 1
            if code == _CORRECTED or code == _WON:  # noqa: SIM109 (numba: faster)
                old_wh[i] = held_wh
                old_rank[i] = held_rank
                key = s * size + np.int64(m)
                _store(cells, row, m, w, r, keys, beside_wh, beside_rank, key, used)
                sum_wh[row, c] += w - held_wh
                by_day[day, _WH_ACCEPTED] += w
                by_day[day, _WH_REPLACED] += held_wh
                revisions[row] += 1
                changed[row] = 1
    return touched


@njit(cache=True, nogil=True)
def accepts_more(meter, wh, first_meter, table, few):  # type: ignore[no-untyped-def]
    """Whether the checks let more than `few` of n readings pass; it looks at no more of them
    than that takes. table: uint32[meters], the join entries of their slot."""
    found = 0
    for i in range(len(meter)):
        m = np.int64(meter[i]) - first_meter
        if 0 <= m < len(table) and check(table[m], np.int64(wh[i])) == 0:
            found += 1
            if found > few:
                return True
    return False


@njit(cache=True, nogil=True)
def undo_readings(  # type: ignore[no-untyped-def]
    meter,
    slot,
    wh,
    first_meter,
    entries,
    table_of_row,
    cells,
    keys,
    beside_wh,
    beside_rank,
    low,
    low_row,
    late_before,
    sum_wh,
    sum_n,
    revisions,
    outcome,
    old_cell,
    old_wh,
    old_rank,
):
    """Take back what `apply_readings` did, last reading first; arguments as there."""
    rows, size = cells.shape
    slot_step = 1 if len(slot) > 1 else 0
    for i in range(len(meter) - 1, -1, -1):
        code = outcome[i]
        if code != _NEW and code != _CORRECTED and code != _WON:
            continue
        s = np.int64(slot[i * slot_step])
        m = np.int64(meter[i]) - first_meter
        row = s - low + low_row
        if row >= rows:
            row -= rows
        c = np.int64(entries[table_of_row[row], m] & _CLASS_MASK)
        cells[row, m] = old_cell[i]
        if code == _NEW:
            sum_wh[row, c] -= np.int64(wh[i])
            sum_n[row, c] -= 1
            revisions[row] -= 1 if s < late_before else 0
            continue
        if old_cell[i] == BESIDE:
            at = _find(keys, s * size + m)
            beside_wh[at] = old_wh[i]
            beside_rank[at] = old_rank[i]
        sum_wh[row, c] -= np.int64(wh[i]) - old_wh[i]
        revisions[row] -= 1


@njit(cache=True)
def rehash(keys, beside_wh, beside_rank, low_key, new_keys, new_wh, new_rank):  # type: ignore[no-untyped-def]
    """Copy the table's entries with key >= low_key into an empty one; returns how many."""
    kept = 0
    for i in range(len(keys)):
        if keys[i] >= low_key:
            at = _find(new_keys, keys[i])
            new_keys[at], new_wh[at], new_rank[at] = keys[i], beside_wh[i], beside_rank[i]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def move_sums(  # type: ignore[no-untyped-def]
    meters,
    before,
    after,
    rows,
    slots,
    cells,
    keys,
    beside_wh,
    sum_wh,
    sum_n,
    revisions,
    changed,
):
    """Move what meters hold from one class to another, in some rows of the day store.

    meters, before, after: int64[k], positions in the partition, their classes until now and
    from now on; rows, slots: int64[r]; the others as in `apply_readings`. A row of which
    anything moves gets one revision more.
    """
    size = cells.shape[1]
    for j in range(len(rows)):
        row, moved = rows[j], False
        for i in range(len(meters)):
            cell = cells[row, meters[i]]
            if cell == 0:
                continue
            wh = np.int64(cell) - 1
            if cell == BESIDE:
                wh = np.int64(beside_wh[_find(keys, slots[j] * size + meters[i])])
            sum_wh[row, before[i]] -= wh
            sum_n[row, before[i]] -= 1
            sum_wh[row, after[i]] += wh
            sum_n[row, after[i]] += 1
            moved = True
        if moved:
            revisions[row] += 1
            changed[row] = 1
