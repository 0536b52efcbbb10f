"""The transactional contract of every bolt that holds a partition's state, once.

    own       take the partition: newest snapshot that the store knows, then the
              log up to the fence, without adding anything twice
    fetch     the entries after the fence, up to the batch's last
    try       only where one failed before: count, in the store, that it is tried
    apply     to memory, tentatively
    commit    fence, sums and counters in one script, or nothing
    keep      what was tentative stands
    announce  tell who is downstream
    snapshot  now and then; trim the log behind the last but one

A batch at or below the fence is acknowledged and ignored; one that begins past
fence + 1 fails back to the spout. A lost answer leaves the partition in doubt:
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
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pystorm.exceptions import StormWentAwayError
from streamparse import Bolt

from bolts.saving import Owned, Saver
from bolts.taking import Taking
from wattstorm.errors import (
    FencedOff,
    FenceMoved,
    LogGap,
    StoreError,
    StoreUnreachable,
    WattstormError,
    of_installation,
    remedy_of,
)
from wattstorm.metering.partition import Rules
from wattstorm.metering.warm import warm_up
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.shipped import check_code
from wattstorm.store.connection import connected
from wattstorm.store.log import Entry, Log
from wattstorm.store.workers import Presence
from wattstorm.tuples import BatchRef, CheckedEmits, task_index


class MinibatchBolt(Taking, CheckedEmits, Bolt):
    """See the module. Subclasses say what a batch does, in `apply` and `commit`."""

    auto_ack = False
    auto_fail = True

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        check_code(conf)
        self.settings = Settings.from_conf(conf["wattstorm"])
        directory = Path(self.settings.data.directory)
        self.register = Register.open(directory / "register")
        self.rules = Rules.from_settings(self.settings)
        self.connection = connected(self.settings, conf["wattstorm.store_url"])
        self.log_store = Log(self.connection, self.settings.store.prefix)
        index, tasks = task_index(context)
        self.presence = Presence(
            self.connection, self.settings.store.prefix, conf, self.component_name, index
        )
        self.state_directory = directory / "state"
        self.saver = Saver(
            self.settings.snapshot,
            min(tasks, self.register.partitions),
            self.log_store,
            self.settings.log.backlog_mb,
        )
        self.owned: dict[int, Owned] = {}
        self.birth_us: int | None = None
        self.down = False
        warm_up()

    # --- the contract -----------------------------------------------------------

    def process(self, tup: Any) -> None:
        batch = BatchRef(*tup.values)
        done = self.guarded(batch.partition, lambda: self.run_batch(batch), tup)
        (self.ack if done else self.fail)(tup)
        if done:
            self.guarded(batch.partition, lambda: self.saver.save_if_due(self.owned.values()))

    def guarded(
        self, partition: int, work: Callable[[], bool | None], tup: Any = None
    ) -> bool | None:
        """`work()`; None if it failed. Nothing tentative stays then."""
        try:
            done = work()
        except (FencedOff, FenceMoved, LogGap) as error:
            self.logger.warning("partition %d is dropped: %s", partition, error)
            self.owned.pop(partition, None)
            return None
        except StoreError as error:
            if not self.down:
                self.logger.error("partition %d waits: %s", partition, error)
            self.down = True
            own = self.owned.get(partition)
            if own is not None and own.doubt is None:
                own.state.undo()
            return None
        except StormWentAwayError:
            raise
        except Exception as error:
            # The process may serve other partitions; this one is taken again, and counted.
            own = self.owned.pop(partition, None)
            if of_installation(error):
                self.stand_still(partition, own, error)
            else:
                self.logger.exception("partition %d is dropped: %s", partition, error)
            self.raise_exception(error, tup)  # its "sync" is no more than a sign of life to a bolt
            return None
        self.down = False
        return done

    def stand_still(self, partition: int, own: Owned | None, error: Exception) -> None:
        """Say what stops the partition, where it is looked for; no block is to blame."""
        what = (
            error.what if isinstance(error, WattstormError) else f"{type(error).__name__}: {error}"
        )
        why = f"{what}; {remedy_of(error)}"
        self.logger.error("partition %d stands still: %s", partition, why, exc_info=error)
        with suppress(StoreError):  # then it is said at the next attempt
            self.store_of(partition).stand_still(own.token if own else "", why)

    def run_batch(self, batch: BatchRef) -> bool:
        """True if all of the batch is in the sums now."""
        own = self.own(batch.partition)
        if batch.last <= own.state.position:
            self.still_there(own)
            return True
        if batch.first > own.state.position + 1:
            return False
        while own.state.position < batch.last:
            self.run_range(own, own.state.position + 1 if own.cautious else batch.last)
        own.cautious = False
        return True

    def run_range(self, own: Owned, last: int) -> None:
        """The entries after the fence, up to `last`, in one commit."""
        fence = own.state.position
        entries = self.fetch(own.number, fence + 1, last)
        poison = self.begin_try(own, last) if own.cautious else ""
        try:
            commit = self.poison(own, entries[0], poison) if poison else self.apply(own, entries)
            own.doubt = last
            self.commit(own, fence, entries, commit)
        except StoreUnreachable:
            raise  # in doubt: the fence is asked before anything else
        except BaseException:
            own.doubt = None
            own.state.undo()
            raise
        self.keep(own)
        own.unsaved_bytes += sum(len(entry.data) for entry in entries)
        self.announce(own)

    def begin_try(self, own: Owned, position: int) -> str:
        """Count that the block is tried; why it is not to be, if so."""
        may, tries = own.store.try_block(own.token, position, self.settings.batch.attempts)
        if may:
            return ""
        self.logger.error(
            "partition %d: block %d failed its bolt %d times and goes to the dead letters",
            own.number,
            position,
            tries,
        )
        return f"tried {tries} times, each time its bolt failed or died before the commit"

    def keep(self, own: Owned) -> None:
        """The commit is known: what was tentative stands."""
        own.doubt = None
        own.state.keep()

    def apply(self, own: Owned, entries: list[Entry]) -> Any:
        """Apply entries to `own.state`, tentatively; what `commit` needs."""
        raise NotImplementedError

    def poison(self, own: Owned, entry: Entry, what: str) -> Any:
        """Pass an entry without applying it; what `commit` needs to set it aside."""
        raise NotImplementedError

    def commit(self, own: Owned, fence: int, entries: list[Entry], commit: Any) -> None:
        """Move the fence and write what changed, atomically."""
        raise NotImplementedError

    def announce(self, own: Owned) -> None:
        """Emit that the partition's fence moved."""
        raise NotImplementedError

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
        found = own.store.fence()
        if found.token != own.token:
            raise FencedOff(own.state.number, own.token, found.token)
        if found.position == own.doubt:
            self.keep(own)
            self.announce(own)
        else:
            own.state.undo()
            if found.position != own.state.position:
                raise FenceMoved(own.state.number, own.state.position, found.position)
            own.token = own.store.renew(own.token)
        own.doubt = None

    def still_there(self, own: Owned) -> None:
        """FenceMoved if the store went back meanwhile: the sums have not what memory has."""
        found = own.store.fence().position
        if found < own.state.position:
            raise FenceMoved(own.number, own.state.position, found)

    # --- snapshots --------------------------------------------------------------------

    def process_tick(self, tup: Any) -> None:
        with suppress(StoreError):  # the partitions say so
            self.presence.tell()
            self.saver.look()
        for own in list(self.owned.values()):
            self.guarded(own.number, lambda own=own: self.look_after(own))  # type: ignore[misc]
        self.ack(tup)

    def look_after(self, own: Owned) -> None:
        self.saver.trim(own)
        self.saver.save_if_due(self.owned.values())

    def stop(self) -> None:
        """A clean stop: the next start has nothing to replay."""
        self.saver.finish(list(self.owned.values()))
