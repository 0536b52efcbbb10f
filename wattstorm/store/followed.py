"""Which files of followed directories are in the log, see `wattstorm.ingest.follow`."""

from __future__ import annotations

from typing import Any

from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys


class Followed:
    """Path → size and time of change of a file whose readings are all in the log."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection = connection
        self.key = f"{store_keys(prefix).ingest}:files"

    def known(self) -> dict[str, str]:
        found: Any = self.connection.run(
            "read which files are done", lambda: self.connection.redis.hgetall(self.key)
        )
        return {path.decode("utf-8", "replace"): state.decode() for path, state in found.items()}

    def add(self, path: str, state: str) -> None:
        self.connection.run(
            "remember a file", lambda: self.connection.redis.hset(self.key, path, state)
        )
