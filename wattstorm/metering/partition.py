"""The state of one partition: what has been seen, and the sums it adds up to.

A pure function of the log's prefix: the blocks in order, each with its position
and arrival time. Watermark, closing of days and the register entry in force all
follow from these alone, so that a snapshot and a replay of the rest equal never
having stopped. No clock, no files, no Redis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import SnapshotError
from wattstorm.metering.aggregates import SlotSums
from wattstorm.metering.applied import OUTSIDE, Applied, refused, refused_whole, rejected_of
from wattstorm.metering.block import Block, Columns
from wattstorm.metering.checks import OUTCOMES, Outcome
from wattstorm.metering.daystore import DayStore, Window
from wattstorm.metering.frame import SegmentFrame
from wattstorm.metering.inforce import InForce
from wattstorm.metering.joins import Joins
from wattstorm.metering.rules import Rules
from wattstorm.metering.storearrays import arrays_of, load
from wattstorm.metering.stretches import Place, due, frames
from wattstorm.metering.watermark import STRAY_SHARE, Claim, Watermark, advanced

if TYPE_CHECKING:
    from wattstorm.register.register import Register

__all__ = ["OUTSIDE", "Applied", "Partition", "Rules"]

Array = npt.NDArray[Any]
SNAPSHOT_SCHEMA: Final = 3
_READ: Final = (2, 3)
"""Schema 2 does not say what was in force: of its rules the shape says how many days were open."""


@dataclass(slots=True)
class _Kept:
    """What stood beside the day stores' contents at the last `keep`."""

    position: int
    marks: dict[int, Watermark]
    highest: int
    since: dict[int, int]
    joins: Joins
    stores: dict[int, DayStore]


