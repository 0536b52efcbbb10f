"""Control entries: what decides how readings are read stands in the log, between them.

A kind of control has one text in force at a time: `REGISTER` a version of the register, `RULES`
the rules as JSON; in the log `slots` `MODEL` which models are live, `WEATHER` and `PRICES` what
is known of them (docs/adr/0012-inputs.md). The head of each partition's log keeps the text that
was appended last, the fence the one that is in force at its position; before the first entry of a
kind that is what the partition's first owner wrote there (`first:<kind>`). So an entry is
appended once, however often whoever appends it is killed and starts again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from wattstorm.errors import StoreError
from wattstorm.store.connection import Connection
from wattstorm.store.keys import (
    FORECASTS,
    READINGS,
    SLOTS,
    SUMS,
    log_keys,
    partition_keys,
    store_keys,
)
from wattstorm.store.scripts import Argument, Script

REGISTER: Final = "register"
RULES: Final = "rules"
KINDS: Final = (REGISTER, RULES)
MODEL: Final = "model"
WEATHER: Final = "weather"
PRICES: Final = "prices"
RACES: Final = 5
"""How often what was said last may change while it is decided what to say."""
_APPEND: Final = Script("append_control", "add_entry")


def partitions_of(connection: Connection, prefix: str) -> int:
    """How many partitions the stream has, as its card says: 0 without one."""
    key = store_keys(prefix).meta
    found = connection.run(
        "read the store's card", lambda: connection.redis.hget(key, "partitions")
    )
    return int(found or 0)


class Placed(NamedTuple):
    """Where an entry was appended: 0 if what it says was said last there already."""

    partition: int
    position: int


class Said(NamedTuple):
    """What was said last in a partition: appended to its log, "" if nothing was; text: that, or
    what is in force without it, "" if nobody has taken the partition yet."""

    partition: int
    appended: str
    text: str


class Control:
    """The control entries of a log, as consumer `consumer` has them in force."""

    def __init__(
        self, connection: Connection, prefix: str, log: str = READINGS, consumer: str = SUMS
    ) -> None:
        self.connection, self.prefix = connection, prefix
        self.log, self.consumer = log, consumer

    def newest(self, kind: str, partitions: Sequence[int]) -> list[Said]:
        """What was said last, whether it is in force yet or not."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hget(log_keys(self.prefix, p, self.log).head, f"kind:{kind}")
            pipeline.hget(self._fence(p), kind)
        found = self.connection.run("read what is in force", pipeline.execute)
        texts = [(text or b"").decode() for text in found]
        return [
            Said(p, appended, appended or held)
            for p, appended, held in zip(partitions, texts[::2], texts[1::2], strict=True)
        ]

    def in_force(self, kind: str, partitions: Sequence[int]) -> list[str]:
        """What is in force at each fence; "" where no task has taken the partition yet."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hget(self._fence(p), kind)
        found = self.connection.run("read what is in force", pipeline.execute)
        return [(text or b"").decode() for text in found]

    def settled(self, kind: str, partitions: Sequence[int]) -> list[str]:
        """What no replay can find less than: what was said last, where the log is trimmed behind
        it; "" where it is not, or where nobody has taken the partition yet."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            head = log_keys(self.prefix, p, self.log).head
            pipeline.hmget(head, [f"kind:{kind}", f"kind:{kind}:at", "first"])
            pipeline.hget(self._fence(p), kind)
        found = self.connection.run("read what is in force", pipeline.execute)
        texts = []
        for (text, at, first), held in zip(found[::2], found[1::2], strict=True):
            behind = held if text is None else text if int(first or 1) > int(at) else None
            texts.append((behind or b"").decode())
        return texts

    def append(self, kind: str, text: str, where: Sequence[Said]) -> list[Placed]:
        """Append it to partitions, where what was said last is still what `newest` read; others
        are left alone: 0."""
        calls: list[tuple[list[str], list[Argument]]] = []
        for said in where:
            keys = log_keys(self.prefix, said.partition, self.log)
            arguments: list[Argument] = [kind, text, said.appended]
            calls.append(([keys.log, keys.head, keys.backlog], arguments))
        if not calls:
            return []
        answers = _APPEND.run_many(self.connection, "append a control entry", calls)
        return [
            Placed(said.partition, int(value) if status == b"new" else 0)
            for said, (status, value) in zip(where, answers, strict=True)
        ]

    def amend(self, kind: str, change: Callable[[str], str], partition: int = 0) -> Placed:
        """Append what `change` makes of the text that was said last ("" if none was), once:
        position 0 if that is said already, so whoever is killed over it simply repeats it."""
        for _ in range(RACES):
            said = self.newest(kind, [partition])
            text = change(said[0].text)
            if text == said[0].text:
                return Placed(partition, 0)
            (placed,) = self.append(kind, text, said)
            if placed.position:
                return placed
        raise StoreError(
            f"{RACES} others changed what the stream is told of {kind} meanwhile",
            "try again once they are done",
        )

    def _fence(self, partition: int) -> str:
        return partition_keys(self.prefix, partition, self.log, self.consumer).fence


def slots_control(connection: Connection, prefix: str) -> Control:
    """The control of forecasts: models, weather and prices, between the slots that close."""
    return Control(connection, prefix, SLOTS, FORECASTS)
