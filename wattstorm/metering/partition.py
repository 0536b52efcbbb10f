"""The state of one partition: what has been seen, and the sums it adds up to.

A pure function of the log's prefix: the blocks in order, each with its position
and arrival time. Watermark, closing of days and the register entry in force all
follow from these alone, so that a snapshot and a replay of the rest equal never
having stopped. No clock, no files, no Redis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import SnapshotError
from wattstorm.metering import block as blocks
from wattstorm.metering.aggregates import SlotSums, class_of, classes_of
from wattstorm.metering.block import Block, Columns
from wattstorm.metering.checks import COUNTERS, OUTCOMES, Outcome, join_entries, power_limit_wh
from wattstorm.metering.daystore import DayStore, Window
from wattstorm.metering.slots import LocalCalendar, SlotGrid

if TYPE_CHECKING:
    from wattstorm.metering.register import Register
    from wattstorm.settings import Settings

Array = npt.NDArray[Any]
SNAPSHOT_SCHEMA: Final = 1
AHEAD_DAYS: Final = 1
"""Days after the watermark's that are kept ready; later slots are FUTURE."""
STRAY_SHARE: Final = 100
"""One reading in so many may run ahead of its block without moving the watermark."""
OUTSIDE: Final = -1
"""Day number under which readings outside the open days are counted."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about readings.

    open_days: days kept open, the watermark's included; future_s: tolerance for
    meters' clocks; power_margin: factor on contracted power; deadline_slots: a
    reading later than this behind the watermark raises its slot's revision.
    """

    grid: SlotGrid
    calendar: LocalCalendar
    open_days: int = 3
    future_s: int = 900
    power_margin: float = 1.2
    deadline_slots: int = 48

    @classmethod
    def from_settings(cls, settings: Settings) -> Rules:
        stream = settings.stream
        grid = SlotGrid(stream.slot_minutes)
        return cls(
            grid,
            LocalCalendar(grid, stream.time_zone),
            stream.open_days,
            int(stream.future_minutes * 60),
            stream.power_margin,
            round(stream.deadline_hours * 3600 / grid.seconds),
        )


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one block's readings.

    tally: int64[OUTCOMES]; by_day: int64[COUNTERS] by UTC day of the slot (`OUTSIDE`
    for slots outside the open days); rejected: the readings refused, as blocks
    by reason, for the dead letters.
    """

    tally: npt.NDArray[np.int64]
    by_day: dict[int, npt.NDArray[np.int64]]
    rejected: list[tuple[Outcome, Block]]


@dataclass(slots=True)
class _Kept:
    """The scalars as they were at the last `keep`."""

    position: int
    watermark: dict[int, int]
    highest: int
    stores: frozenset[int] = field(default_factory=frozenset)


class Partition:
    """State of partition `number` of a register, under `rules`.

    position: last log position reflected, 0 for none. watermark: by channel,
    the newest slot that more than stray readings reached. floor: readings in
    slots up to it are refused as STATE_LOST. highest: newest slot accepted, -1
    before any.
    """

    def __init__(self, number: int, register: Register, rules: Rules, kernel: Any = None) -> None:
        self.number, self.register, self.rules = number, register, rules
        self._kernel = kernel
        self.first = number * register.partition_size
        self.size = min(register.partition_size, register.count - self.first)
        self.position = 0
        self.floor = -1
        self.closed: Mapping[int, int] = {}
        """By channel the first slot that was still taken when the partition was taken over. What
        lies before it has left the partition's sums: STATE_LOST, even if more days are open now."""
        self.highest = -1
        self.watermark: dict[int, int] = {}
        self._stores: dict[int, DayStore] = {}
        self._joins: dict[int, Array] = {}
        self._kept = _Kept(0, {}, -1)

    # --- one entry of the log ---------------------------------------------------

    def apply(self, block: Block, position: int, arrived_ms: int) -> Applied:
        """Apply the block at `position`, tentatively, until `keep` or `undo`."""
        self.position = position
        columns = block.columns
        if not len(columns.meter):  # a day of curves without a value: a meter's right
            return Applied(np.zeros(OUTCOMES, np.int64), {}, [])
        if wrong := self._misplaced(block):
            return _refused_whole(block, columns, wrong)
        arrived = (arrived_ms // 1000 + self.rules.future_s) // self.rules.grid.seconds
        store = self._store(block.channel)
        self._advance(store, block.channel, columns.slot, len(columns.meter), arrived)
        if store.low < 0:  # nothing but slots in the future so far: there is no window yet
            return _refused_whole(block, columns, Outcome.FUTURE)
        window = self._window(store, block.channel, arrived)
        outcome, days = store.apply(columns, window)
        tally = days[:, :OUTCOMES].sum(axis=0)
        if tally[: Outcome.DOUBLE].any():
            accepted = outcome <= Outcome.CONFLICT_WON
            slots = columns.slot if columns.slot.size == 1 else columns.slot[accepted]
            self.highest = max(self.highest, int(slots.max()))
        first_day = store.low // self.rules.grid.per_day
        by_day = {first_day + i: row for i, row in enumerate(days[:-1]) if row.any()}
        if days[-1].any():
            by_day[OUTSIDE] = days[-1]
        return Applied(tally, by_day, _rejected(block, columns, outcome, tally))

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

    def keep(self) -> None:
        """What was applied is committed."""
        for store in self._stores.values():
            store.keep()
        self._kept = _Kept(
            self.position, dict(self.watermark), self.highest, frozenset(self._stores)
        )

    def undo(self) -> None:
        """Back to the last `keep`, exactly."""
        for store in self._stores.values():
            store.undo()
        kept = self._kept
        self._stores = {c: s for c, s in self._stores.items() if c in kept.stores}
        self.position, self.watermark, self.highest = (
            kept.position, dict(kept.watermark), kept.highest,
        )  # fmt: skip

    def start_after(self, position: int, highest: int) -> None:
        """Begin at `position` with no memory: slots up to `highest` may hold values
        that nobody can tell from doubles any more, so they are closed."""
        self.position, self.floor, self.highest = position, highest, highest
        self.keep()

    def lows(self) -> dict[int, int]:
        """By channel the first slot that is still taken, with what was applied so far: sums of
        slots before it never change again. A channel without a window is not in it."""
        return {c: self._low(store) for c, store in self._stores.items() if store.low >= 0}

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
            for name, array in store.arrays().items()
        }
        header = {
            "schema": SNAPSHOT_SCHEMA,
            "partition": self.number,
            "position": self.position,
            "floor": self.floor,
            "highest": self.highest,
            "watermark": {str(c): w for c, w in self.watermark.items()},
            "low": {str(c): s.low for c, s in self._stores.items()},
            "shape": self._shape(),
        }
        return arrays, header

    @classmethod
    def restore(
        cls,
        number: int,
        register: Register,
        rules: Rules,
        arrays: dict[str, Array],
        header: dict[str, Any],
    ) -> Partition:
        """The partition that `snapshot` described. Raises SnapshotError if it is another's."""
        state = cls(number, register, rules)
        shape = state._shape()
        found = header.get("schema"), header.get("partition"), header.get("shape")
        if found != (SNAPSHOT_SCHEMA, number, shape):
            raise SnapshotError(
                f"snapshot with schema, partition and shape {found}, "
                f"expected {(SNAPSHOT_SCHEMA, number, shape)}",
                "it is passed over and the partition rebuilt from the log",
            )
        state.position, state.floor, state.highest = (
            header["position"], header["floor"], header["highest"],
        )  # fmt: skip
        state.watermark = {int(c): w for c, w in header["watermark"].items()}
        for channel, low in header["low"].items():
            store = state._store(int(channel))
            prefix = f"{channel}/"
            mine = {n[len(prefix) :]: a for n, a in arrays.items() if n.startswith(prefix)}
            store.load(low, mine)
            if low >= 0:
                state._join(store)
        state.keep()
        return state

    @property
    def dirty_bytes(self) -> int:
        """Bytes that a snapshot would write, roughly."""
        return sum(
            int(s.sum_n.any(axis=1).sum()) * (2 * s.size + 16 * s.sum_n.shape[1])
            for s in self._stores.values()
        )

    def _shape(self) -> list[int]:
        rules = self.rules
        return [self.first, self.register.partition_size, rules.grid.minutes, rules.open_days]

    # --- inside ---------------------------------------------------------------------

    def _misplaced(self, block: Block) -> Outcome | None:
        if block.partition != self.number:
            return Outcome.WRONG_PARTITION
        return Outcome.WRONG_GRID if block.slot_minutes != self.rules.grid.minutes else None

    def _store(self, channel: int) -> DayStore:
        if channel not in self._stores:
            days = self.rules.open_days + AHEAD_DAYS
            self._stores[channel] = DayStore(
                self.first, self.size, self.rules.grid.per_day, days,
                classes_of(self.register), self._kernel,
            )  # fmt: skip
        return self._stores[channel]

    def _advance(self, store: DayStore, channel: int, slot: Array, n: int, arrived: int) -> None:
        """Move the watermark to the newest slot that more than stray readings of
        this block have reached, and close the days that fall behind."""
        known = self.rules.calendar.known
        mark, arrived = self.watermark.get(channel, known.start - 1), min(arrived, known.stop)
        strays = n // STRAY_SHARE
        if slot.size == 1:
            newest = int(slot[0]) if slot[0] < arrived else -1
        else:
            if int(slot.max()) <= mark:
                return
            ahead = slot[(slot > mark) & (slot < arrived)]
            at = ahead.size - 1 - strays
            newest = int(np.partition(ahead, at)[at]) if at >= 0 else -1
        if newest <= mark:
            return
        self.watermark[channel] = newest
        per_day = self.rules.grid.per_day
        low = max(newest // per_day - self.rules.open_days + 1, 0) * per_day
        if low > store.low:
            store.open_from(low)
            self._join(store)

    def _window(self, store: DayStore, channel: int, arrived: int) -> Window:
        late_before = self.watermark[channel] - self.rules.deadline_slots
        future = min(store.low + store.rows, arrived, self.rules.calendar.known.stop)
        floor = max(self.floor, self.closed.get(channel, 0) - 1)
        return Window(self._low(store), future, floor, late_before)

    def _low(self, store: DayStore) -> int:
        return max(store.low, self.rules.calendar.known.start)

    def _join(self, store: DayStore) -> None:
        """Set each row's join table: the register's entries valid on the slot's local date."""
        slots = np.arange(store.low, store.low + store.rows, dtype=np.int32)
        known = self.rules.calendar.known
        days = self.rules.calendar.dates_of(slots.clip(known.start, known.stop - 1))
        epochs = {int(d): self.register.epoch_on(int(d)) for d in np.unique(days)}
        order = sorted(set(epochs.values()))
        for day, epoch in epochs.items():
            if epoch not in self._joins:
                self._joins[epoch] = self._entries(day)
        self._joins = {e: self._joins[e] for e in order}
        tables = list(self._joins.values())
        of_day = {d: order.index(e) for d, e in epochs.items()}
        table_of_row = np.empty(store.rows, np.uint8)
        table_of_row[slots % store.rows] = [of_day[int(d)] for d in days]
        store.join(tables[0][None, :] if len(tables) == 1 else np.stack(tables), table_of_row)

    def _entries(self, day: int) -> Array:
        columns = self.register.columns(self.first, self.first + self.size, day)
        rules = self.rules
        limit = power_limit_wh(columns.power_va, rules.grid.minutes, rules.power_margin)
        classes = class_of(columns.tariff, columns.region)
        return join_entries(classes, columns.producer, limit, columns.known)


def _refused_whole(block: Block, columns: Columns, outcome: Outcome) -> Applied:
    tally = np.zeros(OUTCOMES, np.int64)
    tally[outcome] = len(columns.meter)
    outside = np.zeros(COUNTERS, np.int64)
    outside[outcome] = tally[outcome]
    return Applied(tally, {OUTSIDE: outside}, [(outcome, block)])


def _rejected(
    block: Block, columns: Columns, outcome: Array, tally: Array
) -> list[tuple[Outcome, Block]]:
    """The refused readings of a block, as one block a reason."""
    out = []
    for code in np.flatnonzero(tally[Outcome.UNKNOWN_METER :]) + Outcome.UNKNOWN_METER:
        part = columns.take(np.flatnonzero(outcome == code))
        version, quality = np.divmod(part.rank, 4)
        out.append((
            Outcome(int(code)),
            blocks.readings(
                block.partition, part.meter, part.slot, part.wh, version=version,
                quality=3 - quality, channel=block.channel, slot_minutes=block.slot_minutes,
                producer=block.producer, number=block.number,
            ),
        ))  # fmt: skip
    return out
