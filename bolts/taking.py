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

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bolts.saving import Owned, Saver
from wattstorm.errors import BlockError, FencedOff, LogGap, StoreError, of_installation
from wattstorm.metering import block as blocks
from wattstorm.metering.partition import Partition, Rules
from wattstorm.store.commit import Fence, PartitionStore, give_birth
from wattstorm.store.deadletters import share_of
from wattstorm.store.log import Entry, Log
from wattstorm.store.snapshots import Arrays, Mark, SnapshotDir

if TYPE_CHECKING:
    from logging import Logger

    from wattstorm.register.register import Register
    from wattstorm.settings import Settings
    from wattstorm.store.connection import Connection

REPLAY_ENTRIES = 64


class Taking:
    """The part of a `MinibatchBolt` that takes partitions."""

    logger: Logger
    settings: Settings
    register: Register
    rules: Rules
    connection: Connection
    log_store: Log
    saver: Saver
    state_directory: Path
    birth_us: int | None

    def take(self, partition: int) -> Owned:
        self.saver.collect(wait=True)  # no snapshot of an earlier time may appear after this
        if self.birth_us is None:
            self.birth_us = give_birth(self.connection, self.settings.store.prefix)
        store = self.store_of(partition)
        fence = store.acquire(self.birth_us)
        snapshots = self.snapshots_of(partition, fence.lineage)
        snapshots.sweep(fence.snapshots)
        restored, usable = self.restored(partition, snapshots, fence)
        state, replayed = self.brought_to(store, snapshots, restored, fence)
        if state is not restored:
            usable = []  # nothing leads from them to here
        state.closed = store.lows()
        return Owned(
            store,
            fence.token,
            state,
            snapshots,
            usable,
            trimmed=self.log_store.status(partition).first - 1,
            unsaved_bytes=replayed,
            cautious=fence.takes > 1 or fence.tries > 0,
        )

    def store_of(self, partition: int) -> PartitionStore:
        return PartitionStore(
            self.connection,
            self.settings.store.prefix,
            partition,
            keep_dead=self.settings.dead_letters.keep,
            keep_dead_bytes=share_of(
                self.settings.dead_letters.keep_mb,
                self.register.partitions,
                self.connection.info.maxmemory,
            ),
            expire_days=self.settings.results.expire_days,
        )

    def snapshots_of(self, partition: int, lineage: str) -> SnapshotDir:
        return SnapshotDir(self.state_directory, partition, lineage)

    def restored(
        self, partition: int, snapshots: SnapshotDir, fence: Fence
    ) -> tuple[Partition, list[Mark]]:
        """The newest usable snapshot's state, or an empty one; and the snapshots up to it."""

        def restore(arrays: Arrays, header: dict[str, Any]) -> Partition:
            return Partition.restore(partition, self.register, self.rules, arrays, header)

        known = [mark for mark in fence.snapshots if mark.position <= fence.position]
        found = snapshots.newest(known, restore)
        if found is None:
            return Partition(partition, self.register, self.rules), []
        state, newest = found
        return state, [mark for mark in snapshots.marks() if mark in known and mark <= newest]

    def brought_to(
        self, store: PartitionStore, snapshots: SnapshotDir, state: Partition, fence: Fence
    ) -> tuple[Partition, int]:
        """The state at the fence, and the bytes of the log that were replayed for it."""
        try:
            return state, self.replay(state, fence)
        except LogGap as gap:
            if self.log_store.status(state.number).first <= state.position + 1:
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

    def replay(self, state: Partition, fence: Fence) -> int:
        """Bring the state to the fence out of the log; how many bytes that took."""
        replayed = 0
        while state.position < fence.position:
            last = min(fence.position, state.position + REPLAY_ENTRIES)
            for entry in self.fetch(state.number, state.position + 1, last):
                if entry.position in fence.poisoned:
                    state.refuse(entry.position)
                else:
                    apply_entry(state, entry)
                replayed += len(entry.data)
            state.keep()
        return replayed

    def without_memory(self, partition: int, fence: Fence, why: str) -> Partition:
        self.logger.error(
            "partition %d: no snapshot fits and %s; slots up to %d are "
            "closed, their late readings go to the dead letters as state_lost",
            partition,
            why,
            fence.highest,
        )
        state = Partition(partition, self.register, self.rules)
        state.start_after(fence.position, fence.highest)
        return state

    def fetch(self, partition: int, first: int, last: int) -> list[Entry]:
        return self.log_store.read(partition, first, last)


def apply_entry(state: Partition, entry: Entry) -> Any:
    """Apply one entry of the log: what became of its readings, or the BlockError that it is."""
    try:
        block = blocks.decode(entry.data)
    except BlockError as error:
        state.refuse(entry.position)
        return error
    return block, state.apply(block, entry.position, entry.arrived_ms)
