"""Towns into the log: slot by slot as meters report live, or a day's curves every night.

One `publish` serves some partitions; several of them, each with partitions of its own,
may run side by side under one producer name (see `producers`). What it sends is a
function of its `Job` alone: the log knows each partition's last block by its number, so a
job that was interrupted goes on behind it, and a job that was finished sends nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from generator.feed import ledger
from generator.feed.deliveries import PartitionDays, Plan
from generator.feed.faults import Faults
from generator.town.town import Town, Wh
from wattstorm.errors import UsageError
from wattstorm.metering import block as blocks
from wattstorm.metering.slots import day_number
from wattstorm.register.register import Register
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer

BLOCK: Final = 50_000
ABSENT: Final = {"uint16": blocks.ABSENT_U16, "int32": blocks.ABSENT_I32}
_TILE: Final = 4096
"""Curves that are turned in one go: 0.4 MB of half-hours, which stay in a second-level cache."""
LIVE, NIGHTLY = "live", "nightly"
SHAPES: Final = (LIVE, NIGHTLY)


@dataclass(frozen=True)
class Job:
    """What is sent. days: consecutive; block: readings in a block at most.

    rate: readings/s, 0 for as fast as it goes; speed: times real time, 0 for any.
    A slot is never sent before it has ended by this machine's clock. power_margin: as the
    stream's. ledger: directory for it, None for nowhere.
    """

    town: Town
    days: tuple[date, ...]
    faults: Faults = field(default_factory=Faults)
    shape: str = LIVE
    block: int = BLOCK
    rate: float = 0.0
    speed: float = 0.0
    power_margin: float = 1.2
    ledger: Path | None = None

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise UsageError(f"shape {self.shape!r}", f"take {' or '.join(SHAPES)}")
        if self.rate < 0 or self.speed < 0:
            raise UsageError(f"rate {self.rate}, speed {self.speed}", "they cannot be negative")

    def with_ledger(self, directory: Path) -> Job:
        return replace(self, ledger=directory)

    def bytes_held(self, meters: int) -> int:
        """Memory that this job needs for so many meters, beside less than 1 GB: the day that is
        sent and the one that is drawn meanwhile."""
        days = min(2, len(self.days))
        return meters * days * 50 * self.town.value_bytes if self.shape == LIVE else 0


class Pace:
    """Waits so that readings go out at the job's rate, and no slot before it is over."""

    def __init__(self, job: Job, share: float, should_stop: Callable[[], bool]) -> None:
        self.rate, self.speed, self.should_stop = job.rate * share, job.speed, should_stop
        self.begun, self.sent = time.monotonic(), 0
        self.first_s: int | None = None

    def wait(self, slot_end_s: int) -> bool:
        """Before what belongs to a slot that ends at this second since the epoch; False: stop."""
        self.first_s = slot_end_s if self.first_s is None else self.first_s
        while not self.should_stop():
            due = slot_end_s - time.time()
            gone = time.monotonic() - self.begun
            if self.rate:
                due = max(due, self.sent / self.rate - gone)
            if self.speed:
                due = max(due, (slot_end_s - self.first_s) / self.speed - gone)
            if due <= 0:
                return True
            time.sleep(min(due, 0.2))
        return False


