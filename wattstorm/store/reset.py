"""What several streams keep in one store, by prefix, and how one of them is emptied."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from wattstorm.store.connection import Connection

_AT_ONCE = 1000


def prefixes(connection: Connection) -> list[str]:
    """Those that a stream was ever begun under: they have a card, see `store.keys`."""
    found = (key.decode() for key in _keys(connection, "*:meta"))
    return sorted(key.removesuffix(":meta") for key in found if key.count(":") == 1)


def empty(connection: Connection, prefix: str) -> int:
    """Delete all that is kept under a prefix; how many keys."""
    gone = 0
    for pattern in (f"{prefix}:*", f"{{{prefix}:*"):
        keys = list(_keys(connection, pattern))
        for at in range(0, len(keys), _AT_ONCE):
            part = keys[at : at + _AT_ONCE]
            gone += connection.run("delete keys", partial(_unlinked, connection, part))
    return gone


def _unlinked(connection: Connection, keys: list[bytes]) -> int:
    found: Any = connection.redis.unlink(*keys)
    return int(found)


def _keys(connection: Connection, pattern: str) -> Iterator[bytes]:
    cursor = 0
    while True:
        scan = partial(connection.redis.scan, cursor, match=pattern, count=_AT_ONCE)
        answer: Any = connection.run("list keys", scan)
        cursor, found = answer
        yield from found
        if not cursor:
            return
