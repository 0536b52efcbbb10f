"""What was refused before the log: rows that make no reading, with their raw text.

Counters of all ingests together, and a bounded stream of the newest refused rows:
bounded in number, and in bytes, since what is long of a row is cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wattstorm.errors import UsageError
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import DeadAccount
from wattstorm.store.keys import store_keys

TEXT_BYTES: Final = 400
"""What is kept of a row's place, of its cells and of what is wrong with it, each."""
FIRST_REPLACEMENT: Final = 1 << 15
MAX_VERSION: Final = 0xFFFF
ROW_BYTES: Final = 3 * TEXT_BYTES + 200
"""What a refused row takes in the store, at most."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """reason: an `Outcome`'s name in lower case; place: "file:row"; raw: the row's cells;
    reading: what it says, where only its meter was not known, "" else (see `replay`)."""

    reason: str
    place: str
    raw: str
    what: str = ""
    reading: str = ""


class Intake:
    """keep: refused rows kept at most, and never more than `bytes_` may hold; those that
    fell out stay counted."""

    def __init__(
        self, connection: Connection, prefix: str, *, keep: int = 10_000, bytes_: int = 16 << 20
    ) -> None:
        self.connection, self.keep = connection, min(keep, bytes_ // ROW_BYTES)
        self.key = store_keys(prefix).ingest
        self.dead = f"{self.key}:dead"
        self.replayed = f"{self.key}:replayed"
        self.replacements = f"{self.key}:replacements"

    def record(self, received: int, reasons: Mapping[str, int], rows: Sequence[RefusedRow]) -> None:
        """Add rows read, rows refused by reason, and the newest of the refused ones."""
        pipeline = self.connection.redis.pipeline(transaction=True)
        pipeline.hincrby(self.key, "received", received)
        for reason, count in reasons.items():
            pipeline.hincrby(self.key, reason, count)
        for row in rows[-self.keep :] if self.keep else ():
            fields: Any = {
                "reason": row.reason,
                "position": _cut(row.place, end=True),
                "count": 1,
                "b": _cut(row.raw),
                "what": _cut(row.what),
                "reading": row.reading,
            }
            pipeline.xadd(self.dead, fields, maxlen=self.keep, approximate=False)
        self.connection.run("count what was ingested", pipeline.execute)

    def next_replacement(self) -> int:
        """A version above all that were given before, for an ingest that replaces what is there.

        From FIRST_REPLACEMENT on, so that it stands above what files name themselves.
        """
        number: Any = self.connection.run(
            "number a replacement", lambda: self.connection.redis.incr(self.replacements)
        )
        version = FIRST_REPLACEMENT - 1 + int(number)
        if version > MAX_VERSION:
            raise UsageError(
                f"{number:,} ingests have replaced readings, a version goes to {MAX_VERSION:,}",
                "give the days in a new store",
            )
        return version

    def counts(self) -> dict[str, int]:
        """`received`: rows read by all ingests; the others: rows refused, by reason."""
        found: Any = self.connection.run(
            "read the ingest counters", lambda: self.connection.redis.hgetall(self.key)
        )
        return {name.decode(): int(n) for name, n in found.items()}

    def account(self) -> DeadAccount:
        """Rows held, and how many fell out at the bound (those sent again did not)."""
        held: Any = self.connection.run(
            "count refused rows", lambda: self.connection.redis.xlen(self.dead)
        )
        refused = sum(n for name, n in self.counts().items() if name != "received")
        sent: Any = self.connection.run(
            "count refused rows", lambda: self.connection.redis.get(self.replayed)
        )
        dropped = max(0, refused - held - int(sent or 0))
        return DeadAccount(held, dropped=dropped, dropped_readings=dropped)

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


def _cut(text: str, *, end: bool = False) -> str:
    """At most TEXT_BYTES of it: its beginning, or its end."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= TEXT_BYTES:
        return text
    part = encoded[3 - TEXT_BYTES :] if end else encoded[: TEXT_BYTES - 3]
    kept = part.decode("utf-8", "ignore")
    return f"…{kept}" if end else f"{kept}…"
