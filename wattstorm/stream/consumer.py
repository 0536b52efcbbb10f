"""A consumer is (log, name, state): the transactional contract, once, for all of them.

    own       take the partition: newest snapshot that the store knows, then the
              log up to the fence, without adding anything twice
    fetch     the entries after the fence, up to the batch's last
    try       only where one failed before: count, in the store, that it is tried
    apply     to memory, tentatively
    commit    fence, sums and counters in one script, or nothing
    keep      what was tentative stands
    announce  tell who is downstream
    save      a snapshot, now and then; trim the log behind the last but one

A batch at or below the fence is acknowledged and ignored; one that begins past
fence + 1 fails back to who gave it. A lost answer leaves the partition in doubt:
before anything else is done with it, the fence is asked. Each step is a method
so that tests can end the process between any two.

A batch that always raises, or kills its process, must not stop its partition.
The fence counts how often the partition was taken since it last moved: from the
second time on the next batch goes one block at a time, each counted before it
is applied. A block begun `batch.attempts` times without a commit goes to the
dead letters as it is (`poison`), and the fence passes it.

An error of the installation (`errors.of_installation`: a register that cannot be
used, no memory, an unreadable file) is nobody's poison: no try is counted for it.
The partition stands still and says why, here and in its fence, and is taken again
and again until that is mended. Nothing else stops.

Blocks that only stand near are safe. Counted is only the block that is applied
at that moment, alone, and its commit clears the count; so a death that comes
from outside costs an innocent block one try if it hits that very moment, and
`attempts` of them in a row would have to hit the same one. Tries that the store
cut short are one try, as long as their task lives.

Nothing here knows who gives the batches: a bolt of Storm (`bolts.minibatch`), or a process of
its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from wattstorm.clock import Clock, monotonic
from wattstorm.errors import (
    FencedOff,
    FenceMoved,
    LogGap,
    StoreError,
    StoreUnreachable,
)
from wattstorm.instruments import Instruments
from wattstorm.settings import Settings
from wattstorm.store.commit import AS_LONG_AS_NEEDED
from wattstorm.store.connection import Connection
from wattstorm.store.disk import Disk as StoreDisk
from wattstorm.store.log import Entry
from wattstorm.store.writes import Writes
from wattstorm.stream.failing import Failing
from wattstorm.stream.log import Log
from wattstorm.stream.saving import Disk, Owned, Saver
from wattstorm.stream.state import MakeState
from wattstorm.stream.taking import Taking


class Consumer(Failing, Taking):
    """See the module. One for each task, with the partitions that it holds.

    log, name: together they name fence, snapshots and all keys; partitions: how many the log has,
    which share bounds; tasks: how many hold them together; hold: how long the log is kept for it
    (`AS_LONG_AS_NEEDED`, or bytes); first: what the fence of a partition gets that nobody had
    before; announce: called with (partition, position) after each commit; failed: with what a
    batch raised that is no matter of the store; let_through: what is not the consumer's to catch;
    now, disk: so that a test can turn the clock, and say what the store's disk holds.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        make_state: MakeState,
        *,
        settings: Settings,
        connection: Connection,
        partitions: int,
        tasks: int = 1,
        hold: int = AS_LONG_AS_NEEDED,
        first: Callable[[], Mapping[str, str]] = dict,
        announce: Callable[[int, int], None] = lambda partition, position: None,
        failed: Callable[[Exception], None] = lambda error: None,
        logger: logging.Logger | None = None,
        instruments: Instruments | None = None,
        now: Clock = monotonic,
        disk: Disk | None = None,
    ) -> None:
        self.name, self.make_state, self.partitions = name, make_state, partitions
        self.hold = hold
        self.settings, self.connection = settings, connection
        self.logger = logger or logging.getLogger(__name__)
        self.instruments = instruments or Instruments()
        self.batch = ""
        self.first, self.tell, self.failed = first, announce, failed
        self.log_store, self.now = log, now
        self.state_directory = Path(settings.data.directory) / "state"
        self.saver = Saver(
            settings.snapshot,
            min(tasks, partitions),
            self.log_store,
            settings.log.backlog_mb,
            name,
            disk or StoreDisk(connection),
            now,
        )
        self.owned: dict[int, Owned] = {}
        self.birth_us: int | None = None
        self.down = False

    # --- the contract -----------------------------------------------------------

    def process(self, partition: int, first: int, last: int) -> bool:
        """Take the entries first … last of a partition; True if all of them are passed now,
        False if they are to come again."""
        self.batch = f" [batch {partition}:{first}:{last}]"
        try:
            return self.guarded(partition, lambda: self.run_batch(partition, first, last))
        finally:
            self.batch = ""

    def follow(self, partition: int) -> bool:
        """Without anybody who gives batches: take what the log holds beyond the fence now."""

        def work() -> bool:
            tail, own = self.log_store.tails([partition])[0], self.own(partition)
            if own.position >= tail:
                self.still_there(own)
            while own.position < tail:
                last = min(tail, own.position + self.settings.batch.max_blocks)
                self.run_batch(partition, own.position + 1, last)
            return True

        return self.guarded(partition, work)

    def run_batch(self, partition: int, first: int, last: int) -> bool:
        """True if all of the batch is passed now."""
        own = self.own(partition)
        if last <= own.position:
            self.still_there(own)
            return True
        if first > own.position + 1:
            self.still_ours(own)
            return False
        while own.position < last:
            self.run_range(own, own.position + 1 if own.cautious else last)
        own.cautious = False
        return True

    def run_range(self, own: Owned, last: int) -> None:
        """The entries after the fence, up to `last`, in one commit."""
        measure = self.instruments
        try:
            with measure.timed("fetch"):
                entries = self.fetch(own.number, own.position + 1, last)
        except LogGap:
            # Who begins finds what there is: nothing was kept for it.
            held = self.hold == AS_LONG_AS_NEEDED and own.position > 0
            if held or not self.pass_what_is_gone(own, {}):
                raise
            return
        poison = self.begin_try(own, last) if own.cautious and entries else ""
        try:
            with measure.timed("apply"):
                writes = (
                    self.poison(own, entries[0], poison) if poison else self.apply(own, entries)
                )
            own.doubt = last
            with measure.timed("commit"):
                self.commit(own, last, entries, writes, last if poison else 0)
        except StoreUnreachable:
            raise  # in doubt: the fence is asked before anything else
        except BaseException:
            own.doubt = None
            own.state.undo()
            raise
        self.keep(own)
        taken = sum(len(entry.data) for entry in entries)
        own.unsaved_bytes += taken
        measure.count("commits")
        measure.count("blocks", len(entries))
        measure.count("bytes", taken)
        # By this machine's clock and the store's: as good as they agree.
        for entry in entries[:1]:
            measure.took("delay", max(0.0, time.time() - entry.arrived_ms / 1e3))
        self.announce(own)

    def begin_try(self, own: Owned, position: int) -> str:
        """Count that the block is tried; why it is not to be, if so."""
        may, tries = own.store.try_block(own.token, position, self.settings.batch.attempts)
        if may:
            return ""
        self.logger.error(
            "partition %d: block %d failed its task %d times and goes to the dead letters",
            own.number,
            position,
            tries,
        )
        return f"tried {tries} times, each time its task failed or died before the commit"

    def apply(self, own: Owned, entries: list[Entry]) -> Writes:
        """Apply entries to `own.state`, tentatively; what that changes."""
        for entry in entries:
            own.state.apply(entry)
        return own.state.writes()

    def poison(self, own: Owned, entry: Entry, what: str) -> Writes:
        """Pass an entry without applying it; what that changes."""
        own.state.refuse(entry, "poison", what)
        return own.state.writes()

    def commit(
        self, own: Owned, last: int, entries: list[Entry], writes: Writes, poisoned: int
    ) -> None:
        """Move the fence to `last` and write what changed, atomically. entries: those read; none
        need stand at `last`, and where none does nothing can prove that they stand there still."""
        own.store.commit(
            own.token,
            own.position,
            last,
            writes,
            committed_bytes=sum(len(entry.data) for entry in entries),
            poisoned=poisoned,
            chain=(entries[-1].chain if entries and entries[-1].position == last else b"") or None,
        )

    def keep(self, own: Owned) -> None:
        """The commit is known: what was tentative stands."""
        if own.doubt is not None:
            own.position, own.doubt = own.doubt, None
        own.state.keep()

    def announce(self, own: Owned) -> None:
        """Say that the partition's fence moved."""
        self.tell(own.number, own.position)

    # --- taking a partition -------------------------------------------------------

    def own(self, partition: int) -> Owned:
        """The partition, taken and brought up to the fence if it was not ours yet."""
        own = self.owned.get(partition)
        if own is None:
            own = self.owned[partition] = self.take(partition)
        if own.doubt is not None:
            self.ask_the_fence(own)
        return own

    # --- doubt ----------------------------------------------------------------------

    def ask_the_fence(self, own: Owned) -> None:
        """A commit was not answered: was it carried out?"""
        if self.still_ours(own) == own.doubt:
            self.keep(own)
            self.announce(own)
        else:
            own.state.undo()
            own.token = own.store.renew(own.token)
        own.doubt = None

    def still_ours(self, own: Owned) -> int:
        """Where the fence stands. FencedOff or FenceMoved if that is neither where memory left it,
        nor where a commit in doubt would have: another took the partition, or another store, or a
        backup, stands in this one's place."""
        found = own.store.fence()
        if found.token != own.token:
            raise FencedOff(own.number, own.token, found.token)
        if found.position not in (own.position, own.doubt):
            raise FenceMoved(own.number, own.position, found.position)
        return found.position

    def still_there(self, own: Owned) -> None:
        """FenceMoved if the store went back meanwhile: the sums have not what memory has."""
        found = own.store.fence().position
        if found < own.position:
            raise FenceMoved(own.number, own.position, found)

    # --- snapshots --------------------------------------------------------------------

    def save_if_due(self, partition: int) -> None:
        """After a batch of this partition: save the one of which most would be read again."""
        self.guarded(partition, lambda: self.saver.save_if_due(self.owned.values()))

    def tick(self) -> None:
        """Now and then, with batches or without: save what is due, trim what is saved."""
        with suppress(StoreError):  # the partitions say so
            self.saver.look(self.owned)
        self.measure_state()
        for own in list(self.owned.values()):
            self.guarded(own.number, lambda own=own: self.look_after(own))  # type: ignore[misc]

    def measure_state(self) -> None:
        """How much would have to be read again, and how old what is saved of it."""
        now, own = self.now(), self.owned.values()
        waits = [o.tried_at for o in own if o.unsaved_bytes]
        self.instruments.level("partitions", len(own))
        self.instruments.level("unsaved_mb", round(sum(o.unsaved_bytes for o in own) / 1e6, 3))
        self.instruments.level("snapshot_age_s", round(now - min(waits, default=now), 1))

    def look_after(self, own: Owned) -> bool:
        self.saver.trim(own)
        return self.saver.save_if_due(self.owned.values())

    def stop(self) -> None:
        """A clean stop: the next start has nothing to replay."""
        self.saver.finish(list(self.owned.values()))
