"""One store under one prefix, with all that wattstorm keeps in it: where a component begins.

    store = Store(connection, "wattstorm")
    store.log.tails(range(4)); store.partition(2).fence(); store.results.days()

Each part is made when it is first asked for, and talks over the same connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from wattstorm.store.commit import PartitionStore, fence_positions
from wattstorm.store.connection import Connection
from wattstorm.store.daycounters import DayCounters
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.intake import Intake
from wattstorm.store.keys import READINGS, SUMS
from wattstorm.store.lease import LeaseKey
from wattstorm.store.log import Log
from wattstorm.store.results import ResultStore
from wattstorm.store.workers import clear_beats, heartbeats


class Store:
    """See the module. Parts that have bounds have their defaults here."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    @cached_property
    def log(self) -> Log:
        """The log of readings."""
        return self.log_of(READINGS)

    def log_of(self, name: str) -> Log:
        return Log(self.connection, self.prefix, name=name)

    def partition(self, number: int, **which: Any) -> PartitionStore:
        """One partition's fence and sums; which: see `PartitionStore`."""
        return PartitionStore(self.connection, self.prefix, number, **which)

    def fences(
        self, partitions: Sequence[int], log: str = READINGS, consumer: str = SUMS
    ) -> dict[int, int]:
        """Partition → the position of a consumer's fence, in one round trip."""
        return fence_positions(self.connection, self.prefix, partitions, log, consumer)

    @cached_property
    def results(self) -> ResultStore:
        return ResultStore(self.connection, self.prefix)

    @cached_property
    def day_counters(self) -> DayCounters:
        return DayCounters(self.connection, self.prefix)

    @cached_property
    def dead(self) -> DeadLetters:
        """What the stream refused."""
        return DeadLetters(self.connection, self.prefix)

    @cached_property
    def intake(self) -> Intake:
        """What never came into the log."""
        return Intake(self.connection, self.prefix)

    def beats(self, topology: str | None = None) -> list[dict[str, Any]]:
        """The heartbeats of who runs the stream: see `wattstorm.store.workers`."""
        return heartbeats(self.connection, self.prefix, topology)

    def clear_beats(self, topology: str) -> None:
        clear_beats(self.connection, self.prefix, topology)

    def lease(self, topology: str) -> LeaseKey:
        return LeaseKey(self.connection, self.prefix, topology)
