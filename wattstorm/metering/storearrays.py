"""A day store as plain arrays: what a snapshot holds of it, and how it gets another shape.

A register that grows adds meters and classes to a partition, and rules that keep more or
fewer days open change its ring. Both are rare, so such a store is copied, not stretched: the
one before stays as it was until what made the new one is committed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from wattstorm.metering.checks import NO_CLASS
from wattstorm.metering.daystore import DayStore, capacity_for

Array = npt.NDArray[Any]


def arrays_of(store: DayStore) -> dict[str, Array]:
    """What a snapshot holds: one array a used row, the sums, the table beside."""
    used = store.sum_n.any(axis=1) | (store.revisions != 0)
    state = {f"cells.{row}": store.cells[row] for row in np.flatnonzero(used)}
    beside = store.keys >= 0
    return state | {
        "sum_wh": store.sum_wh,
        "sum_n": store.sum_n,
        "revisions": store.revisions,
        "beside.stride": np.array([store.size], np.int64),
        "beside.keys": store.keys[beside],
        "beside.wh": store.beside_wh[beside],
        "beside.rank": store.beside_rank[beside],
    }


def load(store: DayStore, low: int, state: dict[str, Array]) -> None:
    """Take over the arrays of a snapshot; the register may have grown since."""
    store.low = low
    for name, array in state.items():
        if name.startswith("cells."):
            store.cells[int(name[6:]), : array.size] = array
    classes = state["sum_wh"].shape[1]
    store.sum_wh[:, :classes] = state["sum_wh"]
    store.sum_n[:, :classes] = state["sum_n"]
    store.revisions[:] = state["revisions"]
    _fill_table(
        store,
        state["beside.keys"],
        int(state["beside.stride"][0]),
        state["beside.wh"],
        state["beside.rank"],
    )


def reshaped(old: DayStore, size: int, days: int, classes: int) -> DayStore:
    """The same values and sums, changed slots included, in a store of another shape.

    size, classes: no fewer than before; days: enough for all that is held. New meters are
    joined with nothing until the caller joins them.
    """
    new = DayStore(old.first_meter, size, old.per_day, days, classes, old.kernel)
    new.low = old.low
    slots = np.arange(old.low, old.low + min(old.rows, new.rows))
    was, now = slots % old.rows, slots % new.rows
    used = old.sum_n[was].any(axis=1) | (old.revisions[was] != 0)
    for a, b in zip(was[used].tolist(), now[used].tolist(), strict=True):
        new.cells[b, : old.size] = old.cells[a]
    held = old.sum_wh.shape[1]
    new.sum_wh[now, :held] = old.sum_wh[was]
    new.sum_n[now, :held] = old.sum_n[was]
    new.revisions[now] = old.revisions[was]
    new.changed[now] = old.changed[was]
    new.unsaved[now] = used  # a row's name in a snapshot is its place in the ring
    new.parting.update(old.parting)
    entries = np.full((len(old.entries), size), NO_CLASS, np.uint32)
    entries[:, : old.size] = old.entries
    tables = np.zeros(new.rows, np.uint8)
    tables[now] = old.table_of_row[was]
    new.join(entries, tables)
    beside = old.keys >= 0
    _fill_table(new, old.keys[beside], old.size, old.beside_wh[beside], old.beside_rank[beside])
    return new


def _fill_table(store: DayStore, keys: Array, stride: int, wh: Array, rank: Array) -> None:
    """Fill the table beside with values whose keys were made with another number of meters."""
    slots, meters = np.divmod(keys, stride)
    keys = slots * store.size + meters
    store.empty_table(capacity_for(len(keys)))
    store.used[0] = store.kernel.rehash(
        keys, wh, rank, 0, store.keys, store.beside_wh, store.beside_rank
    )
