"""The values seen in the open days, and the sums they add up to.

Two bytes a meter and slot, slot-major: row by row, so that the slot that is
being reported stays in cache. A cell holds 0 for 'not seen', v + 1 for v Wh;
what does not fit (large or negative energies, corrected or estimated values)
is kept exactly in a table beside. Rows are a ring of whole UTC days.

Work is tentative until `keep`: `undo` takes back everything since, including
a day that was closed meanwhile. Memory is claimed row by row as slots arrive.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError
from wattstorm.metering import kernels
from wattstorm.metering.aggregates import SlotSums
from wattstorm.metering.block import BASE_RANK, Columns
from wattstorm.metering.checks import COUNTERS, NO_CLASS
from wattstorm.metering.journal import BlockApplied, DaysClosed, Journal, Rejoined, Window

__all__ = ["DayStore", "Window"]

Array = npt.NDArray[Any]
_MIN_TABLE: Final = 1 << 10


class DayStore:
    """Open days of one partition and channel.

    first_meter, size: the partition's dense indices; per_day: slots a UTC day;
    days: days in the ring; classes: length of the sums' second axis.
    """

    def __init__(
        self, first_meter: int, size: int, per_day: int, days: int, classes: int, kernel: Any = None
    ) -> None:
        self.first_meter, self.size, self.per_day, self.days = first_meter, size, per_day, days
        self.kernel = kernel or kernels
        self.rows = per_day * days
        self.low = -1
        """First slot of the ring; -1 before the first reading. Always a day's first slot."""
        self.cells = np.zeros((self.rows, size), np.uint16)
        self.sum_wh = np.zeros((self.rows, classes), np.int64)
        self.sum_n = np.zeros((self.rows, classes), np.int64)
        self.revisions = np.zeros(self.rows, np.int64)
        self.changed = np.zeros(self.rows, np.uint8)
        self.unsaved = np.zeros(self.rows, np.uint8)
        """Rows that changed, for good, since whoever saves them set this to 0."""
        self.entries = np.zeros((1, size), np.uint32)
        self.table_of_row = np.zeros(self.rows, np.uint8)
        self.empty_table(_MIN_TABLE)
        self._journal = Journal()

    # --- the window -----------------------------------------------------------

    def row_of(self, slot: int) -> int:
        return slot % self.rows

    def open_from(self, low: int) -> None:
        """Move the ring on so that it starts at slot `low`; days before it are closed.

        low: a UTC day's first slot. The rows' join tables are the caller's next step: `join`.
        """
        if low <= self.low:
            return
        stop = min(low, self.low + self.rows) if self.low >= 0 else self.low
        gone = np.arange(self.low, stop) % self.rows
        gone = gone[self.sum_n[gone].any(axis=1) | (self.revisions[gone] != 0)]
        for row in gone[self.changed[gone] == 1]:
            self._journal.parting[self._slot_in(row)] = self._sums(row)
        saved = {name: getattr(self, name)[gone] for name in _ROW_ARRAYS}
        self._journal.entries.append(
            DaysClosed(self.low, self.entries, self.table_of_row, gone, saved)
        )
        self.changed[gone] = 0
        for name in _ROW_ARRAYS:
            getattr(self, name)[gone] = 0
        self.low = low

    def join(self, entries: Array, table_of_row: Array) -> None:
        """What readings are joined with from now on. entries: uint32[tables, meters], see
        `checks.join_entries`; table_of_row: uint8[rows]. Neither is written to afterwards:
        an undo takes the old ones back."""
        self.entries, self.table_of_row = entries, table_of_row

    def rejoin(self, entries: Array, table_of_row: Array, opens: int) -> None:
        """As `join`, because the register or the rules changed: what is held of slots from `opens`
        on moves with its meters to their new classes, and the revisions of those slots grow by 1.

        Sums before `opens` may have left the partition, and stay as they are.
        """
        slots = np.arange(max(opens, self.low), self.low + self.rows)
        slots = slots[self.sum_n[slots % self.rows].any(axis=1)]
        rows = slots % self.rows
        saved = {name: getattr(self, name)[rows] for name in _SUMS}
        self._journal.entries.append(Rejoined(self.entries, self.table_of_row, rows, saved))
        pairs = np.stack([self.table_of_row[rows], table_of_row[rows]], axis=1)
        for old, new in np.unique(pairs, axis=0):
            at = np.flatnonzero((pairs == (old, new)).all(axis=1))
            before, after = self.entries[old] & NO_CLASS, entries[new] & NO_CLASS
            meters = np.flatnonzero((before != after) & (before != NO_CLASS))
            if (gone := meters[after[meters] == NO_CLASS]).size:
                raise _not_an_extension(int(gone[0]) + self.first_meter)
            self.kernel.move_sums(
                meters,
                before[meters].astype(np.int64),
                after[meters].astype(np.int64),
                rows[at],
                slots[at],
                self.cells,
                self.keys,
                self.beside_wh,
                self.sum_wh,
                self.sum_n,
                self.revisions,
                self.changed,
            )
        self.join(entries, table_of_row)

    # --- readings -------------------------------------------------------------

    def accepts_more(self, columns: Columns, slot: int, few: int) -> bool:
        """Whether more than `few` readings in one slot of the ring pass the checks."""
        table = self.entries[self.table_of_row[self.row_of(slot)]]
        accepts: bool = self.kernel.accepts_more(
            columns.meter, columns.wh, self.first_meter, table, few
        )
        return accepts

    def apply(
        self, columns: Columns, window: Window
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Apply n readings. Returns (outcome uint8[n], counters int64[days + 1, COUNTERS])."""
        n = len(columns.meter)
        self._make_room(columns)
        applied = BlockApplied(
            columns,
            window,
            np.empty(n, np.uint8),
            np.empty(n, np.uint16),
            np.empty(n, np.int32),
            np.empty(n, np.int32),
        )
        by_day = np.zeros((self.days + 1, COUNTERS), np.int64)
        self.kernel.apply_readings(
            columns.meter,
            columns.slot,
            columns.wh,
            columns.rank,
            self.first_meter,
            self.entries,
            self.table_of_row,
            self.cells,
            self.keys,
            self.beside_wh,
            self.beside_rank,
            self.used,
            self.low,
            self.row_of(self.low),
            window.low,
            window.closed,
            window.future,
            window.late_before,
            self.sum_wh,
            self.sum_n,
            self.revisions,
            self.changed,
            applied.outcome,
            applied.old_cell,
            applied.old_wh,
            applied.old_rank,
            by_day,
            self.per_day,
        )
        self._journal.entries.append(applied)
        return applied.outcome, by_day

    def keep(self) -> None:
        """What was applied is committed: it can no longer be undone."""
        self._journal = Journal()
        self.unsaved |= self.changed
        self.changed[:] = 0

    def undo(self) -> None:
        """Back to the last `keep`, exactly."""
        for entry in reversed(self._journal.entries):
            if isinstance(entry, DaysClosed):
                self._reopen(entry)
                continue
            if isinstance(entry, Rejoined):
                self._join_again(entry)
                continue
            self.kernel.undo_readings(
                entry.columns.meter,
                entry.columns.slot,
                entry.columns.wh,
                self.first_meter,
                self.entries,
                self.table_of_row,
                self.cells,
                self.keys,
                self.beside_wh,
                self.beside_rank,
                self.low,
                self.row_of(self.low),
                entry.window.late_before,
                self.sum_wh,
                self.sum_n,
                self.revisions,
                entry.outcome,
                entry.old_cell,
                entry.old_wh,
                entry.old_rank,
            )
        self.keep()

    def changes(self) -> dict[int, SlotSums]:
        """Sums of the slots that changed since `keep`: absolute, not differences."""
        rows = np.flatnonzero(self.changed)
        return self._journal.parting | {self._slot_in(row): self._sums(row) for row in rows}

    def summed(self) -> list[int]:
        """Slots of the ring that have sums, or had some that were corrected away."""
        rows = np.flatnonzero(self.sum_n.any(axis=1) | (self.revisions != 0))
        return [self._slot_in(row) for row in rows]

    @property
    def earliest(self) -> int:
        """The first slot of which `row_in` may know."""
        lows = [e.low for e in self._journal.entries if isinstance(e, DaysClosed) and e.low >= 0]
        return min([*lows, self.low])

    def row_in(self, slot: int) -> npt.NDArray[np.uint16] | None:
        """The cells of a slot, of one that closed since `keep` too; None where nothing was seen."""
        if self.low <= slot < self.low + self.rows:
            row = self.row_of(slot)
            return self.cells[row] if self.sum_n[row].any() else None
        for entry in self._journal.entries:
            if isinstance(entry, DaysClosed) and entry.low <= slot < entry.low + self.rows:
                at = np.flatnonzero(entry.rows == self.row_of(slot))
                if at.size:
                    cells: npt.NDArray[np.uint16] = entry.saved["cells"][at[0]]
                    return cells
        return None

    @property
    def parting(self) -> dict[int, SlotSums]:
        """Last sums of slots that changed since `keep` and were then closed."""
        return self._journal.parting

    def _slot_in(self, row: np.intp) -> int:
        return int(self.low + (row - self.row_of(self.low)) % self.rows)

    def _sums(self, row: np.intp) -> SlotSums:
        return SlotSums(self.sum_wh[row].copy(), self.sum_n[row].copy(), int(self.revisions[row]))

    def held(self, slot: int, meter: int) -> tuple[int, int] | None:
        """(Wh, rank) held for a dense index and a slot, or None."""
        cell = int(self.cells[self.row_of(slot), meter - self.first_meter])
        if cell == 0:
            return None
        if cell != kernels.BESIDE:
            return cell - 1, BASE_RANK
        at = int(np.flatnonzero(self.keys == slot * self.size + meter - self.first_meter)[0])
        return int(self.beside_wh[at]), int(self.beside_rank[at])

    # --- inside ---------------------------------------------------------------

    def _reopen(self, closed: DaysClosed) -> None:
        # A day that was opened in the place of this one goes first: nothing of it was kept.
        # The readings that are undone after it were joined with its tables, and so is what follows.
        self.low = closed.low
        self.join(closed.entries, closed.table_of_row)
        for name, values in closed.saved.items():
            getattr(self, name)[closed.rows] = values

    def _join_again(self, before: Rejoined) -> None:
        self.join(before.entries, before.table_of_row)
        for name, values in before.saved.items():
            getattr(self, name)[before.rows] = values

    def empty_table(self, capacity: int) -> None:
        self.keys = np.full(capacity, kernels.EMPTY, np.int64)
        self.beside_wh = np.zeros(capacity, np.int32)
        self.beside_rank = np.zeros(capacity, np.int32)
        self.used = np.zeros(1, np.int64)

    def _make_room(self, columns: Columns) -> None:
        """Grow the table beside for all readings that may need a place in it."""
        wh = columns.wh
        if (
            columns.rank.size == 1
            and columns.rank[0] == BASE_RANK
            and wh.max() <= kernels.PLAIN_MAX
            and (wh.dtype == np.uint16 or wh.min() >= 0)
        ):
            return
        odd = columns.rank != BASE_RANK
        wide = (wh > kernels.PLAIN_MAX) | (wh < 0)
        coming = len(columns.meter) if odd.size == 1 and odd[0] else int((odd | wide).sum())
        if coming + int(self.used[0]) <= len(self.keys) * 0.6:
            return
        # Entries of closed days are dropped, unless an undo could still need them.
        oldest = self.earliest
        old = (self.keys, self.beside_wh, self.beside_rank)
        staying = int(np.count_nonzero(self.keys >= oldest * self.size))
        self.empty_table(capacity_for(coming + staying))
        self.used[0] = self.kernel.rehash(
            *old, oldest * self.size, self.keys, self.beside_wh, self.beside_rank
        )


def _not_an_extension(meter: int) -> RegisterError:
    return RegisterError(
        f"the meter of dense index {meter} is not known any more on a day of which it has readings",
        "a register version must extend the one before it: bring that one back",
    )


def capacity_for(entries: int) -> int:
    """Power of two that leaves the table at most 40 % full."""
    return max(_MIN_TABLE, 1 << int(np.ceil(np.log2((entries + 1) / 0.4))))


_SUMS: Final = ("sum_wh", "sum_n", "revisions")
_ROW_ARRAYS: Final = ("cells", *_SUMS)
