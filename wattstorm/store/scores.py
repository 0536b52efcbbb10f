"""Scores as readers find them: what is named of scopes, alarms, and where a partition's state is.

All of it is of single homes (`keys.Space.HOMES`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from wattstorm.errors import SnapshotError
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.keys import ALARMS, SCORES, SEGMENTS, partition_keys
from wattstorm.store.log import Log
from wattstorm.store.snapshots import Arrays, SnapshotDir

SCOPES: Final = "scopes"
"""Below the consumer: a hash, `scope_field` → JSON."""
_AT_ONCE: Final = 256


def scope_field(running: bool, scope: str, first: int) -> str:
    """first: place in the partition of the first meter of the part that it is of."""
    return f"{'running' if running else 'closed'}:{scope}:{first}"


class Alarms(NamedTuple):
    """The alarms that one commit raised. partition, position: where it stands."""

    partition: int
    position: int
    said: dict[str, Any]


class ScoreStore:
    """See the module."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix
        self.alarm_log = Log(connection, prefix, name=ALARMS)

    def scopes(
        self, partitions: Sequence[int], firsts: Sequence[int], scope: str, running: bool
    ) -> list[dict[str, Any]]:
        """What is said of a scope's parts, as far as anything is, in one round trip."""
        fields = [scope_field(running, scope, first) for first in firsts]
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            own = partition_keys(self.prefix, p, SEGMENTS, SCORES).own
            pipeline.hmget(f"{own}:{SCOPES}", fields)
        found = self.connection.run("read scores", pipeline.execute) if fields else []
        return [json.loads(text) for row in found for text in row if text is not None]

    def alarms(self, partitions: Sequence[int]) -> Iterator[Alarms]:
        """All that their log still holds, partition by partition, in order."""
        for p, head in zip(partitions, self.alarm_log.statuses(partitions), strict=True):
            for first in range(head.first, head.tail + 1, _AT_ONCE):
                last = min(head.tail, first + _AT_ONCE - 1)
                for entry in self.alarm_log.read(p, first, last):
                    yield Alarms(p, entry.position, json.loads(entry.data))

    def state(self, directory: Path, partition: int) -> tuple[Arrays, dict[str, Any]] | None:
        """The newest snapshot of a partition's scores in a state directory, of those that belong
        to this store; None if there is none."""
        fence = PartitionStore(
            self.connection, self.prefix, partition, log=SEGMENTS, consumer=SCORES
        ).fence()
        snapshots = SnapshotDir(directory, partition, fence.lineage, log=SEGMENTS, consumer=SCORES)
        for mark in reversed(snapshots.marks() if fence.lineage else []):
            try:
                if mark.position <= fence.position:
                    return snapshots.load(mark)
            except SnapshotError:  # it was removed meanwhile, or is damaged
                continue
        return None
