"""What a partition's meters are joined with, by local date: class, producer flag, limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.metering.block import Columns
from wattstorm.metering.checks import Outcome, join_entries, outcomes, power_limit_wh
from wattstorm.metering.rules import Rules

if TYPE_CHECKING:
    from wattstorm.register.register import Register

Array = npt.NDArray[Any]
LOOKED_AT: Final = 8
"""Tables that one block of readings ahead of the stream may cost, the newest: garbage over a
century must not make one for each day on which the register changed."""
_KEPT: Final = 48


class Joins:
    """Tables of `checks.join_entries` for a range of dense indices, made when asked for.

    Dates between which the register does not change share a table.
    """

    def __init__(self, register: Register, rules: Rules, first: int, size: int) -> None:
        self.register, self.rules, self.first, self.size = register, rules, first, size
        self._tables: dict[int, Array] = {}

    def of_slots(self, slots: Array) -> tuple[Array, npt.NDArray[np.uint8]]:
        """(tables uint32[k, size], which one is valid in each slot uint8[n]). slots: int32[n];
        what lies outside the days that the calendar knows has the table of the nearest."""
        known = self.rules.calendar.known
        days, at = self._days(slots.clip(known.start, known.stop - 1))
        epochs = [self.register.epoch_on(int(day)) for day in days]
        order = sorted(set(epochs))
        tables = {e: self._table(e, int(day)) for e, day in zip(epochs, days, strict=True)}
        number = np.array([order.index(epoch) for epoch in epochs], np.uint8)
        stacked = [tables[epoch] for epoch in order]
        return (stacked[0][None, :] if len(stacked) == 1 else np.stack(stacked)), number[at]

    def outcomes(self, columns: Columns, future: int, floor: int) -> npt.NDArray[np.uint8]:
        """What the checks say of readings wherever their slots lie; NEW where all hold.

        Slots from `future` on are FUTURE, those up to `floor` STATE_LOST, those before the days
        that the calendar knows TOO_OLD; what is joined with older tables than the newest
        `LOOKED_AT` is FUTURE, as it is held back anyway.
        """
        n = len(columns.meter)
        out = np.full(n, Outcome.FUTURE, np.uint8)
        m = columns.meter.astype(np.int64) - self.first
        slot = np.broadcast_to(columns.slot, n)
        inside = (m >= 0) & (m < self.size)
        out[~inside] = Outcome.UNKNOWN_METER
        start = self.rules.calendar.known.start
        out[inside & (slot < start)] = Outcome.TOO_OLD
        todo = np.flatnonzero(inside & (slot >= start) & (slot < future))
        if not todo.size:
            return out
        days, at = self._days(slot[todo] if columns.slot.size > 1 else columns.slot)
        epochs = np.array([self.register.epoch_on(int(day)) for day in days])
        for epoch in np.unique(epochs)[::-1][:LOOKED_AT]:
            table = self._table(int(epoch), int(days[epochs == epoch][0]))
            part = todo if epochs.size == 1 else todo[(epochs == epoch)[at]]
            out[part] = outcomes(table[m[part]], columns.wh[part])
        lost = todo[(slot[todo] <= floor) & (out[todo] != Outcome.UNKNOWN_METER)]
        out[lost] = Outcome.STATE_LOST
        return out

    def _days(self, slots: Array) -> tuple[npt.NDArray[np.int32], Array]:
        """Local days of the slots, each once, and which of them each slot lies in."""
        days = self.rules.calendar.dates_of(slots)
        if days.min() == days.max():
            return days[:1], np.zeros(len(days), np.intp)
        return np.unique(days, return_inverse=True)

    def _table(self, epoch: int, day: int) -> Array:
        if epoch not in self._tables:
            if len(self._tables) >= _KEPT:
                self._tables.pop(next(iter(self._tables)))
            columns = self.register.columns(self.first, self.first + self.size, day)
            rules = self.rules
            limit = power_limit_wh(columns.power_va, rules.grid.minutes, rules.power_margin)
            classes = self.register.classes.of(columns.tariff, columns.region)
            self._tables[epoch] = join_entries(classes, columns.producer, limit, columns.known)
        return self._tables[epoch]
