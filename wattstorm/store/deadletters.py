"""Dead letters: what was refused, with its reason, its place and its raw bytes.

They are written by the commit, in the same script as the fence, and bounded;
those that fell out at the bound are counted in the audit as `dead_dropped`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wattstorm.store.connection import Connection
from wattstorm.store.keys import partition_keys


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


class DeadLetters:
    """The read side, a partition at a time."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    def count(self, partition: int) -> int:
        """Letters held now."""
        key = partition_keys(self.prefix, partition).dead
        return int(
            self.connection.run("count dead letters", lambda: self.connection.redis.xlen(key))
        )

    def list(self, partition: int, limit: int | None = None) -> Iterator[DeadLetter]:
        """Oldest first, read a few hundred at a time."""
        key = partition_keys(self.prefix, partition).dead
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
