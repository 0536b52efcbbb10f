"""Snapshots of the partitions that a task holds, and the trimming of their logs behind them.

Between two batches what changed is copied, and written beside the stream: one partition at a
time, the one of which most would have to be read again, and never more than a tenth of the
time unless the log fills up. The log is trimmed behind the last
but one: the store knows that snapshot before it trims, and what it loses in a power
cut is the newest, so a log that is trimmed always has its snapshot known. But the
store may come back with the log *not yet* trimmed, and then needs the snapshot
behind which it was trimmed before. So that one stays, and no other trim is begun,
until the last one is on disk for sure. Four are kept at most.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from wattstorm.clock import Clock
from wattstorm.errors import FenceMoved, SnapshotError, StoreError
from wattstorm.setting_sections import Snapshot
from wattstorm.store import backlog
from wattstorm.store.commit import PartitionStore
from wattstorm.store.snapshots import Mark, SnapshotDir
from wattstorm.stream.log import Log
from wattstorm.stream.state import State

REST = 9.0
"""After a snapshot that took t seconds, the next one waits for REST * t."""
_log = logging.getLogger(__name__)


@dataclass
class Owned:
    """A partition that this task holds."""

    store: PartitionStore
    token: str
    state: State
    snapshots: SnapshotDir
    saved: list[Mark]
    """The usable snapshots, oldest first."""
    position: int
    """The fence: what the state reflects, and holes in the log behind it."""
    trimmed_at: float
    """When it was trimmed last, or the partition taken."""
    tried_at: float
    """When a snapshot was last begun, or the partition taken."""
    trimmed: int = 0
    """The position up to which this consumer needs nothing of the log."""
    unsaved_bytes: int = 0
    doubt: int | None = None
    """Last position of a batch whose commit was not answered."""
    forgotten: bool = False
    """The store did not take a snapshot: the partition is another's, or it went back."""
    cautious: bool = False
    """The next batch is run one block at a time: see `stream.consumer`."""

    @property
    def number(self) -> int:
        return self.state.number


@dataclass
class _Running:
    """A snapshot on its way to disk."""

    own: Owned
    mark: Mark
    begun: float
    gone: list[Mark]
    read: int
    future: Future[Path | None]


class Disk(Protocol):
    """The store's, as `store.disk.Disk` knows it."""

    def holds(self, when: float) -> bool:
        """Whether what the store had written at `when` is on it for sure."""


