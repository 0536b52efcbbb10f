"""Snapshots of the partitions that a task holds, and the trimming of their logs behind them.

A snapshot is copied between two batches and written beside the stream, one at a
time, and never more than a tenth of the time. Two are kept: after a power cut
the store may come back with a fence below the newer one. So the log is trimmed
up to the older only, and only once the fence that it reflects is on disk for sure.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattstorm.errors import FencedOff, SnapshotError, StoreError
from wattstorm.metering.partition import Partition
from wattstorm.setting_sections import Snapshot
from wattstorm.store.commit import PartitionStore
from wattstorm.store.log import Log
from wattstorm.store.snapshots import SnapshotDir

DURABLE_S = 5.0
"""A fence this old is on disk for sure: the AOF is synced every second."""
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
    saved: list[tuple[int, float]]
    """(position, when) of the usable snapshots, oldest first, two at most."""
    unsaved_bytes: int = 0
    tried_at: float = field(default_factory=time.monotonic)
    """When a snapshot was last begun, or the partition taken."""
    trimmed: int = 0
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
        self._running: tuple[Owned, int, float, Future[Any]] | None = None
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
        position = own.state.position
        own.unsaved_bytes, own.tried_at = 0, time.monotonic()
        future = self._pool.submit(
            own.snapshots.save, copies, header, confirm=lambda: still_reflected(own, position)
        )
        self._running = own, position, own.tried_at, future

    def collect(self, *, wait: bool = False) -> None:
        """Take note of a snapshot that is written by now."""
        if self._running is None or not (wait or self._running[3].done()):
            return
        own, position, begun, future = self._running
        self._running = None
        try:
            kept = future.result() is not None
        except (SnapshotError, StoreError) as error:
            _log.error("no snapshot of partition %d: %s", own.number, error)
        else:
            if kept:
                own.saved = [*own.saved, (position, begun)][-2:]
        self._rest_until = time.monotonic() + REST * (time.monotonic() - begun)

    def trim(self, own: Owned) -> None:
        """Remove the log behind the older snapshot, once its fence is on disk for sure.

        A lone one serves when it reflects all there is: a log that is full takes nothing more,
        so there would never be a second one.
        """
        self.collect()
        if not own.saved or (len(own.saved) < 2 and unsaved(own)):
            return
        position, when = own.saved[0]
        if position > own.trimmed and time.monotonic() - when >= DURABLE_S:
            self.log.trim(own.number, position, own.token)
            own.trimmed = position

    def finish(self, owned: list[Owned]) -> None:
        """At a clean stop: save what is not saved, so that the next start replays nothing."""
        self.collect(wait=True)
        for own in owned:
            if unsaved(own):
                self.begin(own)
                self.collect(wait=True)


def unsaved(own: Owned) -> bool:
    return own.state.position > (own.saved[-1][0] if own.saved else 0)


def still_reflected(own: Owned, position: int) -> bool:
    """Whether the partition is still this task's, and the store did not go back below `position`.

    Asked before a snapshot gets its name: content that the store lost must not come back.
    """
    try:
        fence = own.store.fence()
    except FencedOff:
        return False
    return fence.token == own.token and fence.position >= position
