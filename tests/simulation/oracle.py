"""What the log adds up to, recomputed plainly: no arrays, no windows that move, no undo.

It shares nothing with `wattstorm.metering.partition` but the decoder of blocks and the names
of the outcomes; docs/metering.md states the rules that it follows.
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.town import (
    EPOCH,
    METERS,
    PARTITION,
    POISON_WH,
    REGIONS,
    TARIFFS,
    Contract,
    contracts,
)
from wattstorm.errors import BlockError
from wattstorm.metering import block as blocks

OUTSIDE = -1
Key = tuple[int, int]
"""(channel, slot)."""


@dataclass
class Sums:
    """Of one slot: (tariff, region) → [Wh, readings]."""

    of: dict[tuple[int, int], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    revision: int = 0

    def plain(self) -> Any:
        return {c: tuple(v) for c, v in self.of.items() if any(v)}, self.revision


@dataclass
class Wanted:
    """What must stand in the store of one partition."""

    sums: dict[Key, Sums] = field(default_factory=dict)
    audit: Counter[str] = field(default_factory=Counter)
    days: dict[tuple[int, int], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    producers: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    highest: int = -1
    marks: dict[int, int] = field(default_factory=dict)
    """By channel the watermark; that of a memory that was lost stays."""


@functools.cache
def local_day(slot: int, minutes: int, zone: str) -> int:
    """Days from the epoch to the local date of a slot."""
    return (datetime.fromtimestamp(slot * minutes * 60, ZoneInfo(zone)).date() - EPOCH).days


@functools.cache
def midnight(day: int, minutes: int, zone: str) -> int:
    """The first slot of a local day, in zones whose midnights begin a slot."""
    date = EPOCH + timedelta(days=day)
    start = datetime(date.year, date.month, date.day, tzinfo=ZoneInfo(zone))
    return int(start.timestamp()) // (60 * minutes)


@functools.cache
def contract_of(meter: int, day: int) -> Contract | None:
    """What holds for a meter on a local day."""
    if not 0 <= meter < METERS:
        return None
    valid = [c for c in contracts()[meter] if c.day <= day]
    return valid[-1] if valid else None


@dataclass
class Channel:
    """How far a channel of a partition has come. mark: its watermark; ring: the first slot of
    the UTC days kept; claim: (newest slot, blocks, meters) of what was held back."""

    mark: int
    ring: int = -1
    claim: tuple[int, int, frozenset[int]] | None = None


class Recomputed:
    """One partition, entry by entry."""

    def __init__(self, partition: int, settings: Any) -> None:
        self.partition = partition
        self.size = min(PARTITION, METERS - partition * PARTITION)
        s = settings.stream
        self.minutes, self.zone, self.open_days = s.slot_minutes, s.time_zone, s.open_days
        self.per_day = 1440 // s.slot_minutes
        self.future_s, self.margin = s.future_minutes * 60, s.power_margin
        self.deadline = round(s.deadline_hours * 60 / s.slot_minutes)
        self.wanted = Wanted()
        self.forget(-1)

    def forget(self, floor: int) -> None:
        """The memory was lost with every snapshot: slots up to `floor` are closed."""
        self.floor = floor
        self.held: dict[tuple[int, int, int], tuple[int, int]] = {}
        self.channels: dict[int, Channel] = {}

    def entry(self, data: bytes, arrived_ms: int, poisoned: bool) -> None:
        audit = self.wanted.audit
        if poisoned:
            audit.update(refused_blocks=1, poison_blocks=1)
            return
        try:
            block = blocks.decode(data)
        except BlockError:
            audit.update(refused_blocks=1)
            return
        tally: Counter[tuple[int, str]] = Counter()
        self._block(block, arrived_ms, tally)
        marks = self.wanted.marks
        for number, channel in self.channels.items():
            marks[number] = max(marks.get(number, -1), channel.mark)
        of_producer = self.wanted.producers[block.producer]
        for (day, outcome), n in tally.items():
            of_day = self.wanted.days[day, block.channel]
            if outcome in ("wh_accepted", "wh_replaced"):
                of_day[outcome] += n
                continue
            for counts in (audit, of_day, of_producer):
                counts.update({outcome: n, "received": n})

    def _block(self, block: blocks.Block, arrived_ms: int, tally: Counter[tuple[int, str]]) -> None:
        rows = readings_of(block)
        whole = ""
        if block.partition != self.partition:
            whole = "wrong_partition"
        elif block.slot_minutes != self.minutes:
            whole = "wrong_grid"
        if whole:
            tally[OUTSIDE, whole] += len(rows)
            return
        end = (arrived_ms // 1000 + self.future_s) // (self.minutes * 60)
        self._advance(block.channel, rows, end)
        channel = self.channels.get(block.channel)
        for meter, slot, wh, rank in rows:
            if channel is None:  # nothing was accepted so far: no window is open
                outcome = self._checked(meter, slot, wh, end)
                assert outcome
                tally[OUTSIDE, outcome] += 1
                continue
            inside = channel.ring <= slot < channel.ring + (self.open_days + 2) * self.per_day
            low, stop = self._open(channel.mark)
            outcome = self._checked(meter, slot, wh, min(stop, end), low, inside)
            day = slot // self.per_day if inside else OUTSIDE
            held = self.held.get((block.channel, slot, meter))
            outcome = outcome or self._taken(block.channel, meter, slot, wh, rank, channel.mark)
            tally[day, outcome] += 1
            if outcome in ("new", "corrected", "conflict_won"):
                tally[day, "wh_accepted"] += wh
                tally[day, "wh_replaced"] += held[0] if held else 0

    # --- how far it has come

    def _open(self, mark: int) -> tuple[int, int]:
        """The first slot that is open, and the first that is too far ahead: in local days."""
        day = self._day(mark)
        return self._midnight(day - self.open_days + 1), self._midnight(day + 2)

    def _advance(self, number: int, rows: list[tuple[int, int, int, int]], end: int) -> None:
        """Only what is accepted moves the watermark, and far only what several say."""
        channel = self.channels.get(number)
        mark = channel.mark if channel else -1
        good = sorted(
            (slot, meter)
            for meter, slot, wh, _ in rows
            if mark < slot < end and not self._checked(meter, slot, wh, end)
        )
        # One reading in a hundred may run ahead without moving it.
        strays = (len(rows) if channel else len(good)) // 100
        if len(good) <= strays:
            return
        newest = good[len(good) - 1 - strays][0]
        if channel is None:
            self.channels[number] = channel = Channel(newest)
        elif newest < self._open(mark)[1]:
            self._walk(channel, newest)
        else:
            self._jump(channel, newest, good, strays)
        low = self._open(channel.mark)[0]
        channel.ring = max(channel.ring, low // self.per_day * self.per_day)

    def _walk(self, channel: Channel, newest: int) -> None:
        if self._day(newest) != self._day(channel.mark):
            channel.claim = None
        channel.mark = newest

    def _jump(
        self, channel: Channel, newest: int, good: list[tuple[int, int]], strays: int
    ) -> None:
        stop = self._open(channel.mark)[1]
        far = [(slot, meter) for slot, meter in good if slot >= stop]
        meters = frozenset(meter for _, meter in far)
        claim = (newest, 1, meters)
        if len(far) >= 2 and len(meters) >= min(2, self.size):
            channel.mark, channel.claim = newest, None
            return
        if channel.claim is not None:
            slot, n, who = channel.claim
            low, high = self._open(slot)
            if low <= newest < high:
                same = newest <= slot and meters <= who
                both = (max(slot, newest), n + 1, who | meters)
                claim = channel.claim if same else both
        if claim[1] >= 2:
            channel.mark, channel.claim = newest, None
            return
        near = [slot for slot, _ in good if slot < stop]
        if len(near) > strays:
            self._walk(channel, near[len(near) - 1 - strays])
        channel.claim = claim

    def _day(self, slot: int) -> int:
        return local_day(slot, self.minutes, self.zone)

    def _midnight(self, day: int) -> int:
        return midnight(day, self.minutes, self.zone)

    # --- one reading

    def _checked(
        self, meter: int, slot: int, wh: int, future: int, low: int = 0, inside: bool = True
    ) -> str:
        """Why it is refused, or ''."""
        here = 0 <= meter - self.partition * PARTITION < self.size
        if not here:
            return "unknown_meter"
        contract = contract_of(meter, self._day(slot)) if inside else None
        # In the days that are kept the register is asked first, elsewhere last.
        if low and inside and contract is None:
            return "unknown_meter"
        if slot >= future:
            return "future"
        if slot < low:
            return "too_old"
        if contract is None:
            return "unknown_meter"
        if slot <= self.floor:
            return "state_lost"
        if wh < 0 and not contract.producer:
            return "negative"
        limit = ceil(contract.power_va * self.minutes / 60 * self.margin)
        return "too_high" if abs(wh) > limit else ""

    def _taken(self, channel: int, meter: int, slot: int, wh: int, rank: int, mark: int) -> str:
        key = (channel, slot, meter)
        held = self.held.get(key)
        if held is not None and rank == held[1] and wh <= held[0]:
            return "double" if wh == held[0] else "conflict_lost"
        if held is not None and rank < held[1]:
            return "superseded"
        sums = self.wanted.sums.setdefault((channel, slot), Sums())
        contract = contract_of(meter, self._day(slot))
        assert contract is not None
        cell = sums.of[contract.tariff, contract.region]
        self.held[key] = wh, rank
        self.wanted.highest = max(self.wanted.highest, slot)
        if held is None:
            cell[0] += wh
            cell[1] += 1
            sums.revision += slot < mark - self.deadline
            return "new"
        cell[0] += wh - held[0]
        sums.revision += 1
        return "corrected" if rank > held[1] else "conflict_won"


def readings_of(block: blocks.Block) -> list[tuple[int, int, int, int]]:
    """(meter, slot, Wh, rank), in the order in which they count: curves slot by slot."""
    n = len(block.meter)
    version = block.version.tolist() * (n if block.version.size == 1 else 1)
    quality = block.quality.tolist() * (n if block.quality.size == 1 else 1)
    rank = [4 * v + 3 - q for v, q in zip(version, quality, strict=True)]
    meters = block.meter.tolist()
    if block.shape is blocks.Shape.READINGS:
        slots = block.slot.tolist() * (n if block.slot.size == 1 else 1)
        return list(zip(meters, slots, block.wh.tolist(), rank, strict=True))
    first, wh = int(block.slot[0]), block.wh.tolist()
    absent = 65535 if block.wh.dtype.itemsize == 2 else -(1 << 31)
    return [
        (meters[i], first + k, wh[i][k], rank[i])
        for k in range(len(wh[0]))
        for i in range(n)
        if wh[i][k] != absent
    ]


def is_poison(data: bytes) -> bool:
    try:
        block = blocks.decode(data)
    except BlockError:
        return False
    return bool(block.wh.size <= 2 and (block.wh == POISON_WH).any())


def labels() -> list[str]:
    return ["nation", *(f"tariff:{t}" for t in TARIFFS), *(f"region:{r}" for r in REGIONS)]


def of_label(label: str, tariff: int, region: int) -> bool:
    return label in ("nation", f"tariff:{TARIFFS[tariff]}", f"region:{REGIONS[region]}")


@functools.cache
def expected(label: str, day: int) -> int:
    """Meters that the register has in a scope on a local day."""
    found = (contract_of(meter, day) for meter in range(METERS))
    return sum(c is not None and of_label(label, c.tariff, c.region) for c in found)
