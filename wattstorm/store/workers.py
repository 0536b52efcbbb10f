"""The heartbeats of the processes that run the stream, in one hash of the store.

The local engine's supervisor writes those of its workers; on Storm each task writes its own.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys

BEAT_S = 1.0
LIFETIME_S = 5.0
AHEAD_MS = 2_000
"""A heartbeat of so far in the future is of a clock that was ahead."""


def write_beats(
    connection: Connection, prefix: str, beats: Mapping[str, Mapping[str, Any]], lifetime_s: float
) -> None:
    """One heartbeat per process, by its name; each says itself until when it holds, by the
    store's clock."""
    key = store_keys(prefix).workers
    now = connection.server_time_us() // 1000
    times = {"seen_ms": now, "expires_ms": now + int(lifetime_s * 1000)}
    rows: Any = {name: json.dumps({**beat, **times}) for name, beat in beats.items()}
    connection.run("write a heartbeat", lambda: connection.redis.hset(key, mapping=rows))


def clear_beats(connection: Connection, prefix: str) -> None:
    """Forget all: whoever writes them from now on begins anew."""
    key = store_keys(prefix).workers
    connection.run("clear the heartbeats", lambda: connection.redis.delete(key))


def heartbeats(connection: Connection, prefix: str) -> list[dict[str, Any]]:
    """One row per process, by its name; `alive`: the heartbeat has not expired, nor is it of a
    time to come (the store's clock was ahead, and who lives has written another since)."""
    key = store_keys(prefix).workers
    found: Any = connection.run("read the heartbeats", lambda: connection.redis.hgetall(key))
    now_ms = connection.server_time_us() // 1000
    rows = [{"worker": name.decode(), **json.loads(row)} for name, row in found.items()]
    for row in rows:
        seen = row.get("seen_ms", 0) <= now_ms + AHEAD_MS
        row["alive"] = seen and row.get("expires_ms", 0) > now_ms
    return sorted(rows, key=lambda row: (len(str(row["worker"])), str(row["worker"])))


class Presence:
    """A Storm task's own heartbeat; silent under the local engine, whose supervisor has its own.

    `conf`, `index`: the task's, from Storm's handshake. Called between two messages, so a task
    that hangs falls silent.
    """

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        conf: Mapping[str, Any],
        component: str,
        index: int,
    ) -> None:
        self.connection, self.prefix = connection, prefix
        self.name = f"{component}-{index}"
        self.topology = conf.get("storm.id") if "wattstorm.code" in conf else None
        self.card = {
            "topology": self.topology,
            "component": component,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "state": "running",
            "code": conf.get("wattstorm.code"),
        }
        self._next = 0.0

    def tell(self) -> None:
        """Write it if one is due."""
        now = time.monotonic()
        if self.topology is not None and now >= self._next:
            self._next = now + BEAT_S
            write_beats(self.connection, self.prefix, {self.name: self.card}, LIFETIME_S)
