"""A day of a partition's meters, as it is sent: the curves, what comes beside them, the ledger.

    partition = PartitionDays(town, faults, range(0, 25_000), days, power_va=power)
    plan = partition.plan(0)      # days in order: what is late is carried from one to the next
    plan.wh                       # [n, slots], ABSENT where nothing is sent in time
    plan.beside                   # late, doubled, corrected … readings, in order of delivery
    plan.ledger                   # DataFrame, see `ledger`

What becomes of each reading is foretold by the stream's own rules: the local days that
are open follow the watermark, the newest slot that this partition's blocks have reached.
The rules stand in `wattstorm/metering/watermark.py` and, told a second time so that ledger and
stream are held together, here and in `silences`: change both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from generator.feed.beside import Beside, Ints, joined, none_beside, split
from generator.feed.faults import Events, Faults, Kind, events
from generator.feed.ledger import entries, no_entries
from generator.feed.silences import NO_CLAIM, Follower, blocks_of_day
from generator.town.town import Town, Wh
from wattstorm.metering.block import ABSENT_I32, ABSENT_U16
from wattstorm.metering.checks import Outcome, power_limit_wh
from wattstorm.metering.slots import day_number
from wattstorm.metering.watermark import STRAY_SHARE

_NOT_IN_TIME: Final = [
    Kind.DEAD,
    Kind.GAP_DAY,
    Kind.GAP,
    Kind.SILENT,
    Kind.LATE,
    Kind.TOO_LATE,
    Kind.SPIKE,
]
_SECOND: Final = {
    Kind.SILENT: Outcome.NEW,
    Kind.LATE: Outcome.NEW,
    Kind.TOO_LATE: Outcome.NEW,
    Kind.DOUBLED: Outcome.DOUBLE,
    Kind.CORRECTED: Outcome.CORRECTED,
    Kind.CONFLICT: Outcome.CONFLICT_WON,
    Kind.SPIKE: Outcome.TOO_HIGH,
}
"""What is delivered beside the curves, and what becomes of it while its day is open."""
_AGAIN: Final = [
    Outcome.DOUBLE,
    Outcome.CORRECTED,
    Outcome.CONFLICT_WON,
    Outcome.CONFLICT_LOST,
]
"""What becomes of a second delivery while the first one is held."""


@dataclass(frozen=True)
class Plan:
    """wh: [n, slots]; slots: of the local day; beside: sorted by due."""

    wh: Wh
    slots: range
    beside: Beside
    ledger: pl.DataFrame

    @property
    def absent(self) -> int:
        return ABSENT_U16 if self.wh.dtype == np.uint16 else ABSENT_I32


class PartitionDays:
    """The days of one partition's meters, in order.

    nightly: the curves of a day are sent at its end, in blocks of `chunk` meters, and what
    is due in it after them; else slot by slot, what is due after each slot's block. power_va:
    contracted power, int64[n], by which spikes are too high; margin: as the stream's.
    """

    def __init__(
        self,
        town: Town,
        faults: Faults,
        meters: range,
        days: Sequence[date],
        *,
        power_va: npt.NDArray[np.integer],
        margin: float = 1.2,
        nightly: bool = False,
        chunk: int = 1 << 20,
    ) -> None:
        self.town, self.faults, self.days = town, faults, days
        self._meters = meters
        self.nightly, self.chunk = nightly, chunk
        grid = town.calendar.grid
        self.per_day = grid.per_day
        limit = power_limit_wh(power_va, grid.minutes, margin)
        self.limit = limit.astype(np.int32) if limit.max(initial=0) < 1 << 31 else limit
        self.follower = Follower(len(meters), self._span)
        self.restart()

    @property
    def meters(self) -> Ints:
        """int64[n]. Of all partitions together they would take more memory than time to make."""
        return np.arange(self._meters.start, self._meters.stop)

    def restart(self) -> None:
        """Forget what is due."""
        self.pending, self.mark, self.follower.claim = none_beside(), -1, NO_CLAIM

    def plan(self, index: int, *, draw: bool = True) -> Plan:
        """Day number `index` of `days`. draw=False: the same readings, their values meaningless."""
        day = self.days[index]
        slots = self.town.calendar.day_slots(day)
        if draw:
            wh = self.town.local_day(self.meters, day)
        else:
            wh = np.zeros((len(self.meters), len(slots)), np.uint16)
        if not self.faults.any:
            return Plan(wh, slots, none_beside(), no_entries())
        found = events(
            self.faults,
            self.town.seed,
            self.meters,
            day_number(day),
            len(slots),
            len(self._beside_day(index, -1)),
            self.per_day,
        )
        true = wh[found.at, found.place].astype(np.int64)
        other = self._sent_instead(found, true, wh, index, draw)
        first = self._in_time(found, true, other, wh, slots)
        self.pending = joined(self.pending, self._later(found, true, other, slots))
        due, self.pending = split(self.pending, slots.stop)
        if 0 <= self.mark < self._beside_day(index, -1).start:
            first, due = self._after_silence(first, due, wh, slots)
        else:
            due = self._foretold(due, self._marks(wh, slots), slots)
        parts = [first, entries(due, slots[-1] if self.nightly else due.due)]
        if index == len(self.days) - 1:
            parts.append(entries(self.pending, None))
        return Plan(wh, slots, due, pl.concat(parts).sort("slot", "meter", "delivered"))

    def _beside_day(self, index: int, step: int) -> range:
        """Slots of the local day before or after."""
        day = date.fromordinal(self.days[index].toordinal() + step)
        return self.town.calendar.day_slots(day)

    def _sent_instead(self, found: Events, true: Ints, wh: Wh, index: int, draw: bool) -> Ints:
        """Wh that a faulty reading carries at first, or, of a spike, at all."""
        out = true.copy()
        kind = found.kind
        out[kind == Kind.DEAD_ZERO] = 0
        stuck = kind == Kind.STUCK
        out[stuck] = wh[found.at[stuck], found.source[stuck]]
        clock = kind == Kind.CLOCK
        if clock.any() and draw:
            out[clock] = self._of_days_beside(found, clock, wh, index)
        half = np.where(np.abs(true) >= 2, true // 2, true + 1)
        wrong = (kind == Kind.CORRECTED) | ((kind == Kind.CONFLICT) & (found.bits & 4 != 0))
        out[wrong] = half[wrong]
        spike = kind == Kind.SPIKE
        limit = self.limit[found.at[spike]].astype(np.int64)
        more = found.bits[spike] % (limit + 1).astype(np.uint64)
        out[spike] = limit + limit // 2 + 1 + more.astype(np.int64)
        return out

    def _of_days_beside(
        self, found: Events, which: npt.NDArray[np.bool_], wh: Wh, index: int
    ) -> Ints:
        """Energy at the places that a wrong clock names, in the day or in those beside."""
        at, where = np.unique(found.at[which], return_inverse=True)
        before, after = (
            self.town.local_day(self.meters[at], date.fromordinal(self.days[index].toordinal() + k))
            for k in (-1, 1)
        )
        three = np.concatenate([before, wh[at], after], axis=1)
        return np.asarray(three[where, before.shape[1] + found.source[which]], np.int64)

    def _in_time(self, found: Events, true: Ints, sent: Ints, wh: Wh, slots: range) -> pl.DataFrame:
        """Write what is sent in time into `wh`; its ledger, and that of what is never sent."""
        late = np.isin(found.kind, _NOT_IN_TIME)
        now = ~late
        absent = ABSENT_U16 if wh.dtype == np.uint16 else ABSENT_I32
        wh[found.at, found.place] = np.where(late, absent, sent).astype(wh.dtype)
        listed = now | np.isin(found.kind, [Kind.DEAD, Kind.GAP_DAY, Kind.GAP])
        slot = found.place + slots.start
        rows = Beside(
            slot,
            slot,
            self.meters[found.at],
            sent,
            np.zeros_like(slot),
            true,
            found.kind,
            np.full(len(slot), Outcome.NEW, np.uint8),
        )
        night = slots[-1] if self.nightly else None
        first = rows.take(now)
        return pl.concat(
            [
                entries(first, first.due if night is None else night),
                entries(rows.take(listed & ~now), None),
            ]
        )

    def _later(self, found: Events, true: Ints, sent: Ints, slots: range) -> Beside:
        """What is sent beside the curves, now or on a later day."""
        kind = found.kind
        second = np.isin(kind, list(_SECOND))
        outcome = np.zeros(len(kind), np.uint8)
        for name, code in _SECOND.items():
            outcome[kind == name] = code
        half = np.where(np.abs(true) >= 2, true // 2, true + 1)
        wh = np.where((kind == Kind.CONFLICT) & (sent == true), half, true)
        wh = np.where(kind == Kind.SPIKE, sent, wh)
        outcome[(kind == Kind.CONFLICT) & (wh < sent)] = Outcome.CONFLICT_LOST
        slot = found.place + slots.start
        return Beside(
            slot + found.delay,
            slot,
            self.meters[found.at],
            wh,
            (kind == Kind.CORRECTED).astype(np.int64),
            true,
            kind,
            outcome,
        ).take(second)

    def _marks(self, wh: Wh, slots: range) -> Ints:
        """int64[slots], the partition's watermark when what is due after each slot is sent."""
        absent = ABSENT_U16 if wh.dtype == np.uint16 else ABSENT_I32
        numbers = np.array(slots)
        if self.nightly:
            for at in range(0, len(wh), self.chunk):
                if self.mark >= slots[-1]:
                    break  # as it is after nearly every first block
                sent = (wh[at : at + self.chunk] != absent).sum(axis=0)
                self.mark = max(self.mark, _newest(numbers, sent, self.mark))
            return np.full(len(slots), self.mark)
        reached = np.where((wh != absent).any(axis=0), numbers, -1)
        marks = np.maximum(np.maximum.accumulate(reached), self.mark)
        self.mark = int(marks[-1])
        return marks

    def _foretold(self, due: Beside, marks: Ints, slots: range) -> Beside:
        """Outcomes of what is sent: refused where its day is closed by then."""
        mark = marks[np.maximum(due.due - slots.start, 0)]
        unique, at = np.unique(mark, return_inverse=True)
        low = np.array([self._span(int(each))[0] for each in unique])[at]
        closed = (due.slot < low) & (mark >= 0)
        outcome = np.where(closed, np.uint8(Outcome.TOO_OLD), due.outcome)
        return due._replace(outcome=outcome).in_order()

    def _span(self, mark: int) -> tuple[int, int]:
        """First slot of the oldest local day that is open at a watermark, and of the first day
        that no block reaches but by a jump."""
        if mark < 0:
            return -1, 1 << 40
        calendar, today = self.town.calendar, self.town.calendar.date_of(mark)
        oldest = today - timedelta(self.faults.open_days - 1)
        return calendar.day_slots(oldest).start, calendar.day_slots(today + timedelta(1)).stop

    def _after_silence(
        self, first: pl.DataFrame, due: Beside, wh: Wh, slots: range
    ) -> tuple[pl.DataFrame, Beside]:
        """Ledger of what is sent in time, and what is due, of a day to which the watermark has
        to jump: reading by reading, as the first ones may be held back."""
        follower, there = self.follower, wh != (ABSENT_U16 if wh.dtype == np.uint16 else ABSENT_I32)
        follower.mark, due = self.mark, due.in_order()
        held, outcome = np.zeros(there.shape, np.bool_), due.outcome.copy()
        parts = list(blocks_of_day(there, slots, self.meters, self.chunk, self.nightly, due))
        for (where, which, _), found in zip(
            parts, follower.outcomes(block for *_, block in parts), strict=True
        ):
            if where is not None:
                held[where] = found == Outcome.FUTURE
            else:
                outcome[which] = np.where(found == Outcome.NEW, outcome[which], found)
        self.mark = follower.mark
        at, place = np.nonzero(held)
        keys = (place + slots.start) << 32 | self.meters[at]
        due = _first_ones(due._replace(outcome=outcome), keys)
        self.pending = _first_ones(self.pending, keys)
        return self._held_back(first, keys, wh[at, place].astype(np.int64), slots), due

    def _held_back(self, first: pl.DataFrame, keys: Ints, wh: Ints, slots: range) -> pl.DataFrame:
        """The ledger of what is sent in time, where readings (keys, and their Wh) are FUTURE."""
        mine = (first["slot"].cast(pl.Int64).to_numpy() << 32) | first["meter"].to_numpy()
        refused = Outcome.FUTURE.name.lower()
        held = pl.Series(np.isin(mine, keys) & first["delivered"].is_not_null().to_numpy())
        first = first.with_columns(
            outcome=pl.when(held).then(pl.lit(refused)).otherwise(pl.col("outcome"))
        )
        honest = ~np.isin(keys, mine)
        slot, n = keys[honest] >> 32, int(honest.sum())
        rows = Beside(
            slot,
            slot,
            keys[honest] & 0xFFFFFFFF,
            wh[honest],
            np.zeros(n, np.int64),
            wh[honest],
            np.full(n, Kind.HELD, np.uint8),
            np.full(n, Outcome.FUTURE, np.uint8),
        )
        return pl.concat([first, entries(rows, slots[-1] if self.nightly else slot)])


def _first_ones(beside: Beside, held: Ints) -> Beside:
    """Second deliveries of readings (slot << 32 | meter) that were held back are the first."""
    again = np.isin(beside.slot << 32 | beside.meter, held) & np.isin(beside.outcome, _AGAIN)
    return beside._replace(outcome=np.where(again, np.uint8(Outcome.NEW), beside.outcome))


def _newest(slots: Ints, sent: Ints, mark: int) -> int:
    """Newest slot that more than stray readings of a block of curves reached; -1: none new."""
    strays = int(sent.sum()) // STRAY_SHARE
    ahead = np.where(slots > mark, sent, 0)[::-1]
    far = np.flatnonzero(np.cumsum(ahead) > strays)
    return int(slots[::-1][far[0]]) if far.size else -1
