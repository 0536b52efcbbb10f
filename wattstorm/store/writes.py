"""What one commit of a consumer changes beside its fence, and how `commit.lua` is told.

Keys are a consumer's own and are named below it: "audit" of consumer sums of partition 3 of
readings is `{<prefix>:readings:p3}:sums:audit`. What is absolute (sums, fields, members) may be
written twice; what is a difference (counters) or is added (dead letters, events) is safe
because the script that writes it moves the fence as well, or does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.keys import PartitionKeys, log_keys
from wattstorm.store.scripts import Argument


class Counters(NamedTuple):
    """Differences, each added to an int64. key: below the consumer; lifetime_s: of the key,
    counted from its last change, 0 for ever."""

    key: str
    counts: Mapping[str, int]
    lifetime_s: int = 0


class Event(NamedTuple):
    """An entry for another log, in the partition of the same number. bound: bytes that this
    partition of that log may hold with it, its oldest entries go; 0: whoever holds it trims it."""

    log: str
    kind: str
    data: bytes
    bound: int = 0


@dataclass(frozen=True, slots=True)
class Writes:
    """The effects of a batch.

    sums: field of `partials` → absolute value; the fields are also marked in `dirty`, with the
    position, for who publishes them. fields, members: key → what is set in that hash, or sorted
    set; gone: key → fields removed from that hash. dead: what is set aside. events: entries of
    other logs. scalars: of the fence; rising: the same, integers that never fall. lifetimes: key
    of `fields` → s that it stays from here on.
    """

    sums: Mapping[str, bytes] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Argument]] = field(default_factory=dict)
    gone: Mapping[str, Sequence[str]] = field(default_factory=dict)
    members: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    counters: Sequence[Counters] = ()
    dead: Sequence[DeadLetter] = ()
    events: Sequence[Event] = ()
    rising: Mapping[str, int] = field(default_factory=dict)
    scalars: Mapping[str, Argument] = field(default_factory=dict)
    lifetimes: Mapping[str, int] = field(default_factory=dict)


NOTHING: Final = Writes()
RESERVED: Final = frozenset(
    {"position", "owner", "birth", "epoch", "lineage", "takes", "tries"}
    | {"trying", "trier", "fault", "replays"}
)
"""Fields of a fence that the contract itself keeps: no scalar has such a name."""


class Effects:
    """The keys and arguments of `commit.lua` that say what a batch changes.

    first: how many keys stand before them; keep_dead: letters kept at most and their bytes,
    "10000 268435456".
    """

    def __init__(self, keys: PartitionKeys, prefix: str, partition: int, first: int) -> None:
        self._keys, self._prefix, self._partition, self._first = keys, prefix, partition, first
        self.keys: list[str] = []
        self.arguments: list[Argument] = []

    def say(self, writes: Writes, keep_dead: str) -> None:
        """All that `writes` holds, in the order in which it is to be done."""
        if writes.sums:
            self._begin("sums", len(writes.sums), self._keys.partials, self._keys.dirty)
            for pair in writes.sums.items():
                self.arguments += pair
        if writes.dead:
            self._begin("dead", len(writes.dead), self._keys.dead, self._keys.dead_account)
            self.arguments.append(keep_dead)
            for letter in writes.dead:
                self.arguments += (letter.reason, letter.position, letter.count)
                self.arguments += (letter.data, letter.what)
        for key, counts, lifetime_s in writes.counters:
            nonzero = {name: int(n) for name, n in counts.items() if n}
            self._begin("count", len(nonzero), self._own(key))
            self.arguments.append(lifetime_s)
            for counter in nonzero.items():
                self.arguments += counter
        self._plain(writes)
        for event in writes.events:
            keys = log_keys(self._prefix, self._partition, event.log)
            self._begin("append", 1, keys.log, keys.head, keys.backlog)
            self.arguments += (event.bound, event.kind, event.data)

    def _plain(self, writes: Writes) -> None:
        for key, values in writes.fields.items():
            self._begin("set", len(values), self._own(key))
            for value in values.items():
                self.arguments += value
        for key, seconds in writes.lifetimes.items():
            self._begin("expire", 1, self._own(key))
            self.arguments.append(seconds)
        for key, names in writes.gone.items():
            self._begin("remove", len(names), self._own(key))
            self.arguments += names
        for key, scores in writes.members.items():
            self._begin("rank", len(scores), self._own(key))
            for member, score in scores.items():
                self.arguments += (repr(float(score)), member)
        if wrong := RESERVED & {*writes.rising, *writes.scalars}:
            raise ValueError(f"a fence keeps {sorted(wrong)} itself")
        for name, scalars in (("rise", writes.rising), ("set", writes.scalars)):
            if scalars:
                self._begin(name, len(scalars), self._keys.fence)
                for scalar in scalars.items():
                    self.arguments += scalar

    def _own(self, key: str) -> str:
        return f"{self._keys.own}:{key}"

    def _begin(self, name: str, n: int, *keys: str) -> None:
        self.arguments += (name, n, self._first + len(self.keys) + 1)
        self.keys += keys