class Lane:
    """One partition's blocks, numbered; those that the log has already are passed over."""

    def __init__(self, job: Job, register: Register, partition: int, known: int) -> None:
        first = partition * register.partition_size
        stop = min(first + register.partition_size, register.count)
        self.job, self.partition, self.known, self.number = job, partition, known, 0
        width = max(len(job.town.calendar.day_slots(day)) for day in job.days)
        most = min(job.block, blocks.MAX_READINGS)
        self.chunk = max(1, most // width) if job.shape == NIGHTLY else most
        power = register.columns(first, stop, day_number(job.days[0])).power_va
        self.source = PartitionDays(
            job.town,
            job.faults,
            range(first, stop),
            job.days,
            power_va=power,
            margin=job.power_margin,
            nightly=job.shape == NIGHTLY,
            chunk=self.chunk,
        )
        self.meters = range(first, stop)
        self.begin = self._resume() if known else 0

    def day(self, index: int) -> Plan | None:
        """The plan of a day that is not wholly in the log, its ledger written."""
        if index < self.begin:
            return None
        plan = self.source.plan(index)
        if self.job.ledger is not None:
            ledger.write(plan.ledger, self.job.ledger, self.job.days[index], self.partition)
        return plan

    def send(self, producer: Producer, made: Iterator[blocks.Block]) -> int:
        """Readings sent of these blocks."""
        sent = 0
        for block in made:
            self.number += 1
            if self.number > self.known:
                producer.send(block)
                sent += _present(block)
        return sent

    def _resume(self) -> int:
        """First day with a block that the log has not; `number` is left before its blocks."""
        for index in range(len(self.job.days)):
            before, plan = self.number, self.source.plan(index, draw=False)
            self.number += sum(1 for _ in self.of_day(plan))
            if self.number > self.known:
                self.number = before
                self.source.restart()
                # What is still due of the days before is drawn again.
                for past in range(max(0, index - self.job.faults.lookback_days), index):
                    if self.job.faults.any:
                        self.source.plan(past)
                return index
        return len(self.job.days)

    def of_day(self, plan: Plan) -> Iterator[blocks.Block]:
        """All blocks of a day, in order."""
        if self.job.shape == NIGHTLY:
            yield from self.night(plan)
            return
        rows = plan.wh.T
        for place in range(len(plan.slots)):
            yield from self.slot(plan, rows[place], place)

    def slot(self, plan: Plan, row: Wh, place: int) -> Iterator[blocks.Block]:
        """What is sent when a slot is over. row: [n], Wh of that slot."""
        faulty = self.job.faults.any
        for at in range(0, len(row), self.chunk):
            wh, meters = row[at : at + self.chunk], self._meters_from(at)
            if faulty and not (there := wh != plan.absent).all():
                wh, meters = wh[there], meters[there]
            if len(wh):
                yield self._readings(meters, plan.slots[place], wh)
        if faulty:
            due = np.searchsorted(plan.beside.due, [plan.slots[place], plan.slots[place] + 1])
            yield from self._beside(plan, slice(due[0], due[1]))

    def night(self, plan: Plan) -> Iterator[blocks.Block]:
        """What is sent when a local day is over."""
        for at in range(0, len(plan.wh), self.chunk):
            wh = plan.wh[at : at + self.chunk]
            if self.job.faults.any and (wh == plan.absent).all():
                continue
            yield blocks.curves(
                self.partition,
                self._meters_from(at),
                plan.slots.start,
                wh,
                slot_minutes=self.source.town.calendar.grid.minutes,
            )
        yield from self._beside(plan, slice(None))

    def _meters_from(self, at: int) -> npt.NDArray[np.uint32]:
        """uint32[chunk], those of a block, from meter number `at` of the partition."""
        some = self.meters[at : at + self.chunk]
        return np.arange(some.start, some.stop, dtype=np.uint32)

    def _beside(self, plan: Plan, part: slice) -> Iterator[blocks.Block]:
        rows = plan.beside.take(part)
        for at in range(0, len(rows.slot), blocks.MAX_READINGS):
            some = rows.take(slice(at, at + blocks.MAX_READINGS))
            yield self._readings(some.meter, some.slot, some.wh, some.version)

    def _readings(
        self,
        meter: npt.ArrayLike,
        slot: npt.ArrayLike,
        wh: npt.ArrayLike,
        version: npt.ArrayLike = 0,
    ) -> blocks.Block:
        return blocks.readings(
            self.partition,
            meter,
            slot,
            wh,
            version=version,
            slot_minutes=self.source.town.calendar.grid.minutes,
        )


def _present(block: blocks.Block) -> int:
    """Readings of a block; a curve's absent values are none."""
    if block.shape is blocks.Shape.READINGS:
        return int(block.wh.size)
    return int(np.count_nonzero(block.wh != ABSENT[block.wh.dtype.name]))


def publish(
    job: Job,
    register: Register,
    producer: Producer,
    *,
    done: Callable[[int], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Send the job's readings of the producer's partitions; how many readings were sent.

    done: told the readings of each step. should_stop: asked while it waits, and between steps.
    """
    log: Log = producer.log
    partitions = list(producer.lanes.of)
    known = log.last_numbers(producer.name, partitions)
    lanes = [Lane(job, register, p, k) for p, k in zip(partitions, known, strict=True)]
    meters = sum(len(lane.meters) for lane in lanes)
    pace = Pace(job, meters / max(1, register.count), should_stop)
    tasks = [(index, lane) for index in range(len(job.days)) for lane in lanes]
    with ThreadPoolExecutor(job.town.threads) as pool:
        plans = _ahead(pool, tasks, len(lanes) if job.shape == LIVE else 1)
        steps = _live if job.shape == LIVE else _nightly
        for sent in steps(job, lanes, plans, producer, pace):
            pace.sent += sent
            done(sent)
    producer.flush()
    return pace.sent


def _ahead(
    pool: ThreadPoolExecutor, tasks: Sequence[tuple[int, Lane]], count: int
) -> Iterator[Plan | None]:
    """Plans in order, `count` of them drawn while those before are sent.

    count: at most the number of lanes, for a lane plans one day after the other.
    """
    waiting = deque(pool.submit(lane.day, index) for index, lane in tasks[:count])
    try:
        for at in range(len(tasks)):
            plan = waiting.popleft().result()
            if at + count < len(tasks):
                index, lane = tasks[at + count]
                waiting.append(pool.submit(lane.day, index))
            yield plan
    finally:
        for future in waiting:
            future.cancel()


def _live(
    job: Job, lanes: list[Lane], plans: Iterator[Plan | None], producer: Producer, pace: Pace
) -> Iterator[int]:
    """Slot by slot, all partitions in each; the whole day is drawn before."""
    grid = job.town.calendar.grid
    for day in job.days:
        slots = job.town.calendar.day_slots(day)
        drawn, rows = _side_by_side(lanes, plans, len(slots))
        for place, slot in enumerate(slots if drawn else ()):
            row = rows.popleft()  # and let go of once it is sent: the stream holds it from there on
            for lane, plan, part in drawn:
                if not pace.wait(grid.start_at(slot + 1)):
                    return
                yield lane.send(producer, lane.slot(plan, row[part], place))


def _side_by_side(
    lanes: list[Lane], plans: Iterator[Plan | None], slots: int
) -> tuple[list[tuple[Lane, Plan, slice]], deque[Wh]]:
    """What is drawn of a day, turned so that the readings of a slot lie side by side, once in
    memory: (each lane with its plan and its part of a row, by slot a row of all meters)."""
    meters = sum(len(lane.meters) for lane in lanes)
    drawn: list[tuple[Lane, Plan, slice]] = []
    rows: deque[Wh] = deque()
    at = 0
    for lane in lanes:
        if (plan := next(plans)) is None:
            continue
        rows = rows or deque(np.empty(meters, plan.wh.dtype) for _ in range(slots))
        for start in range(0, len(plan.wh), _TILE):
            tile = plan.wh[start : start + _TILE]
            for place, row in enumerate(rows):
                row[at + start : at + start + len(tile)] = tile[:, place]
        part = slice(at, at + len(plan.wh))
        at = part.stop
        kept = replace(plan, wh=plan.wh[:0].copy(), ledger=ledger.no_entries())
        drawn.append((lane, kept, part))
    return drawn, rows


def _nightly(
    job: Job, lanes: list[Lane], plans: Iterator[Plan | None], producer: Producer, pace: Pace
) -> Iterator[int]:
    """A day's curves, partition by partition."""
    for day in job.days:
        end_s = job.town.calendar.grid.start_at(job.town.calendar.day_slots(day).stop)
        for lane in lanes:
            if (plan := next(plans)) is None:
                continue
            if not pace.wait(end_s):
                return
            yield lane.send(producer, lane.night(plan))
