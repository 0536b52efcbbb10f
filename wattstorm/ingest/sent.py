"""What one source has put into the log, and what became of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from wattstorm.readers.accounts import Conservation
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.store.workers import heartbeats

LOOK_S = 0.05
RUNS_S = 1.0


@dataclass
class Sent:
    """sent, shed: readings; refused: rows by reason; marks: by partition that was sent to, its
    log's last position when all was in it."""

    connection: Connection
    prefix: str
    name: str
    sent: int
    blocks: int
    shed: int
    refused: Counter[str]
    marks: dict[int, int]
    _told: set[int] = field(default_factory=set)

    def engine_runs(self) -> bool:
        return any(beat["alive"] for beat in heartbeats(self.connection, self.prefix))

    @property
    def rows(self) -> int:
        return self.sent + self.shed + sum(self.refused.values())

    def account(self) -> Conservation:
        """So far, of this source's readings only; those in blocks refused whole are in none of
        its figures."""
        total: Counter[str] = Counter()
        for p in self.marks:
            total.update(self._partition(p).audit_producer(self.name))
        return Conservation.of(total, self.refused, self.shed)

    def wait(
        self, *, forever: bool, say: Callable[[str], None] = lambda message: None
    ) -> Conservation | None:
        """Until the sums have passed all that was sent; None if no engine is left to do it.

        By position, not by readings counted: those of a block that is refused never are.
        """
        looked = time.monotonic()
        while self._behind(say):
            if not forever and time.monotonic() - looked > RUNS_S:
                looked = time.monotonic()
                if not self.engine_runs():
                    return None
            time.sleep(LOOK_S)
        return self.account()

    def _behind(self, say: Callable[[str], None]) -> bool:
        """Whether any fence is below what was sent; one that stands still is told of, once."""
        behind = False
        tails = Log(self.connection, self.prefix).tails(list(self.marks))
        for (p, mark), tail in zip(self.marks.items(), tails, strict=True):
            fence = self._partition(p).fence()
            # Others' newest blocks may be lost with the store's tail: they are not waited for.
            if fence.position < min(mark, tail):
                behind = True
                if fence.fault and p not in self._told:
                    self._told.add(p)
                    say(f"partition {p} stands still: {fence.fault}")
        return behind

    def _partition(self, number: int) -> PartitionStore:
        return PartitionStore(self.connection, self.prefix, number)
