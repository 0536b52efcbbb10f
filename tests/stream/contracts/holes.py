"""A log that is not the store's: in memory, and every other position is a hole.

As of a log whose positions are offsets, of which its transactions use up some. Fences and
snapshots of its consumers stand in the store all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattstorm.errors import FencedOff, FenceMoved, LogGap
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Entry


class LogWithHoles:
    """One partition; entries at 1, 3, 5 … and nothing at 2, 4, 6 …"""

    name = "holed"

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix
        self.entries: list[Entry] = []
        self._first, self._tail = 1, 0
        self._saved: dict[str, int] = {}

    def append(self, data: bytes, kind: str = "") -> int:
        position = self._tail + 1
        self._tail += 2
        self.entries.append(Entry(position, data, 1_700_000_000_000 + position, b"", kind))
        return position

    def tails(self, partitions: Sequence[int]) -> list[int]:
        return [self._tail]

    def first(self, partition: int) -> int:
        return self._first

    def read(self, partition: int, first: int, last: int) -> list[Entry]:
        if first < self._first or last > self._tail:
            raise LogGap(f"{first} to {last} were asked, {self._first} to {self._tail} are")
        return [entry for entry in self.entries if first <= entry.position <= last]

    def trim(
        self, partition: int, position: int, token: str, nonce: str = "", *, consumer: str
    ) -> int:
        store = PartitionStore(
            self.connection, self.prefix, partition, log=self.name, consumer=consumer
        )
        fence, redis = store.fence(), self.connection.redis
        if fence.token != token:
            raise FencedOff(partition, token, fence.token)
        known = not nonce or redis.zscore(store.keys.snapshots, nonce) is not None
        if position > fence.position or not known:
            raise FenceMoved(partition, position, fence.position)
        self._saved[consumer] = max(position, self._saved.get(consumer, 0))
        self._first = max(self._first, position + 1)
        self.entries = [entry for entry in self.entries if entry.position > position]
        return self._first

    def kept(self) -> int:
        return sum(len(entry.data) for entry in self.entries)

    def held(self, partitions: Sequence[int], consumer: str) -> tuple[int, int]:
        saved = self._saved.get(consumer, 0)
        mine = (len(entry.data) for entry in self.entries if entry.position > saved)
        return self.kept(), sum(mine)
