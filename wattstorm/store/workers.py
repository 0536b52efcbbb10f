"""The heartbeats of the local engine's processes, as the supervisor wrote them."""

from __future__ import annotations

import json
from typing import Any

from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys


def heartbeats(connection: Connection, prefix: str) -> list[dict[str, Any]]:
    """One row a worker, by its index; `alive`: the heartbeat has not expired."""
    key = store_keys(prefix).workers
    found: Any = connection.run("read the heartbeats", lambda: connection.redis.hgetall(key))
    now_ms = connection.server_time_us() // 1000
    rows = [json.loads(row) for row in found.values()]
    for row in rows:
        row["alive"] = row.get("expires_ms", 0) > now_ms
    return sorted(rows, key=lambda row: int(row.get("worker", 0)))
