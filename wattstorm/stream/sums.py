"""The state of the consumer `sums`: what meters said in the open days, and what it adds up to.

The arithmetic is `metering.partition`'s; here are the two ends of it: entries of the log are
decoded, and what became of their readings is said as `Writes`.
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from wattstorm.errors import BlockError
from wattstorm.metering import block as blocks
from wattstorm.metering.checks import OUTCOMES, WH_ACCEPTED, WH_REPLACED, Outcome
from wattstorm.metering.partition import Applied, Partition, Rules
from wattstorm.register.register import Register
from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.log import Entry
from wattstorm.store.snapshots import Arrays
from wattstorm.store.sums import writes_of
from wattstorm.store.writes import Writes
from wattstorm.stream.state import Scalars

_log = logging.getLogger(__name__)
_NAMES = {int(outcome): outcome.name.lower() for outcome in Outcome}


class _Applied(NamedTuple):
    """A block that was applied: what the commit says of it. The block itself is let go."""

    position: int
    producer: str
    number: int
    channel: int
    applied: Applied


class _Refused(NamedTuple):
    entry: Entry
    reason: str
    what: str


class Sums:
    """See `stream.state.State`. expire_days: days that results stay, 0 for ever."""

    def __init__(self, partition: Partition, expire_days: int = 0) -> None:
        self.partition, self.expire_days = partition, expire_days
        self._became: list[_Applied | _Refused] = []

    @property
    def number(self) -> int:
        return self.partition.number

    @property
    def position(self) -> int:
        return self.partition.position

    # --- entries

    def apply(self, entry: Entry) -> None:
        if entry.kind:
            self.refuse(entry, "kind", f"an entry of kind {entry.kind!r} is not known")
            return
        try:
            block = blocks.decode(entry.data)
        except BlockError as error:
            self.refuse(entry, error.reason, error.what)
            return
        applied = self.partition.apply(block, entry.position, entry.arrived_ms)
        self._became.append(
            _Applied(entry.position, block.producer, block.number, block.channel, applied)
        )

    def refuse(self, entry: Entry, reason: str, what: str) -> None:
        self.partition.refuse(entry.position)
        self._became.append(_Refused(entry, reason, what))

    def keep(self) -> None:
        self.partition.keep()
        self._became.clear()

    def undo(self) -> None:
        self.partition.undo()
        self._became.clear()

    def writes(self) -> Writes:
        audit = Audit()
        for one in self._became:
            if isinstance(one, _Applied):
                audit.add(one)
            else:
                audit.refuse(one)
        for counts in audit.by_producer.values():
            audit.total.update(counts)
        audit.total.update(batches=1, blocks=len(self._became))
        state = self.partition
        return writes_of(
            partials={key: sums.to_bytes() for key, sums in state.changes().items()},
            audit=audit.total,
            by_day=audit.by_day,
            by_producer=audit.by_producer,
            dead=audit.dead,
            highest=state.highest,
            lows=state.lows(),
            marks=state.watermark,
            expire_days=self.expire_days,
        )

    # --- where it begins

    def start_after(self, position: int, scalars: Scalars) -> None:
        highest = int(scalars.get("highest", -1))
        _log.error(
            "partition %d: slots up to %d are closed, their late readings go to the dead letters "
            "as state_lost",
            self.number,
            highest,
        )
        self.partition.start_after(position, highest)

    def resume(self, scalars: Scalars) -> None:
        self.partition.closed = {
            int(name[4:]): int(low) for name, low in scalars.items() if name.startswith("low:")
        }

    def snapshot(self) -> tuple[Arrays, dict[str, Any]]:
        return self.partition.snapshot()

    def unsaved_rows(self) -> set[str]:
        return self.partition.unsaved_rows()

    def restore(self, arrays: Arrays, header: dict[str, Any]) -> None:
        new = self.partition
        self.partition = Partition.restore(new.number, new.register, new.rules, arrays, header)


def sums_of(number: int, register: Register, rules: Rules, expire_days: int) -> Sums:
    """A new state of partition `number`."""
    return Sums(Partition(number, register, rules), expire_days)


@dataclass
class Audit:
    """What became of a batch's readings, for the commit. by_day: by (UTC day, channel)."""

    total: Counter[str] = field(default_factory=Counter)
    by_day: dict[tuple[int, int], Counter[str]] = field(default_factory=dict)
    by_producer: dict[str, Counter[str]] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)

    def add(self, one: _Applied) -> None:
        position, producer, number, channel, applied = one
        count(self.by_producer.setdefault(producer, Counter()), applied.tally)
        for day, counters in applied.by_day.items():
            of_day = self.by_day.setdefault((day, channel), Counter())
            count(of_day, counters[:OUTCOMES])
            of_day["wh_accepted"] += int(counters[WH_ACCEPTED])
            of_day["wh_replaced"] += int(counters[WH_REPLACED])
        for outcome, part in applied.rejected:
            what = f"producer {producer}, block {number}"
            data = blocks.encode(part)
            self.dead.append(DeadLetter(_NAMES[outcome], position, part.wh.size, data, what))

    def refuse(self, one: _Refused) -> None:
        """An entry of which nothing is summed; nobody can count its readings."""
        entry, reason, what = one
        self.total.update(refused_blocks=1, poison_blocks=int(reason == "poison"))
        self.dead.append(DeadLetter(reason, entry.position, 0, entry.data, what))


def count(counts: Counter[str], tally: Any) -> None:
    """Add int64[OUTCOMES] to counters by outcome name, and to `received`."""
    assert len(tally) == OUTCOMES
    for code in np.flatnonzero(tally):
        counts[_NAMES[int(code)]] += int(tally[code])
    counts["received"] += int(tally.sum())
