"""Dead letters: what was refused, with its reason, its place and its raw bytes.

They are written by the commit, in the same script as the fence, and bounded in
number and bytes; what fell out at the bound is counted (`account`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Any

from wattstorm.store.connection import Connection
from wattstorm.store.keys import READINGS, SUMS, partition_keys


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused block, or the readings of one block refused for one reason.

    count: readings in it (0 if the block could not be decoded); data: the
    block's bytes, or a block of the refused readings.
    """

    reason: str
    position: int
    count: int
    data: bytes
    what: str = ""


@dataclass(frozen=True, slots=True)
class DeadAccount:
    """Letters held, the bytes that they take, and what fell out at the bound: letters, the
    readings in them (those of blocks that could not be decoded are not known), bytes."""

    held: int = 0
    held_bytes: int = 0
    dropped: int = 0
    dropped_readings: int = 0
    dropped_bytes: int = 0

    def __add__(self, other: DeadAccount) -> DeadAccount:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return DeadAccount(*(mine + its for mine, its in pairs))


def share_of(keep_mb: int, partitions: int, maxmemory: int = 0) -> int:
    """Bytes for the letters of one partition, or of all ingests, where all together may take
    keep_mb MB, and no more than an eighth of the store's memory if that has a limit.

    >>> share_of(256, 63) == 4 << 20, share_of(256, 63, maxmemory=1 << 30) == 2 << 20
    (True, True)
    """
    whole = keep_mb << 20
    return (min(whole, maxmemory // 8) if maxmemory else whole) // (partitions + 1)


class DeadLetters:
    """The read side, of one consumer of a log."""

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        *,
        log: str = READINGS,
        consumer: str = SUMS,
    ) -> None:
        self.connection, self.prefix, self._of = connection, prefix, (log, consumer)

    def count(self, partition: int) -> int:
        """Letters held now."""
        return self.account([partition]).held

    def account(self, partitions: Sequence[int]) -> DeadAccount:
        """Of these partitions together."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            keys = partition_keys(self.prefix, p, *self._of)
            pipeline.xlen(keys.dead)
            pipeline.hmget(keys.dead_account, _ACCOUNT)
        found = self.connection.run("count dead letters", pipeline.execute)
        counts = [[int(n or 0) for n in account] for account in found[1::2]]
        return DeadAccount(sum(found[::2]), *(sum(column) for column in zip(*counts, strict=True)))

    def list(self, partition: int, limit: int | None = None) -> Iterator[DeadLetter]:
        """Oldest first, read a few hundred at a time."""
        key = partition_keys(self.prefix, partition, *self._of).dead
        start, left = b"-", limit
        while left is None or left > 0:
            page = 200 if left is None else min(200, left)
            rows = self._page(key, start, page)
            for identity, fields in rows:
                yield _letter(fields)
                start = b"(" + identity
            if len(rows) < page:
                return
            if left is not None:
                left -= len(rows)

    def _page(self, key: str, start: bytes, count: int) -> Any:
        redis = self.connection.redis
        return self.connection.run(
            "read dead letters", lambda: redis.xrange(key, min=start, count=count)
        )


def _letter(fields: dict[bytes, bytes]) -> DeadLetter:
    return DeadLetter(
        fields[b"reason"].decode(),
        int(fields[b"position"]),
        int(fields[b"count"]),
        fields[b"b"],
        fields[b"what"].decode("utf-8", "replace"),
    )


_ACCOUNT = ("bytes", "dropped", "dropped_readings", "dropped_bytes")