class Saver:
    """Saves the states of one task's partitions; `rules`: when; `consumer`: whose; `now`: the
    clock by which.

    backlog_mb: producers wait when four times this is not trimmed yet, over all partitions.
    A log is trimmed behind the last but one of its snapshots, so three times what is read
    between two saves of all partitions lies there. So whatever `snapshot.every_mb` says, half
    the backlog is enough for a snapshot; and where the log is half full all the same, they
    follow each other without a pause.

    tasks: what is read between two saves is divided by how many there are, not by partitions: a
    task whose readings all come from a few of its partitions, as when each in its turn sends its
    day, would else save one of them again and again while it fills.
    """

    def __init__(
        self,
        rules: Snapshot,
        tasks: int,
        log: Log,
        backlog_mb: int,
        consumer: str,
        disk: Disk,
        now: Clock,
    ) -> None:
        self.rules, self.log, self.consumer, self.disk, self.now = rules, log, consumer, disk, now
        self.share = min(rules.every_mb, backlog_mb / 2) * 1_000_000 / tasks
        self.full = backlog.UNTRIMMED * backlog_mb * 1_000_000
        self.pressed = False
        """Whether half of what may lie in the log untrimmed does, and this consumer's snapshots
        would help: where another one holds it, they would not."""
        self._pool = ThreadPoolExecutor(1, "snapshot")
        self._running: _Running | None = None
        self._begun_at = self.now()
        self._rest_until = 0.0

    def look(self, partitions: Collection[int]) -> None:
        """Ask how full the log is. partitions: those that the task holds."""
        self.pressed = self.log.kept() >= self.full / 2
        if self.pressed:
            kept, mine = self.log.held(list(partitions), self.consumer)
            self.pressed = 2 * mine >= kept

    def save_if_due(self, owned: Collection[Owned]) -> bool:
        """Begin a snapshot if enough was read, or enough time passed, since the last ones;
        whether one was begun."""
        self.collect()
        if self._running is not None:
            return False
        now = self.now()
        read = sum(own.unsaved_bytes for own in owned)
        hurry = self.pressed or read >= 2 * self.share
        if now < self._rest_until and not hurry:
            return False
        due = hurry or read >= self.share
        if not due and now - self._begun_at < self.rules.every_s:
            return False
        ready = [own for own in owned if unsaved(own) and own.doubt is None]
        if ready:
            self.begin(max(ready, key=lambda own: own.unsaved_bytes if due else -own.tried_at))
        return bool(ready)

    def begin(self, own: Owned) -> None:
        """Copy what changed of the state, and write it beside the stream."""
        if own.doubt is not None:
            return  # what the state reflects may not be in the store
        arrays, header = own.state.snapshot()
        changed, written = own.state.unsaved_rows(), own.snapshots.segments.last
        rows = {
            name: None if name in written and name not in changed else np.array(cells)
            for name, cells in arrays.items()
            if is_row(name)
        }
        others = {name: np.array(array) for name, array in arrays.items() if not is_row(name)}
        mark = Mark(own.state.position, secrets.token_hex(8))
        read, own.unsaved_bytes, own.tried_at = own.unsaved_bytes, 0, self.now()
        self._begun_at = own.tried_at
        gone = dispensable(own.saved, own.trimmed, self.disk.holds(own.trimmed_at))
        stay = [other for other in own.saved if other not in gone]
        future = self._pool.submit(
            own.snapshots.save,
            others,
            header,
            mark.nonce,
            rows=rows,
            remove=gone,
            confirm=lambda: own.store.confirm_snapshot(own.token, mark, stay),
        )
        self._running = _Running(own, mark, own.tried_at, gone, read, future)

    def collect(self, *, wait: bool = False) -> None:
        """Take note of a snapshot that is written by now."""
        running = self._running
        if running is None or not (wait or running.future.done()):
            return
        self._running, own, kept = None, running.own, False
        try:
            kept = running.future.result() is not None
            own.forgotten |= not kept
        except (SnapshotError, StoreError) as error:
            _log.error("no snapshot of partition %d: %s", own.number, error)
        finally:
            self._rest_until = self.now() + REST * (self.now() - running.begun)
            if not kept:
                own.unsaved_bytes += running.read
                own.snapshots.segments.forget()
        if kept:
            own.saved = [other for other in own.saved if other not in running.gone]
            own.saved.append(running.mark)

    def trim(self, own: Owned) -> None:
        """Remove the log behind the next snapshot, once the last trim is on disk for sure.

        A newer one must lie beside it, in case one is damaged. But a log that is full takes
        nothing more, so there would never be a newer one: then the last one serves.
        """
        self.collect()
        if own.forgotten:
            raise FenceMoved(own.number, own.state.position, own.store.fence().position)
        ahead = [mark for mark in own.saved if mark.position > own.trimmed]
        if not ahead or not self.disk.holds(own.trimmed_at):
            return
        lone = not unsaved(own) and (len(own.saved) == 1 or self.pressed)
        if len(ahead) > 1 or lone:
            base = ahead[0]
            self.log.trim(own.number, base.position, own.token, base.nonce, consumer=self.consumer)
            own.trimmed, own.trimmed_at = base.position, self.now()

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


def is_row(name: str) -> bool:
    """Whether an array of a state is the cells of one slot."""
    return name.rpartition("/")[2].startswith("cells.")
