"""What the supervisor reads from the store and writes to it: lag, heartbeats, the store's card."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from wattstorm.errors import UsageError
from wattstorm.metering.aggregates import Scopes
from wattstorm.metering.register import Register
from wattstorm.settings import Settings
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys
from wattstorm.store.log import Log
from wattstorm.store.results import ResultStore

SCHEMA = 1
_FIXED = ("schema", "slot_minutes", "partition_size")


class Watch:
    """The store as the supervisor of an engine sees it."""

    def __init__(self, connection: Connection, settings: Settings, register: Register) -> None:
        prefix = settings.store.prefix
        self.connection = connection
        self.partitions = range(register.partitions)
        self.log = Log(connection, prefix)
        self.results = ResultStore(connection, prefix)
        self.stores = [PartitionStore(connection, prefix, p) for p in self.partitions]
        self.workers_key = store_keys(prefix).workers
        self.card = card_of(settings, register)

    def drained(self) -> bool:
        """Every fence stands at its log's end, and nothing waits to be published."""
        # In this order: a commit moves its fence and marks its slots in one step.
        tails = self.log.tails(self.partitions)
        if any(s.fence().position < tail for s, tail in zip(self.stores, tails, strict=True)):
            return False
        return not self.results.dirty(self.partitions)

    def introduce(self) -> None:
        """Write the store's card; UsageError if its data were made under another one."""
        held = self.results.meta()
        for name in _FIXED:
            if held.get(name, self.card[name]) != self.card[name]:
                raise UsageError(
                    f"the store's data have {name} {held[name]}, this engine has {self.card[name]}",
                    "use another store.prefix, or the settings and the register of that store",
                )
        self.results.write_meta(self.card)

    def write_beats(self, beats: Mapping[int, Mapping[str, Any]], lifetime_s: float) -> None:
        """One heartbeat a worker; each says itself until when it holds."""
        now = int(time.time() * 1000)
        times = {"seen_ms": now, "expires_ms": now + int(lifetime_s * 1000)}
        rows: Any = {str(i): json.dumps({**beat, **times}) for i, beat in beats.items()}
        pipeline = self.connection.redis.pipeline(transaction=True)
        pipeline.delete(self.workers_key)
        if rows:
            pipeline.hset(self.workers_key, mapping=rows)
        self.connection.run("write the heartbeats", pipeline.execute)


def card_of(settings: Settings, register: Register) -> dict[str, str]:
    """What the store's data are made for."""
    labels = Scopes(register, settings.stream.scopes).labels()
    return {
        "schema": str(SCHEMA),
        "slot_minutes": str(settings.stream.slot_minutes),
        "time_zone": settings.stream.time_zone,
        "register": str(register.version),
        "partitions": str(register.partitions),
        "partition_size": str(register.partition_size),
        "labels": json.dumps(labels),
    }
