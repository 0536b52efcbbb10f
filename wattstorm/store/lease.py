"""The lease of a topology: who runs it on this store. It ends by itself where nobody renews it."""

from __future__ import annotations

import json
from typing import Any, Final

from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys
from wattstorm.store.scripts import Script

LIFETIME_S: Final = 10.0
"""After so long without being renewed a lease ends."""

_TAKE, _RELEASE = Script("take_lease"), Script("release_lease")
Card = dict[str, Any]


class LeaseKey:
    """The lease of one topology; its holder's card says `token`, and what it likes."""

    def __init__(self, connection: Connection, prefix: str, topology: str) -> None:
        self.connection, self.key = connection, store_keys(prefix).engine(topology)

    def take(self, card: Card, replaceable: bytes = b"") -> bytes | None:
        """Take or renew it: None if it is ours now, else the holder's card as it stands there.

        replaceable: a card that may be replaced, as it was answered before.
        """
        arguments = [card["token"], json.dumps(card), int(LIFETIME_S * 1000), replaceable]
        held: bytes | None = _TAKE.run(
            self.connection, "hold the engine's lease", [self.key], arguments
        )
        return held

    def release(self, token: str) -> None:
        _RELEASE.run(self.connection, "give the engine's lease back", [self.key], [token])

    def card(self) -> Card | None:
        """The holder's card; None if there is none."""
        redis: Any = self.connection.redis
        held = self.connection.run("read the engine's lease", lambda: redis.get(self.key))
        return json.loads(held) if held else None
