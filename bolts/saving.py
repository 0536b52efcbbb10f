"""Snapshots of the partitions that a task holds, and the trimming of their logs behind them.

A snapshot is copied between two batches and written beside the stream, one at a
time, and never more than a tenth of the time. The log is trimmed behind the last
but one: the store knows that snapshot before it trims, and what it loses in a power
cut is the newest, so a log that is trimmed always has its snapshot known. But the
store may come back with the log *not yet* trimmed, and then needs the snapshot
behind which it was trimmed before. So that one stays, and no other trim is begun,
until the last one is on disk for sure. Four are kept at most.
"""

from __future__ import annotations

import logging
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattstorm.errors import SnapshotError, StoreError
from wattstorm.metering.partition import Partition
from wattstorm.setting_sections import Snapshot
from wattstorm.store.commit import PartitionStore
from wattstorm.store.log import Log
from wattstorm.store.snapshots import Mark, SnapshotDir

DURABLE_S = 5.0
"""What the store did so long ago is on its disk for sure: the AOF is synced every second."""
REST = 9.0
"""After a snapshot that took t seconds, the next one waits for REST * t."""
_log = logging.getLogger(__name__)


@dataclass
class Owned:
    """A partition that this task holds."""

    store: PartitionStore
    token: str
    state: Partition
    snapshots: SnapshotDir
    saved: list[Mark]
    """The usable snapshots, oldest first."""
    trimmed: int = 0
    """The position up to which the log is trimmed."""
    trimmed_at: float = field(default_factory=time.monotonic)
    """When it was trimmed last, or the partition taken."""
    unsaved_bytes: int = 0
    tried_at: float = field(default_factory=time.monotonic)
    """When a snapshot was last begun, or the partition taken."""
    doubt: int | None = None
    """Last position of a batch whose commit was not answered."""
    cautious: bool = False
    """The next batch is run one block at a time: see `bolts.minibatch`."""

    @property
    def number(self) -> int:
        return self.state.number


class Saver:
    """Saves the states of one task's partitions; `rules`: when.

    backlog_mb: a producer waits when four times its share of this is not trimmed yet.
    Trimming needs two snapshots, and one that is begun only when everything is read has
    no second one behind it. So whatever `snapshot.every_mb` says, half a share is enough
    for a snapshot, and at a whole one it does not wait for its turn: with a batch (one
    share at most) on top, two come before the four are full.
    """

    def __init__(self, rules: Snapshot, partitions: int, log: Log, backlog_mb: int) -> None:
        self.rules, self.log = rules, log
        self.share = min(rules.every_mb, backlog_mb / 2) * 1_000_000 / max(1, partitions)
        self.most = backlog_mb * 1_000_000 / max(1, partitions)
        self._pool = ThreadPoolExecutor(1, "snapshot")
        self._running: tuple[Owned, Mark, float, list[Mark], Future[Any]] | None = None
        self._rest_until = 0.0

    def save_if_due(self, own: Owned) -> None:
        """Begin a snapshot if enough was read, or enough time passed, since the last one."""
        urgent = own.unsaved_bytes >= self.most
        self.collect(wait=urgent)
        now = time.monotonic()
        if not urgent and (self._running is not None or now < self._rest_until):
            return
        old = now - own.tried_at >= self.rules.every_s and unsaved(own)
        if own.unsaved_bytes >= self.share or old:
            self.begin(own)

    def begin(self, own: Owned) -> None:
        """Copy the state, and write the copy beside the stream."""
        if own.doubt is not None:
            return  # what the state reflects may not be in the store
        arrays, header = own.state.snapshot()
        copies = {name: np.array(array) for name, array in arrays.items()}
        mark = Mark(own.state.position, secrets.token_hex(8))
        own.unsaved_bytes, own.tried_at = 0, time.monotonic()
        durable = own.tried_at - own.trimmed_at >= DURABLE_S
        gone = dispensable(own.saved, own.trimmed, durable)
        stay = [other for other in own.saved if other not in gone]
        future = self._pool.submit(
            own.snapshots.save, copies, header, mark.nonce, remove=gone,
            confirm=lambda: own.store.confirm_snapshot(own.token, mark, stay),
        )  # fmt: skip
        self._running = own, mark, own.tried_at, gone, future

    def collect(self, *, wait: bool = False) -> None:
        """Take note of a snapshot that is written by now."""
        if self._running is None or not (wait or self._running[-1].done()):
            return
        own, mark, begun, gone, future = self._running
        self._running = None
        try:
            kept = future.result() is not None
        except (SnapshotError, StoreError) as error:
            _log.error("no snapshot of partition %d: %s", own.number, error)
        else:
            if kept:
                own.saved = [other for other in own.saved if other not in gone] + [mark]
        self._rest_until = time.monotonic() + REST * (time.monotonic() - begun)

    def trim(self, own: Owned) -> None:
        """Remove the log behind the next snapshot, once the last trim is on disk for sure.

        A newer one must lie beside it, in case one is damaged. But a log that is full takes
        nothing more, so there would never be a newer one: then the last one serves.
        """
        self.collect()
        ahead = [mark for mark in own.saved if mark.position > own.trimmed]
        if not ahead or time.monotonic() - own.trimmed_at < DURABLE_S:
            return
        if len(ahead) > 1 or (not unsaved(own) and self._must_serve(own)):
            self.log.trim(own.number, ahead[0].position, own.token)
            own.trimmed, own.trimmed_at = ahead[0].position, time.monotonic()

    def _must_serve(self, own: Owned) -> bool:
        if len(own.saved) == 1:
            return True
        head = self.log.status(own.number)
        return head.appended - head.trimmed > 2 * self.most

    def finish(self, owned: list[Owned]) -> None:
        """At a clean stop: save what is not saved, so that the next start replays nothing."""
        self.collect(wait=True)
        for own in owned:
            if unsaved(own):
                self.begin(own)
                self.collect(wait=True)


def dispensable(saved: list[Mark], trimmed: int, durable: bool) -> list[Mark]:
    """Which of the snapshots, ascending, nothing needs beside a newer one.

    durable: whether the last trim, up to `trimmed`, is on the store's disk; if not, the
    store may come back as it was before, and needs what was its base then.

    >>> marks = [Mark(position, "") for position in (2, 3, 5, 7, 9)]
    >>> [mark.position for mark in dispensable(marks, 3, durable=True)]
    [2, 5, 7]
    >>> [mark.position for mark in dispensable(marks, 3, durable=False)]
    [5, 7]
    """
    behind = [mark for mark in saved if mark.position <= trimmed]
    ahead = saved[len(behind) :]
    return behind[: -1 if durable else -2] + ahead[:-1]


def unsaved(own: Owned) -> bool:
    return own.state.position > (own.saved[-1].position if own.saved else 0)
