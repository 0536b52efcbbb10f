"""The state of the consumer `sums`: what meters said in the open days, and what it adds up to.

The arithmetic is `metering.partition`'s; here are the two ends of it: entries of the log are
decoded, and what became of their readings is said as `Writes`. Register versions and rules are
entries too; which are in force stands in the fence and in each snapshot.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from wattstorm.errors import BlockError, DataError
from wattstorm.metering import block as blocks
from wattstorm.metering import frame
from wattstorm.metering.block import Channel
from wattstorm.metering.checks import OUTCOMES, WH_ACCEPTED, WH_REPLACED, Outcome
from wattstorm.metering.partition import Applied, Partition
from wattstorm.register.versions import Version, Versions
from wattstorm.store.control import REGISTER, RULES
from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.keys import DIRTY, SEGMENTS, slot_member
from wattstorm.store.log import Entry
from wattstorm.store.snapshots import Arrays
from wattstorm.store.sums import writes_of
from wattstorm.store.writes import Event, Writes
from wattstorm.stream.controls import FIRST, NumberedRules, texts_in
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


@dataclass
class _Controlled:
    """Control entries that were applied: what is in force now, and the slots whose curves are to
    be said anew."""

    said: dict[str, str]
    slots: set[tuple[int, int]] = field(default_factory=set)


class Sums:
    """See `stream.state.State`. said: by kind what `partition` has in force; versions: where
    others are opened; expire_days: days that results stay, 0 for ever; segments: bytes that the log
    of segment frames may hold, 0 where none are written. It changes nothing of the state."""

    def __init__(
        self,
        partition: Partition,
        said: Mapping[str, str],
        versions: Versions,
        expire_days: int = 0,
        segments: int = 0,
    ) -> None:
        self.partition, self.said, self.versions = partition, dict(said), versions
        self.expire_days, self.segments = expire_days, segments
        self._became: list[_Applied | _Refused] = []
        self._controlled: _Controlled | None = None

    @classmethod
    def at_first(
        cls,
        number: int,
        scalars: Scalars,
        versions: Versions,
        expire_days: int = 0,
        segments: int = 0,
    ) -> Sums:
        """A new state, with what a fence says was in force at position 0."""
        said = texts_in(scalars, FIRST)
        return cls(_governed(number, said, versions), said, versions, expire_days, segments)

    @property
    def number(self) -> int:
        return self.partition.number

    @property
    def position(self) -> int:
        return self.partition.position

    # --- entries

    def apply(self, entry: Entry) -> None:
        if entry.kind:
            self._control(entry)
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

    def _control(self, entry: Entry) -> None:
        """A register version, or rules: in force for all that follows."""
        try:
            text = entry.data.decode()
            if entry.kind == REGISTER:
                version = Version.parse(text)
            elif entry.kind == RULES:
                rules = NumberedRules.parse(text).rules
            else:
                raise DataError(f"an entry of kind {entry.kind!r} is not known")
        except (DataError, UnicodeDecodeError) as error:
            self.refuse(entry, "control", str(error))
            return
        said = self._controlled.said if self._controlled else self.said
        if entry.kind == REGISTER and version.number < Version.parse(said[REGISTER]).number:
            # Its first owner came when a newer one was built already, and began with that.
            self.partition.refuse(entry.position)
            return
        if entry.kind == REGISTER:
            register = self.versions.open(version)
            slots = self.partition.apply_register(register, entry.position)
        else:
            slots = self.partition.apply_rules(rules, entry.position)
        if self._controlled is None:
            self._controlled = _Controlled(dict(self.said))
        self._controlled.said[entry.kind] = text
        self._controlled.slots.update(slots)

    def refuse(self, entry: Entry, reason: str, what: str) -> None:
        self.partition.refuse(entry.position)
        self._became.append(_Refused(entry, reason, what))

    def keep(self) -> None:
        self.partition.keep()
        self._became.clear()
        if self._controlled is not None:
            self.said, self._controlled = self._controlled.said, None

    def undo(self) -> None:
        self.partition.undo()
        self._became.clear()
        self._controlled = None

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
        writes = writes_of(
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
        if self.segments:
            writes = replace(writes, events=self._frames())
        if self._controlled is None:
            return writes
        slots = {slot_member(*slot): float(state.position) for slot in self._controlled.slots}
        return replace(writes, members={DIRTY: slots}, scalars=self._controlled.said)

    def _frames(self) -> list[Event]:
        """Of what closed since the last commit. Only imports are scored."""
        return [
            Event(SEGMENTS, "", frame.encode(one), self.segments)
            for one in self.partition.segments(Channel.IMPORT)
        ]

    # --- where it begins

    def start_after(self, position: int, scalars: Scalars) -> None:
        highest = int(scalars.get("highest", -1))
        _log.error(
            "partition %d: slots up to %d are closed, their late readings go to the dead letters "
            "as state_lost",
            self.number,
            highest,
        )
        self.said = texts_in(scalars)
        self.partition = _governed(self.number, self.said, self.versions)
        self.partition.start_after(position, highest)

    def resume(self, scalars: Scalars) -> None:
        self.partition.closed = {
            int(name[4:]): int(low) for name, low in scalars.items() if name.startswith("low:")
        }

    def snapshot(self) -> tuple[Arrays, dict[str, Any]]:
        arrays, header = self.partition.snapshot()
        return arrays, {**header, "in_force": self.said}

    def unsaved_rows(self) -> set[str]:
        return self.partition.unsaved_rows()

    def restore(self, arrays: Arrays, header: dict[str, Any]) -> None:
        self.said = dict(header.get("in_force", self.said))
        new = _governed(self.number, self.said, self.versions)
        self.partition = Partition.restore(new.number, new.register, new.rules, arrays, header)


def _governed(number: int, said: Mapping[str, str], versions: Versions) -> Partition:
    register = versions.open(Version.parse(said[REGISTER]))
    return Partition(number, register, NumberedRules.parse(said[RULES]).rules)


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
    found = tally.tolist()
    for code, n in enumerate(found):
        if n:
            counts[_NAMES[code]] += n
    counts["received"] += sum(found)
