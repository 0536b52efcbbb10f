"""What the log adds up to, recomputed plainly: no arrays, no windows that move, no undo.

It shares nothing with `wattstorm.metering.partition` but the decoder of blocks and the names
of the outcomes; docs/metering.md states the rules that it follows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from tests.simulation.entries import (
    decoded,
    local_day,
    midnight,
    readings_of,
    rules_in,
    version_in,
)
from tests.simulation.registers import PARTITION, Grown
from wattstorm.metering import block as blocks

OUTSIDE = -1
Key = tuple[int, int]
"""(channel, slot)."""
Said = tuple[str, str]
"""What is in force: a register version and rules, as the log says them."""


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
    said: Said = ("", "")
    """What is in force in the end."""
    touched: dict[Key, Said] = field(default_factory=dict)
    """What was in force when a slot last had to be published anew, by this partition."""


@dataclass
class Channel:
    """How far a channel of a partition has come. mark: its watermark; ring: the first slot of
    the UTC days kept; since: what lies before had closed when register or rules last changed;
    claim: (newest slot, blocks, meters) of what was held back."""

    mark: int
    ring: int = -1
    since: int = -1
    claim: tuple[int, int, frozenset[int]] | None = None


class Recomputed:
    """One partition, entry by entry. said: what was in force before the first; versions: those
    that the register may have."""

    def __init__(self, partition: int, said: Said, versions: tuple[Grown, ...]) -> None:
        self.partition, self.versions = partition, versions
        self.wanted = Wanted()
        self._in_force(*said)
        self.forget(-1)

    def _in_force(self, register: str, rules: str) -> None:
        self.said = self.wanted.said = (register, rules)
        self.grown, plain = version_in(register, self.versions), rules_in(rules)
        self.size = max(0, min(PARTITION, len(self.grown.contracts) - self.partition * PARTITION))
        self.minutes, self.zone = plain["slot_minutes"], plain["time_zone"]
        self.per_day, self.open_days = 1440 // self.minutes, plain["open_days"]
        self.future_s, self.margin = plain["future_s"], plain["power_margin"]
        self.deadline = plain["deadline_slots"]

    def forget(self, floor: int) -> None:
        """The memory was lost with every snapshot: slots up to `floor` are closed."""
        self.floor = floor
        self.held: dict[tuple[int, int, int], tuple[int, int]] = {}
        self.channels: dict[int, Channel] = {}

    def entry(self, kind: str, data: bytes, arrived_ms: int, poisoned: bool) -> None:
        audit = self.wanted.audit
        if kind and not poisoned:
            self._control(kind, data.decode())
            return
        audit.update(blocks=1)
        if poisoned:
            audit.update(refused_blocks=1, poison_blocks=1)
            return
        block = decoded(data)
        if block is None:
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
            low, stop = self._low(channel), self._open(channel.mark)[1]
            outcome = self._checked(meter, slot, wh, min(stop, end), low, inside)
            day = slot // self.per_day if inside else OUTSIDE
            held = self.held.get((block.channel, slot, meter))
            outcome = outcome or self._taken(block.channel, meter, slot, wh, rank, channel.mark)
            tally[day, outcome] += 1
            if outcome in ("new", "corrected", "conflict_won"):
                tally[day, "wh_accepted"] += wh
                tally[day, "wh_replaced"] += held[0] if held else 0

    # --- what is in force

    def _control(self, kind: str, text: str) -> None:
        """From here on another version, or other rules. What had closed stays closed, and what is
        held of open slots moves to where the register says now."""
        register, rules = self.said
        if kind == "register" and int(text.split()[0]) < int(register.split()[0]):
            return  # its first owner began with a newer one
        for channel in self.channels.values():
            channel.since = self._low(channel)
        before = self.grown
        self._in_force(*((text, rules) if kind == "register" else (register, text)))
        for channel in self.channels.values():
            channel.ring = max(channel.ring, self._low(channel) // self.per_day * self.per_day)
        self._move(before)
        for number, slot in self.wanted.sums:
            channel = self.channels.get(number)
            if channel is not None and slot >= self._low(channel):
                self.wanted.touched[number, slot] = self.said

    def _move(self, before: Grown) -> None:
        moved = set()
        for (number, slot, meter), (wh, _) in self.held.items():
            if slot < max(self._low(self.channels[number]), self.floor + 1):
                continue
            day = self._day(slot)
            old, new = before.contract_of(meter, day), self.grown.contract_of(meter, day)
            assert old is not None
            assert new is not None
            if old[1:3] == new[1:3]:
                continue
            sums = self.wanted.sums[number, slot]
            moved.add((number, slot))
            for contract, sign in ((old, -1), (new, 1)):
                cell = sums.of[contract.tariff, contract.region]
                cell[0] += sign * wh
                cell[1] += sign
        for key in moved:
            self.wanted.sums[key].revision += 1

    # --- how far it has come

    def _low(self, channel: Channel) -> int:
        """The first slot that is taken."""
        return max(self._open(channel.mark)[0], channel.since)

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
        contract = self.grown.contract_of(meter, self._day(slot)) if inside else None
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
        contract = self.grown.contract_of(meter, self._day(slot))
        assert contract is not None
        self.wanted.touched[channel, slot] = self.said
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
