"""The log `slots` as one of its readers sees it."""

from __future__ import annotations

from wattstorm.store.connection import Connection
from wattstorm.store.keys import SLOTS
from wattstorm.store.log import Log


class SlotsLog(Log):
    """Bounded by its bytes, and read by whoever likes: no reader trims it for the others."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        super().__init__(connection, prefix, name=SLOTS)

    def trim(
        self, partition: int, position: int, token: str, nonce: str = "", *, consumer: str = ""
    ) -> int:
        return self.first(partition)
