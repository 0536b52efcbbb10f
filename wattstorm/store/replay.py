"""Dead letters that are sent again: each leaves its place and enters the log in one step.

So it is sent once, however often whoever sends it is killed and starts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from wattstorm.store.connection import Connection
from wattstorm.store.intake import Intake
from wattstorm.store.keys import log_keys, partition_keys
from wattstorm.store.scripts import Argument, Script

_LETTER: Final = Script("replay_letter", "add_entry", "set_aside")
_ROWS: Final = Script("replay_rows", "add_entry")
_PAGE: Final = 100


class Row(NamedTuple):
    """A row that ingest refused. reading: "id µs Wh version channel", "" if it is none."""

    identity: bytes
    reason: str
    reading: str


class Replay:
    """Both kinds of dead letters: of the stream, by partition, and of the ingests."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    def letters(self, partition: int) -> Iterator[tuple[bytes, str, int]]:
        """(id, reason, readings) of those that are held now, oldest first; not of those that
        what is sent again adds to them."""
        key = partition_keys(self.prefix, partition).dead
        for identity, fields in self._pages(key):
            yield identity, fields[b"reason"].decode(), int(fields[b"count"])

    def send_letter(self, partition: int, identity: bytes) -> int:
        """Its position in the log; 0 if somebody else sent it, or it fell out at the bound."""
        keys = partition_keys(self.prefix, partition)
        named = [keys.log, keys.head, keys.backlog, keys.dead, keys.dead_account]
        return int(_LETTER.run(self.connection, "send a dead letter again", named, [identity]))

    def rows(self) -> Iterator[Row]:
        """Those that are held now, oldest first."""
        for identity, fields in self._pages(Intake(self.connection, self.prefix).dead):
            reading = fields.get(b"reading", b"").decode()
            yield Row(identity, fields[b"reason"].decode(), reading)

    def send_rows(self, partition: int, block: bytes, identities: Sequence[bytes]) -> int:
        """The position of the block that they are by now; 0 if one of them is gone."""
        keys, intake = log_keys(self.prefix, partition), Intake(self.connection, self.prefix)
        named = [keys.log, keys.head, keys.backlog, intake.dead, intake.replayed]
        arguments: list[Argument] = [block, *identities]
        return int(_ROWS.run(self.connection, "send refused rows again", named, arguments))

    def _pages(self, key: str) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
        last = self._page(key, b"-", b"+", 1, newest=True)
        start = b"-"
        while last:
            rows = self._page(key, start, last[0][0], _PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            start = b"(" + rows[-1][0]

    def _page(self, key: str, low: bytes, high: bytes, n: int, *, newest: bool = False) -> Any:
        redis = self.connection.redis
        return self.connection.run(
            "read dead letters",
            lambda: (
                redis.xrevrange(key, high, low, n) if newest else redis.xrange(key, low, high, n)
            ),
        )
