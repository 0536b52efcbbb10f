"""How a task takes a partition: its fence, the newest usable snapshot, and the log up to the fence.

Nothing of this is committed again. What the fence has passed is in the sums; the
memory has to say the same, or doubles and corrections would be told wrong.

What cannot be restored or replayed does not lock the partition for ever:

- a snapshot that raises is refused, and an older one or the whole log is taken;
- an entry that raises *in the replay* was borne when it was committed, so its readings
  are in the sums. It cannot be passed like a poisoned one: the memory would not know
  them, and count them twice. The replay is tried `batch.attempts` times, each failure
  counted in the fence; then the partition goes on without memory, as where the log is
  gone: the slots summed so far are closed (`state_lost`), later ones go on. Errors of
  the installation are not counted: the partition stands still until they are mended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wattstorm.clock import Clock
from wattstorm.errors import FencedOff, LogGap, StoreError, of_installation
from wattstorm.store.commit import AS_LONG_AS_NEEDED, Fence, PartitionStore, give_birth
from wattstorm.store.deadletters import share_of
from wattstorm.store.log import Entry
from wattstorm.store.snapshots import Arrays, Mark, SnapshotDir
from wattstorm.stream.log import Log
from wattstorm.stream.saving import Owned, Saver
from wattstorm.stream.state import MakeState, Scalars, State

if TYPE_CHECKING:
    from logging import Logger
    from typing import Any

    from wattstorm.settings import Settings
    from wattstorm.store.connection import Connection

REPLAY_ENTRIES = 64


class Taking:
    """The part of a `Consumer` that takes partitions."""

    name: str
    hold: int
    partitions: int
    make_state: MakeState
    first: Callable[[], Mapping[str, str]]
    logger: Logger
    settings: Settings
    connection: Connection
    log_store: Log
    saver: Saver
    now: Clock
    state_directory: Path
    birth_us: int | None

    def take(self, partition: int) -> Owned:
        self.saver.collect(wait=True)  # no snapshot of an earlier time may appear after this
        if self.birth_us is None:
            self.birth_us = give_birth(self.connection, self.settings.store.prefix)
        store = self.store_of(partition)
        fence = store.acquire(self.birth_us, self.first())
        snapshots = self.snapshots_of(partition, fence.lineage)
        snapshots.sweep(fence.snapshots)
        restored, usable = self.restored(partition, snapshots, fence)
        state, replayed = self.brought_to(store, snapshots, restored, fence)
        if state is not restored:
            usable = []  # nothing leads from them to here
        own = Owned(
            store,
            fence.token,
            state,
            snapshots,
            usable,
            position=fence.position,
            trimmed_at=self.now(),
            tried_at=self.now(),
            trimmed=fence.trimmed,
            unsaved_bytes=replayed,
            cautious=fence.takes > 1 or fence.tries > 0,
        )
        if self.hold != AS_LONG_AS_NEEDED:
            self.pass_what_is_gone(own, fence.scalars)
        state.resume(fence.scalars)
        return own

    def store_of(self, partition: int) -> PartitionStore:
        return PartitionStore(
            self.connection,
            self.settings.store.prefix,
            partition,
            log=self.log_store.name,
            consumer=self.name,
            hold=self.hold,
            keep_dead=self.settings.dead_letters.keep,
            keep_dead_bytes=share_of(
                self.settings.dead_letters.keep_mb,
                self.partitions,
                self.connection.info.maxmemory,
            ),
        )

    def snapshots_of(self, partition: int, lineage: str) -> SnapshotDir:
        return SnapshotDir(
            self.state_directory,
            partition,
            lineage,
            log=self.log_store.name,
            consumer=self.name,
        )

    def restored(
        self, partition: int, snapshots: SnapshotDir, fence: Fence
    ) -> tuple[State, list[Mark]]:
        """The newest usable snapshot's state, or an empty one; and the snapshots up to it."""

        def restore(arrays: Arrays, header: dict[str, Any]) -> State:
            state = self.make_state(partition, fence.scalars)
            state.restore(arrays, header)
            return state

        known = [mark for mark in fence.snapshots if mark.position <= fence.position]
        found = snapshots.newest(known, restore)
        if found is None:
            return self.make_state(partition, fence.scalars), []
        state, newest = found
        return state, [mark for mark in snapshots.marks() if mark in known and mark <= newest]

    def brought_to(
        self, store: PartitionStore, snapshots: SnapshotDir, state: State, fence: Fence
    ) -> tuple[State, int]:
        """The state at the fence, and the bytes of the log that were replayed for it."""
        try:
            return state, self.replay(state, fence)
        except LogGap as gap:
            if self.log_store.first(state.number) <= state.position + 1:
                raise
            if snapshots.unreadable:  # mended, it may serve; closing slots is for good
                raise snapshots.unreadable[-1] from gap
            return self.without_memory(state.number, fence, f"the log is trimmed ({gap})"), 0
        except (StoreError, FencedOff):
            raise
        except Exception as error:
            if of_installation(error):
                raise
            failures = store.replay_failed(fence.token)
            if failures < self.settings.batch.attempts:
                raise
            why = f"the log could not be replayed for the {failures}th time ({error!r})"
            return self.without_memory(state.number, fence, why), 0

    def replay(self, state: State, fence: Fence) -> int:
        """Bring the state to the fence out of the log; how many bytes that took."""
        replayed, position = 0, state.position
        while position < fence.position:
            last = min(fence.position, position + REPLAY_ENTRIES)
            for entry in self.fetch(state.number, position + 1, last):
                if entry.position in fence.poisoned:
                    state.refuse(entry, "poison", "it was passed before")
                else:
                    state.apply(entry)
                replayed += len(entry.data)
            state.keep()
            position = last
        return replayed

    def pass_what_is_gone(self, own: Owned, scalars: Scalars) -> bool:
        """Who does not hold the log may find its next entries trimmed: say so, and go on; whether
        there were any."""
        position, lost = own.store.skip(own.token, own.position)
        if lost:
            self.logger.error(
                "%s of partition %d: the log was trimmed before it came there, %d entries up to "
                "%d are lost to it",
                self.name,
                own.number,
                lost,
                position,
            )
            own.position = position
            own.state.start_after(position, scalars)
        return lost > 0

    def without_memory(self, partition: int, fence: Fence, why: str) -> State:
        self.logger.error(
            "%s of partition %d: no snapshot fits and %s; it goes on without memory of what lies "
            "before position %d",
            self.name,
            partition,
            why,
            fence.position + 1,
        )
        state = self.make_state(partition, fence.scalars)
        state.start_after(fence.position, fence.scalars)
        return state

    def fetch(self, partition: int, first: int, last: int) -> list[Entry]:
        return self.log_store.read(partition, first, last)
