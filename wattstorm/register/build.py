"""Merging source rows into a register's arrays. Numbers in, numbers out: no files here.

Rules, in the order they are applied:
- an id not yet in the register gets the next dense index, in order of the rows;
- two rows with one id and one valid_from are refused, equal or not;
- up to the latest valid_from heard of a meter its past is settled: a row inside
  it must say what the register says for that day, and is then ignored; another
  value would make a replay find another tariff, so it is refused;
- a later row starts a new entry, unless it only repeats the one in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError
from wattstorm.register import idindex
from wattstorm.register.arrays import (
    DAY_BITS,
    LAST_KEY_DAY,
    Arrays,
    date_of,
    entries_at,
    unpack,
)
from wattstorm.register.rows import Rows

Keys = npt.NDArray[np.int64]
Entries = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class _Later:
    """Rows after the settled past, sorted by key, with masks over them."""

    keys: Keys
    entries: Entries
    fresh: npt.NDArray[np.bool_]
    """First row of a meter that the register did not have."""
    changes: npt.NDArray[np.bool_]
    """Row that alters the entry in force before it."""
    ends: npt.NDArray[np.bool_]
    """Last row of its meter."""


def merge(known: Arrays, rows: Rows) -> tuple[Arrays, npt.NDArray[np.int64]]:
    """Extend `known` by the rows.

    Returns the new arrays (`known` itself when the rows say nothing new) and the
    days, int64[k] ascending, on which something starts by these rows.
    """
    dense, ids, index = _numbered(known, rows.ids)
    named, names = _names(known, rows, dense)
    keys = dense.astype(np.int64) << DAY_BITS | rows.days
    del dense
    # Registers usually come sorted: spare 35 M rows the sort and the copies then.
    order: Any = slice(None) if _ascending(keys) else np.argsort(keys, kind="stable")
    keys, entries = keys[order], rows.entries[order]
    _refuse_doubles(rows, keys, order)
    later = _after_the_past(known, rows, keys, entries, order)
    if not len(later.keys):
        return known, np.zeros(0, np.int64)
    extended = _extended(known, later, ids, index, (named, names))
    starts = later.keys[later.fresh | later.changes] & LAST_KEY_DAY
    days = np.flatnonzero(np.bincount(starts, minlength=1)).astype(np.int64)
    return extended, days


def _numbered(known: Arrays, wanted: idindex.Ids) -> tuple[idindex.Dense, Entries, Entries]:
    """(dense index of each row, all ids, index); the known arrays themselves if no id is new."""
    if len(known.ids):
        dense = idindex.find(wanted, known.ids, known.index)
        new = dense < 0
        if not new.any():
            return dense, known.ids, known.index
        dense[new], ids, index = idindex.number(known.ids, wanted[new])
        return dense, ids, index
    return idindex.number(known.ids, wanted)


def _names(
    known: Arrays, rows: Rows, dense: idindex.Dense
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bytes_]]:
    """`Arrays.named` and `names` with those of the rows; the known ones if none is new.

    RegisterError where two ids share a key: they would be one meter.
    """
    if not len(rows.named.at):
        return known.named, known.names
    meters, first = np.unique(dense[rows.named.at], return_index=True)
    new = meters >= len(known.ids)
    named, names = known.named, known.names
    if new.any():
        named = np.concatenate([named, meters[new].astype(np.int32)])
        names = np.concatenate([names, rows.named.names[first[new]]])
    there = names[np.searchsorted(named, dense[rows.named.at])]
    other = np.flatnonzero(there != rows.named.names)
    if len(other):
        row = int(rows.named.at[other[0]])
        raise RegisterError(
            f"{rows.place(row)} cannot be told from id {there[other[0]].decode()}",
            "one chance in 10^18: give one of the two another id",
        )
    return named, names


def _ascending(keys: Keys) -> bool:
    return bool(np.all(keys[1:] > keys[:-1]))


def _refuse_doubles(rows: Rows, keys: Keys, order: Any) -> None:
    again = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    if not len(again):
        return
    rows_sorted = np.arange(len(keys))[order]
    at = again[np.argmin(rows_sorted[again])]
    first, second = int(rows_sorted[at - 1]), int(rows_sorted[at])
    raise RegisterError(
        f"{rows.place(second)}: valid_from {date_of(keys[at] & LAST_KEY_DAY)} a second time,"
        f" after {rows.place(first)}{_and_more(len(again))}",
        "keep one row for each id and valid_from",
    )


def _after_the_past(known: Arrays, rows: Rows, keys: Keys, entries: Entries, order: Any) -> _Later:
    """Refuse what contradicts the settled past, drop what repeats it, mark the rest."""
    count = len(known.ids)
    old = np.flatnonzero(keys >> DAY_BITS < count)
    past = old[(keys[old] & LAST_KEY_DAY) <= known.last_days[keys[old] >> DAY_BITS]]
    if len(past):
        _refuse_contradictions(known, rows, keys, entries, order, past)
        keep = np.ones(len(keys), np.bool_)
        keep[past] = False
        keys, entries = keys[keep], entries[keep]
    meters = keys >> DAY_BITS
    starts = np.ones(len(keys), np.bool_)
    starts[1:] = meters[1:] != meters[:-1]
    ends = np.ones(len(keys), np.bool_)
    ends[:-1] = starts[1:]
    fresh = starts & (meters >= count)
    before = np.empty_like(entries)
    before[1:] = entries[:-1]
    first_of_old = starts & ~fresh
    before[first_of_old] = entries_at(known, meters[first_of_old] << DAY_BITS | LAST_KEY_DAY)
    return _Later(keys, entries, fresh, ~fresh & (before != entries), ends)


def _refuse_contradictions(
    known: Arrays,
    rows: Rows,
    keys: Keys,
    entries: Entries,
    order: Any,
    past: npt.NDArray[np.int64],
) -> None:
    days = keys[past] & LAST_KEY_DAY
    there = entries_at(known, keys[past])
    early = days < known.first_days[keys[past] >> DAY_BITS]
    wrong = np.flatnonzero(early | (there != entries[past]))
    if not len(wrong):
        return
    rows_sorted = np.arange(len(keys))[order]
    at = wrong[np.argmin(rows_sorted[past[wrong]])]
    row, meter = int(rows_sorted[past[at]]), int(keys[past[at]] >> DAY_BITS)
    if early[at]:
        has = f"knows the meter only from {date_of(known.first_days[meter])} on"
    else:
        has = f"has {_described(rows, there[at])}"
    raise RegisterError(
        f"{rows.place(row)}: valid_from {date_of(days[at])} with"
        f" {_described(rows, entries[past[at]])}, but the register {has}{_and_more(len(wrong))}",
        f"date the change after {date_of(known.last_days[meter])}, or build a new register in"
        " another directory: a past that changed would change what a replay adds up",
    )


def _and_more(rows: int) -> str:
    return f"; and {rows - 1:,} more rows like it" if rows > 1 else ""


def _described(rows: Rows, entry: np.uint64) -> str:
    columns = unpack(np.array([entry], np.uint64), np.ones(1, np.bool_))
    producer = "producer" if columns.producer[0] else "no producer"
    tariff, region = rows.tariffs[columns.tariff[0]], rows.regions[columns.region[0]]
    return f"tariff {tariff!r}, region {region!r}, {columns.power_va[0]} VA, {producer}"


def _extended(
    known: Arrays, later: _Later, ids: Entries, index: Entries, text: tuple[Any, Any]
) -> Arrays:
    """New arrays; those that stay the same are the same objects, so that files can be shared."""
    days = (later.keys & LAST_KEY_DAY).astype(np.uint16)
    entries, first_days = known.entries, known.first_days
    last_days = np.zeros(len(ids), np.uint16)
    last_days[: len(known.ids)] = known.last_days
    last_days[later.keys[later.ends] >> DAY_BITS] = days[later.ends]
    if later.fresh.any():
        # Sorted by dense index, and every new index has one first row: they line up.
        entries = np.concatenate([entries, later.entries[later.fresh]])
        first_days = np.concatenate([first_days, days[later.fresh]])
    change_keys, change_entries = known.change_keys, known.change_entries
    if later.changes.any():
        change_keys = np.concatenate([change_keys, later.keys[later.changes]])
        change_entries = np.concatenate([change_entries, later.entries[later.changes]])
        order = np.argsort(change_keys, kind="stable")
        change_keys, change_entries = change_keys[order], change_entries[order]
    return Arrays(ids, index, entries, first_days, last_days, change_keys, change_entries, *text)
