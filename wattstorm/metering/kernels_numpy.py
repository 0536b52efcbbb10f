"""The kernels without a compiler: same arguments, same results, bit for bit.

The reference that the compiled kernels are tested against. Checks and joins
are whole-column; what depends on the order of readings within a block
(doubles, corrections) is a plain loop, so it is for reading and for tests,
not for a stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wattstorm.metering.block import BASE_RANK
from wattstorm.metering.checks import (
    EXPONENT_SHIFT,
    MANTISSA_SHIFT,
    NO_CLASS,
    PRODUCER_SHIFT,
    WH_ACCEPTED,
    WH_REPLACED,
    Outcome,
    outcomes,
)
from wattstorm.metering.kernels import BESIDE, EMPTY, PLAIN_MAX

Array = npt.NDArray[Any]


def _find(keys: Array, key: int) -> int:
    mask = len(keys) - 1
    at = ((key * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 20) & mask
    while keys[at] not in (EMPTY, key):
        at = (at + 1) & mask
    return at


def _checks(
    columns: tuple[Array, Array, Array],
    rows: Array,
    inside: Array,
    opens: int,
    entries: Array,
    table_of_row: Array,
    closed: int,
    future: int,
) -> tuple[Array, Array]:
    """(outcome uint8[n], class int64[n]) of the checks; NEW where all hold."""
    m, s, wh = columns
    known = (m >= 0) & (m < entries.shape[1])
    entry = np.where(known, 0, NO_CLASS).astype(np.int64)
    join = known & inside
    entry[join] = entries[table_of_row[rows[join]], m[join]]
    classes = entry & NO_CLASS
    limit = (entry >> MANTISSA_SHIFT) << ((entry >> EXPONENT_SHIFT) & 15)
    tests = [
        (classes == NO_CLASS, Outcome.UNKNOWN_METER),
        (s >= future, Outcome.FUTURE),
        (s < opens, Outcome.TOO_OLD),
        (s <= closed, Outcome.STATE_LOST),
        ((wh < 0) & (entry >> PRODUCER_SHIFT & 1 == 0), Outcome.NEGATIVE),
        (np.abs(wh) > limit, Outcome.TOO_HIGH),
    ]
    outcome = np.select([t for t, _ in tests], [int(o) for _, o in tests], int(Outcome.NEW))
    return outcome.astype(np.uint8), classes


def apply_readings(
    meter: Array,
    slot: Array,
    wh: Array,
    rank: Array,
    first_meter: int,
    entries: Array,
    table_of_row: Array,
    cells: Array,
    keys: Array,
    beside_wh: Array,
    beside_rank: Array,
    used: Array,
    low: int,
    low_row: int,
    opens: int,
    closed: int,
    future: int,
    late_before: int,
    sum_wh: Array,
    sum_n: Array,
    revisions: Array,
    changed: Array,
    outcome: Array,
    old_cell: Array,
    old_wh: Array,
    old_rank: Array,
    by_day: Array,
    per_day: int,
) -> int:
    """See `kernels.apply_readings`."""
    size = cells.shape[1]
    m = meter.astype(np.int64) - first_meter
    s = np.broadcast_to(slot.astype(np.int64), m.shape)
    w = wh.astype(np.int64)
    r = np.broadcast_to(rank, m.shape)
    inside = (s >= low) & (s < low + len(cells))
    rows = (s - low + low_row) % len(cells)
    outcome[:], classes = _checks(
        (m, s, w), rows, inside, opens, entries, table_of_row, closed, future
    )
    day = np.where(inside, (s - low) // per_day, len(by_day) - 1)
    for i in np.flatnonzero(outcome == Outcome.NEW):
        row, key = rows[i], int(s[i] * size + m[i])
        cell = old_cell[i] = cells[row, m[i]]
        held = (int(cell) - 1, BASE_RANK)
        if cell == BESIDE:
            at = _find(keys, key)
            held = (int(beside_wh[at]), int(beside_rank[at]))
        outcome[i] = _decide(int(cell), (int(w[i]), int(r[i])), held)
        if outcome[i] > Outcome.CONFLICT_WON:
            continue
        changed[row] = 1
        if cell == 0:
            sum_n[row, classes[i]] += 1
            revisions[row] += int(s[i] < late_before)
            held = (0, 0)
        else:
            old_wh[i], old_rank[i] = held
            revisions[row] += 1
        sum_wh[row, classes[i]] += w[i] - held[0]
        by_day[day[i], WH_ACCEPTED] += w[i]
        by_day[day[i], WH_REPLACED] += held[0]
        if r[i] == BASE_RANK and 0 <= w[i] <= PLAIN_MAX:
            cells[row, m[i]] = w[i] + 1
            continue
        at = _find(keys, key)
        used[0] += keys[at] == EMPTY
        keys[at], beside_wh[at], beside_rank[at] = key, w[i], r[i]
        cells[row, m[i]] = BESIDE
    np.add.at(by_day, (day, outcome), 1)
    return 0


def _decide(cell: int, new: tuple[int, int], held: tuple[int, int]) -> Outcome:
    if cell == 0:
        return Outcome.NEW
    if new[1] != held[1]:
        return Outcome.CORRECTED if new[1] > held[1] else Outcome.SUPERSEDED
    if new[0] == held[0]:
        return Outcome.DOUBLE
    return Outcome.CONFLICT_WON if new[0] > held[0] else Outcome.CONFLICT_LOST


def accepts_more(meter: Array, wh: Array, first_meter: int, table: Array, few: int) -> bool:
    """See `kernels.accepts_more`."""
    m = meter.astype(np.int64) - first_meter
    known = (m >= 0) & (m < len(table))
    return int((outcomes(table[m[known]], wh[known]) == Outcome.NEW).sum()) > few


def undo_readings(
    meter: Array,
    slot: Array,
    wh: Array,
    first_meter: int,
    entries: Array,
    table_of_row: Array,
    cells: Array,
    keys: Array,
    beside_wh: Array,
    beside_rank: Array,
    low: int,
    low_row: int,
    late_before: int,
    sum_wh: Array,
    sum_n: Array,
    revisions: Array,
    outcome: Array,
    old_cell: Array,
    old_wh: Array,
    old_rank: Array,
) -> None:
    """See `kernels.undo_readings`."""
    size = cells.shape[1]
    for i in np.flatnonzero(outcome <= Outcome.CONFLICT_WON)[::-1]:
        s = int(slot[i] if slot.size > 1 else slot[0])
        m = int(meter[i]) - first_meter
        row = (s - low + low_row) % len(cells)
        c = int(entries[table_of_row[row], m]) & NO_CLASS
        cells[row, m] = old_cell[i]
        if outcome[i] == Outcome.NEW:
            sum_wh[row, c] -= int(wh[i])
            sum_n[row, c] -= 1
            revisions[row] -= int(s < late_before)
            continue
        if old_cell[i] == BESIDE:
            at = _find(keys, s * size + m)
            beside_wh[at], beside_rank[at] = old_wh[i], old_rank[i]
        sum_wh[row, c] -= int(wh[i]) - int(old_wh[i])
        revisions[row] -= 1


def rehash(
    keys: Array,
    beside_wh: Array,
    beside_rank: Array,
    low_key: int,
    new_keys: Array,
    new_wh: Array,
    new_rank: Array,
) -> int:
    """See `kernels.rehash`."""
    kept = np.flatnonzero(keys >= low_key)
    for i in kept:
        at = _find(new_keys, int(keys[i]))
        new_keys[at], new_wh[at], new_rank[at] = keys[i], beside_wh[i], beside_rank[i]
    return len(kept)


def move_sums(
    meters: Array,
    before: Array,
    after: Array,
    rows: Array,
    slots: Array,
    cells: Array,
    keys: Array,
    beside_wh: Array,
    sum_wh: Array,
    sum_n: Array,
    revisions: Array,
    changed: Array,
) -> None:
    """See `kernels.move_sums`."""
    size = cells.shape[1]
    for row, slot in zip(rows.tolist(), slots.tolist(), strict=True):
        held = cells[row, meters].astype(np.int64)
        at = np.flatnonzero(held)
        wh = held[at] - 1
        for i in np.flatnonzero(held[at] == BESIDE):
            wh[i] = beside_wh[_find(keys, slot * size + int(meters[at[i]]))]
        np.subtract.at(sum_wh[row], before[at], wh)
        np.subtract.at(sum_n[row], before[at], 1)
        np.add.at(sum_wh[row], after[at], wh)
        np.add.at(sum_n[row], after[at], 1)
        revisions[row] += int(at.size > 0)
        changed[row] |= np.uint8(at.size > 0)
