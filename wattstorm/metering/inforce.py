"""What is in force in a partition: a register version and rules, and how another takes over.

Both are entries of the partition's log, so a replay finds them where they took effect.
What is held of open slots moves with its meters to the classes that they have from then
on, and both curves' revisions grow. What closed before stays in the class that it was summed
in: a change that is dated before the open days is in force from the first open slot on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError
from wattstorm.metering.aggregates import classes_of
from wattstorm.metering.daystore import DayStore
from wattstorm.metering.joins import Joins
from wattstorm.metering.rules import Rules
from wattstorm.metering.storearrays import reshaped
from wattstorm.metering.watermark import Watermark

if TYPE_CHECKING:
    from wattstorm.register.register import Register

Array = npt.NDArray[Any]


class InForce:
    """The open days of a range of dense indices from `first` on, under a register and rules.

    floor: slots up to it hold nothing that anybody knows; closed: see below.
    """

    position: int

    def __init__(self, first: int, register: Register, rules: Rules, kernel: Any) -> None:
        self.first, self._kernel = first, kernel
        self.floor = -1
        self.closed: Mapping[int, int] = {}
        """By channel the first slot that was still taken when the partition was taken over. What
        lies before it has left the partition's sums: STATE_LOST, even if more days are open now."""
        self._joins = Joins(register, rules, first, self._size_in(register))
        self._marks: dict[int, Watermark] = {}
        self._stores: dict[int, DayStore] = {}
        self._since: dict[int, int] = {}
        """By channel the first slot that was still taken when the register or the rules last
        changed: what had closed by then stays closed, whatever is open now."""

    @property
    def register(self) -> Register:
        return self._joins.register

    @property
    def rules(self) -> Rules:
        return self._joins.rules

    @property
    def size(self) -> int:
        """Meters of the partition, by the register in force."""
        return self._joins.size

    def apply_register(self, register: Register, position: int) -> list[tuple[int, int]]:
        """The entry at `position` says that this version of the register is in force from here on.

        What is held of open slots moves with its meters to the classes that they have now. What
        closed before stays in the class that it was summed in: so a change that is dated before
        the open days is in force from the first open slot on. Returns `_in_curves`.
        RegisterError if it is no extension of the version before. Tentative, like `apply`.
        """
        return self._governed(register, self.rules, position)

    def apply_rules(self, rules: Rules, position: int) -> list[tuple[int, int]]:
        """As `apply_register`, for rules. Readings that were judged keep their outcome; days that
        had closed do not open again, and those that the new rules close are closed now."""
        return self._governed(self.register, rules, position)

    def lows(self) -> dict[int, int]:
        """By channel the first slot that is still taken, with what was applied so far: sums of
        slots before it never change again. A channel without a window is not in it."""
        return {c: max(mark.days.low, self._since.get(c, -1)) for c, mark in self._marks.items()}

    # --- inside ---------------------------------------------------------------------

    def _new_store(self) -> DayStore:
        rules = self.rules
        return DayStore(
            self.first,
            self.size,
            rules.grid.per_day,
            rules.ring_days,
            classes_of(self.register),
            self._kernel,
        )

    def _tables_of(self, store: DayStore) -> tuple[Array, Array]:
        """The join tables of a store's rows, and which one each row has: the register's entries
        valid on the slot's local date."""
        slots = np.arange(store.low, store.low + store.rows, dtype=np.int32)
        tables, number = self._joins.of_slots(slots)
        table_of_row = np.empty(store.rows, np.uint8)
        table_of_row[slots % store.rows] = number
        return tables, table_of_row

    def _size_in(self, register: Register) -> int:
        return max(0, min(register.partition_size, register.count - self.first))

    def _governed(self, register: Register, rules: Rules, position: int) -> list[tuple[int, int]]:
        _check_extends(self.register, register)
        self.position = position
        self._since = self.lows()
        self._joins = Joins(register, rules, self.first, self._size_in(register))
        self._marks = {
            channel: Watermark.at(mark.mark, rules, mark.claim)
            for channel, mark in self._marks.items()
        }
        for channel, low in self.lows().items():
            store = self._stores[channel]
            store.open_from(low // rules.grid.per_day * rules.grid.per_day)
            shape = self.size, rules.ring_days, classes_of(register)
            if shape != (store.size, store.days, store.sum_wh.shape[1]):
                store = self._stores[channel] = reshaped(store, *shape)
            taken = max(low, self.floor + 1, self.closed.get(channel, 0))
            store.rejoin(*self._tables_of(store), taken)
        return self._in_curves()

    def _in_curves(self) -> list[tuple[int, int]]:
        """(channel, slot) of the open slots that have sums, in memory or lost with it: what
        their curves say is to be said anew."""
        return [
            (channel, slot)
            for channel, low in self.lows().items()
            for slot in sorted(
                {s for s in self._stores[channel].summed() if s >= low}
                | set(range(low, self.floor + 1))
            )
        ]


def _check_extends(before: Register, after: Register) -> None:
    same = after.partition_size == before.partition_size
    if not same or after.version < before.version or after.count < before.count:
        raise RegisterError(
            f"register version {after.version} with {after.count} meters, {after.partition_size} "
            f"in a partition, does not extend version {before.version} with {before.count}, "
            f"{before.partition_size} in a partition",
            "bring the register's directory back that this stream was run with",
        )
