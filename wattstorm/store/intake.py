"""What was refused before the log: rows that make no reading, with their raw text.

Counters of all ingests together, and a bounded stream of the newest refused rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """reason: an `Outcome`'s name in lower case; place: "file:row"; raw: the row's cells."""

    reason: str
    place: str
    raw: str
    what: str = ""


class Intake:
    """`keep`: refused rows kept at most; those that fell out stay counted."""

    def __init__(self, connection: Connection, prefix: str, *, keep: int = 10_000) -> None:
        self.connection, self.keep = connection, keep
        self.key = store_keys(prefix).ingest
        self.dead = f"{self.key}:dead"

    def record(self, received: int, reasons: Mapping[str, int], rows: Sequence[RefusedRow]) -> None:
        """Add rows read, rows refused by reason, and the newest of the refused ones."""
        pipeline = self.connection.redis.pipeline(transaction=True)
        pipeline.hincrby(self.key, "received", received)
        for reason, count in reasons.items():
            pipeline.hincrby(self.key, reason, count)
        for row in rows[-self.keep :] if self.keep else ():
            fields: Any = {
                "reason": row.reason, "position": row.place, "count": 1,
                "b": row.raw, "what": row.what,
            }  # fmt: skip
            pipeline.xadd(self.dead, fields, maxlen=self.keep, approximate=False)
        self.connection.run("count what was ingested", pipeline.execute)

    def counts(self) -> dict[str, int]:
        """`received`: rows read by all ingests; the others: rows refused, by reason."""
        found: Any = self.connection.run(
            "read the ingest counters", lambda: self.connection.redis.hgetall(self.key)
        )
        return {name.decode(): int(n) for name, n in found.items()}

    def list(self, limit: int) -> list[RefusedRow]:
        """The newest refused rows, newest first."""
        found: Any = self.connection.run(
            "read refused rows", lambda: self.connection.redis.xrevrange(self.dead, count=limit)
        )
        return [
            RefusedRow(*(fields[name].decode("utf-8", "replace") for name in _FIELDS))
            for _, fields in found
        ]


_FIELDS = (b"reason", b"position", b"b", b"what")
