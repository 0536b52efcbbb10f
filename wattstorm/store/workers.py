"""The heartbeats of the processes that run the stream: one hash of the store, one format.

A field is "<topology>/<task>", so that several topologies on one store do not disturb each
other. Each task writes its own, on Storm and under the local engine, whose supervisor has one too
(`ENGINE`). A row says

| name | what |
|---|---|
| worker | the task: "aggregate-0", or "engine" |
| topology, component | the topology's class, the component in it |
| pid, host | the process |
| state | "running"; what a supervisor says of itself |
| storm | Storm's id of the topology, null under the local engine |
| code | digest of the code submitted, null under the local engine |
| restarts | how often the local engine started it again |
| instruments | what it measured: see `wattstorm.instruments` |
| seen_ms, expires_ms | when it was written, until when it holds; by the store's clock |
| alive | whether it holds still |
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from wattstorm.instruments import Instruments
from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys

BEAT_S = 1.0
LIFETIME_S = 5.0
AHEAD_MS = 2_000
"""A heartbeat of so far in the future is of a clock that was ahead."""
ENGINE = "engine"
"""The local engine's supervisor, among the tasks of its topology."""
TOPOLOGY = "wattstorm.topology"
"""What a topology is called in its configuration: its class, on either engine."""
RESTARTS = "wattstorm.restarts"


def write_beat(
    connection: Connection,
    prefix: str,
    topology: str,
    name: str,
    card: Mapping[str, Any],
    lifetime_s: float,
) -> None:
    """The heartbeat of one process; it says itself until when it holds."""
    now = connection.server_time_us() // 1000
    row = {**card, "seen_ms": now, "expires_ms": now + int(lifetime_s * 1000)}
    key, field = store_keys(prefix).workers, f"{topology}/{name}"
    connection.run("write a heartbeat", lambda: connection.redis.hset(key, field, json.dumps(row)))


def clear_beats(connection: Connection, prefix: str, topology: str) -> None:
    """Forget those of a topology: whoever writes them from now on begins anew."""
    key = store_keys(prefix).workers
    found: Any = connection.run("read the heartbeats", lambda: connection.redis.hkeys(key))
    # One without a topology is of a version before this one: nobody writes it any more.
    gone = [
        name for name in found if name.decode().partition("/")[0] == topology or b"/" not in name
    ]
    if gone:
        connection.run("clear the heartbeats", lambda: connection.redis.hdel(key, *gone))


def heartbeats(
    connection: Connection, prefix: str, topology: str | None = None
) -> list[dict[str, Any]]:
    """One row per process, of one topology or of all, by names; `alive`: the heartbeat has not
    expired, nor is it of a time to come (the store's clock was ahead, and who lives has written
    another since)."""
    key = store_keys(prefix).workers
    found: Any = connection.run("read the heartbeats", lambda: connection.redis.hgetall(key))
    now_ms = connection.server_time_us() // 1000
    rows = []
    for name, text in found.items():
        of, _, worker = name.decode().rpartition("/")
        row = {"worker": worker, "topology": of, **json.loads(text)}
        seen = row.get("seen_ms", 0) <= now_ms + AHEAD_MS
        row["alive"] = seen and row.get("expires_ms", 0) > now_ms
        if topology in (None, of):
            rows.append(row)
    return sorted(rows, key=lambda row: (row["topology"], len(row["worker"]), row["worker"]))


class Presence:
    """A process's own heartbeat. A component's is silent where no engine runs it.

    `conf`, `index`: the task's, from Storm's handshake. Called between two messages, so a task
    that hangs falls silent.
    """

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        conf: Mapping[str, Any],
        component: str,
        index: int | None,
        instruments: Instruments | None = None,
    ) -> None:
        self.connection, self.prefix, self.instruments = connection, prefix, instruments
        self.name = component if index is None else f"{component}-{index}"
        self.topology = conf.get(TOPOLOGY)
        self.card = {
            "component": component,
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "state": "running",
            "storm": conf.get("storm.id"),
            "code": conf.get("wattstorm.code"),
            "restarts": conf.get(RESTARTS, 0),
        }
        self._next = 0.0

    def tell(self, **more: Any) -> None:
        """Write it if one is due; `more`: what else it says."""
        now = time.monotonic()
        if self.topology is None or now < self._next:
            return
        self._next = now + BEAT_S
        measured = self.instruments.told() if self.instruments else {}
        card = {**self.card, "instruments": measured, **more}
        write_beat(self.connection, self.prefix, self.topology, self.name, card, LIFETIME_S)