class Partition(InForce):
    """State of partition `number`, from before the first entry of its log on.

    register, rules: those in force; `apply_register` and `apply_rules` change them, at their
    place in the log. position: last log position reflected, 0 for none. floor: readings in slots up
    to it are refused as STATE_LOST. highest: newest slot accepted, -1 before any.
    A channel has a watermark and a day store from its first accepted reading on.
    """

    def __init__(self, number: int, register: Register, rules: Rules, kernel: Any = None) -> None:
        super().__init__(number * register.partition_size, register, rules, kernel)
        self.number = number
        self.position = 0
        self.highest = -1
        self._kept = self._as_it_is()

    # --- one entry of the log ---------------------------------------------------

    def apply(self, block: Block, position: int, arrived_ms: int) -> Applied:
        """Apply the block at `position`, tentatively, until `keep` or `undo`."""
        self.position = position
        columns = block.columns
        if not len(columns.meter):  # a day of curves without a value: a meter's right
            return Applied(np.zeros(OUTCOMES, np.int64), {}, [])
        if wrong := self._misplaced(block):
            return refused_whole(block, columns, wrong)
        arrived = (arrived_ms // 1000 + self.rules.future_s) // self.rules.grid.seconds
        self._advance(block.channel, columns, arrived)
        if block.channel not in self._marks:  # nothing to accept so far: no window is open
            future = min(arrived, self.rules.calendar.known.stop)
            return refused(block, columns, self._joins.outcomes(columns, future, self.floor))
        store = self._stores[block.channel]
        outcome, days = store.apply(columns, self._window(block.channel, arrived))
        tally = days[:, :OUTCOMES].sum(axis=0)
        if tally[: Outcome.DOUBLE].any() and int(columns.slot.max()) > self.highest:
            accepted = outcome <= Outcome.CONFLICT_WON
            slots = columns.slot if columns.slot.size == 1 else columns.slot[accepted]
            self.highest = max(self.highest, int(slots.max()))
        first_day = store.low // self.rules.grid.per_day
        numbers = [*range(first_day, first_day + store.days), OUTSIDE]
        by_day = {numbers[i]: days[i] for i in np.flatnonzero(days.any(axis=1)).tolist()}
        return Applied(tally, by_day, rejected_of(block, columns, outcome, tally))

    def refuse(self, position: int) -> None:
        """An entry of the log that is no block: it is passed over."""
        self.position = position

    def changes(self) -> dict[tuple[int, int], SlotSums]:
        """(channel, slot) → sums, absolute, of all that changed since `keep`."""
        return {
            (channel, slot): sums
            for channel, store in self._stores.items()
            for slot, sums in store.changes().items()
        }

    def segments(self, channel: int) -> Iterator[SegmentFrame]:
        """Frames of the stretches and days that closed since `keep`; see `stretches`."""
        mark, low = self._marks.get(channel), self.lows().get(channel)
        held = self._kept.marks.get(channel)
        if mark is None or low is None or mark is held:
            return iter(())
        store = self._stores[channel]
        before = Place(-1, max(store.earliest, self.rules.calendar.known.start))
        if held is not None:
            before = Place(held.mark, max(held.days.low, self._kept.since.get(channel, -1)))
        was = self._kept.stores.get(channel, store)
        stores = [store] if was is store else [store, was]
        closed = due(self.rules, before, Place(mark.mark, low))
        return frames(self.number, self.rules, self._joins, stores, closed)

    def keep(self) -> None:
        """What was applied is committed."""
        for store in self._stores.values():
            store.keep()
        self._kept = self._as_it_is()

    def undo(self) -> None:
        """Back to the last `keep`, exactly."""
        kept = self._kept
        self._stores = dict(kept.stores)  # not those that had another shape meanwhile
        for store in self._stores.values():
            store.undo()
        self._joins, self._since = kept.joins, dict(kept.since)
        self.position, self._marks, self.highest = (
            kept.position,
            dict(kept.marks),
            kept.highest,
        )

    def start_after(self, position: int, highest: int) -> None:
        """Begin at `position` with no memory: slots up to `highest` may hold values
        that nobody can tell from doubles any more, so they are closed."""
        self.position, self.floor, self.highest = position, highest, highest
        self.keep()

    @property
    def watermark(self) -> dict[int, int]:
        """By channel the newest slot that more than stray readings reached."""
        return {channel: mark.mark for channel, mark in self._marks.items()}

    def held(self, channel: int, slot: int, meter: int) -> tuple[int, int] | None:
        """(Wh, rank) held for a dense index in an open slot, or None."""
        store = self._stores.get(channel)
        if store is None or not store.low <= slot < store.low + store.rows:
            return None
        return store.held(slot, meter)

    # --- snapshots ----------------------------------------------------------------

    def snapshot(self) -> tuple[dict[str, Array], dict[str, Any]]:
        """(arrays, JSON header) of the kept state."""
        arrays = {
            f"{channel}/{name}": array
            for channel, store in self._stores.items()
            for name, array in arrays_of(store).items()
        }
        header = {
            "schema": SNAPSHOT_SCHEMA,
            "partition": self.number,
            "position": self.position,
            "floor": self.floor,
            "highest": self.highest,
            "watermark": {str(c): w for c, w in self.watermark.items()},
            "claims": {
                str(c): [m.claim.slot, m.claim.blocks, sorted(m.claim.meters)]
                for c, m in self._marks.items()
                if m.claim
            },
            "low": {str(c): s.low for c, s in self._stores.items()},
            "since": {str(c): slot for c, slot in self._since.items()},
            "register": self.register.version,
            "rules": self.rules.to_dict(),
            "shape": self._shape(),
        }
        return arrays, header

    def unsaved_rows(self) -> set[str]:
        """Names of the arrays of cells in `snapshot` that changed since this was last asked."""
        names = set()
        for channel, store in self._stores.items():
            names |= {f"{channel}/cells.{row}" for row in np.flatnonzero(store.unsaved)}
            store.unsaved[:] = 0
        return names

    @classmethod
    def restore(
        cls,
        number: int,
        register: Register,
        rules: Rules,
        arrays: dict[str, Array],
        header: dict[str, Any],
    ) -> Partition:
        """The partition that `snapshot` described. Raises SnapshotError if it is another's.

        register, rules: those that were in force, as the header says; of one that does not, those
        that are in force now. More or fewer days may be open by these than by the snapshot:
        what is open by both stays so, and nothing is closed that the rules leave open.
        """
        *shape, open_days = header.get("shape") or [0]
        held = replace(rules, open_days=open_days)
        state = cls(number, register, held)
        found = header.get("schema"), header.get("partition"), shape
        if found[0] not in _READ or found[1:] != (number, state._shape()[:-1]):
            raise SnapshotError(
                f"snapshot with schema, partition and shape {found}, "
                f"expected {(SNAPSHOT_SCHEMA, number, state._shape()[:-1])}",
                "it is passed over and the partition rebuilt from the log",
            )
        state.position, state.floor, state.highest = (
            header["position"],
            header["floor"],
            header["highest"],
        )
        for channel, low in header["low"].items():
            claim = header["claims"].get(channel)
            claim = claim and Claim(claim[0], claim[1], frozenset(claim[2]))
            mark = Watermark.at(header["watermark"][channel], held, claim)
            state._marks[int(channel)] = mark
            store = state._stores[int(channel)] = state._new_store()
            prefix = f"{channel}/"
            mine = {n[len(prefix) :]: a for n, a in arrays.items() if n.startswith(prefix)}
            load(store, low, mine)
            store.join(*state._tables_of(store))
        state._since = {int(c): slot for c, slot in header.get("since", {}).items()}
        state.keep()
        if open_days != rules.open_days:
            state.apply_rules(rules, state.position)
            state.keep()
        return state

    def _shape(self) -> list[int]:
        rules = self.rules
        return [self.first, self.register.partition_size, rules.grid.minutes, rules.open_days]

    # --- inside ---------------------------------------------------------------------

    def _misplaced(self, block: Block) -> Outcome | None:
        if block.partition != self.number:
            return Outcome.WRONG_PARTITION
        return Outcome.WRONG_GRID if block.slot_minutes != self.rules.grid.minutes else None

    def _advance(self, channel: int, columns: Columns, arrived: int) -> None:
        """Move the watermark on to what this block brings, and close the days that fall behind."""
        held = self._marks.get(channel)
        known = self.rules.calendar.known
        mark = held.mark if held else known.start - 1
        # The hot path ends here: most blocks bring slots that others have brought.
        if columns.slot.size > 1 and int(columns.slot.max()) <= mark:
            return
        future = min(arrived, known.stop)
        if columns.slot.size == 1 and not mark < columns.slot[0] < future:
            return
        moved = self._moved(channel, mark, columns, future)
        if moved is None or moved is held:
            return
        self._marks[channel] = moved
        if channel not in self._stores:
            self._stores[channel] = self._new_store()
        store, per_day = self._stores[channel], self.rules.grid.per_day
        if (low := moved.days.low // per_day * per_day) > store.low:
            store.open_from(low)
            store.join(*self._tables_of(store))

    def _moved(self, channel: int, mark: int, columns: Columns, future: int) -> Watermark | None:
        """The watermark after the accepted ones of these readings in slots (mark, future)."""
        held = self._marks.get(channel)
        n = len(columns.meter)
        if columns.slot.size == 1:
            slot = int(columns.slot[0])
            if held and slot < held.days.stop:  # live readings: the first block of a new slot
                store = self._stores[channel]
                good = slot > self.floor and store.accepts_more(columns, slot, n // STRAY_SHARE)
                return held.moved(slot, self.rules) if good else held
            ahead = columns
        else:
            at = np.flatnonzero((columns.slot > mark) & (columns.slot < future))
            ahead = columns.take(at)
        outcome = self._joins.outcomes(ahead, future, self.floor)
        good_at = np.flatnonzero(outcome == Outcome.NEW)
        slots = np.broadcast_to(ahead.slot, len(ahead.meter))[good_at]
        return advanced(held, slots, ahead.meter[good_at], n, self.size, self.rules)

    def _window(self, channel: int, arrived: int) -> Window:
        mark, store = self._marks[channel], self._stores[channel]
        low = max(mark.days.low, self._since.get(channel, -1))
        future = min(mark.days.stop, store.low + store.rows, arrived)
        late_before = mark.mark - self.rules.deadline_slots
        floor = max(self.floor, self.closed.get(channel, 0) - 1)
        return Window(low, future, floor, late_before)

    def _as_it_is(self) -> _Kept:
        return _Kept(
            self.position,
            dict(self._marks),
            self.highest,
            dict(self._since),
            self._joins,
            dict(self._stores),
        )
