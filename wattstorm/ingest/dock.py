"""Batches of readings → blocks in the log, refused rows in the dead letters, all of it counted."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

import numpy as np

from wattstorm.engine.watch import Watch
from wattstorm.ingest.readings import Origins, Readings
from wattstorm.ingest.routing import FINE, Checked, Router
from wattstorm.ingest.sent import Sent
from wattstorm.metering.block import Channel
from wattstorm.metering.checks import Outcome
from wattstorm.metering.slots import SlotGrid
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import share_of
from wattstorm.store.intake import Intake, RefusedRow
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer

MOST_ROWS = 2_000_000


class Dock:
    """One source's stay at the log, under a producer's name of its own.

    received = readings sent + rows in `refused`, after every `load`. A store whose data were
    made under another slot length or register refuses at `__init__` (UsageError).
    """

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        register: Register,
        *,
        channel: Channel = Channel.IMPORT,
        block: int = 50_000,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        prefix, dead = settings.store.prefix, settings.dead_letters
        Watch(connection, settings, register).meet()
        self.connection, self.prefix = connection, prefix
        self.name = f"in-{secrets.token_hex(6)}"
        self.received, self.refused = 0, Counter[str]()
        self.router = Router(register, SlotGrid(settings.stream.slot_minutes), channel, block)
        self.producer = Producer(
            Log(connection, prefix),
            self.name,
            range(register.partitions),
            backlog_bytes=settings.log.backlog_mb << 20,
            when_full=settings.log.when_full,
            full_timeout_s=settings.log.full_timeout_s,
            should_stop=should_stop,
        )
        room = share_of(dead.keep_mb, register.partitions, connection.info.maxmemory)
        self._intake = Intake(connection, prefix, keep=dead.keep, bytes_=room)

    def __enter__(self) -> Dock:
        self.producer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.producer.__exit__(kind, error, trace)

    def load(self, rows: Readings, origins: Origins) -> None:
        """Send the rows that are readings, set the others aside with their reason and origin."""
        checked = self.router.check(rows)
        for block in self.router.blocks(rows, checked):
            self.producer.send(block)
        bad = checked.reason[checked.reason != FINE].tolist()
        reasons = Counter(Outcome(code).name.lower() for code in bad)
        # Sent first: a count without its readings would be worse than readings without a count.
        self.producer.flush()
        self._intake.record(len(rows), reasons, self._letters(rows, checked, origins))
        self.received += len(rows)
        self.refused.update(reasons)

    def _letters(self, rows: Readings, checked: Checked, origins: Origins) -> list[RefusedRow]:
        """The newest refused rows of the batch, as many as are kept."""
        bad = np.flatnonzero(checked.reason != FINE)[-max(1, self._intake.keep) :].tolist()
        letters = []
        for i, (place, raw) in zip(bad, origins(bad), strict=True):
            outcome = Outcome(int(checked.reason[i]))
            what = self.router.why(outcome, int(rows.unreadable[i]))
            reading = self._reading(rows, i) if outcome is Outcome.UNKNOWN_METER else ""
            letters.append(RefusedRow(outcome.name.lower(), place, raw, what, reading))
        return letters

    def _reading(self, rows: Readings, i: int) -> str:
        """A row that may be a reading later (see `ingest.replay`)."""
        channel = int(self.router.channel)
        return f"{rows.ids[i]} {rows.at[i]} {rows.wh[i]} {rows.version[i]} {channel}"

    def sent(self) -> Sent:
        """What is in the log, once all of it is (after `__exit__`)."""
        counts = self.producer.counts
        used = [lane.partition for lane in self.producer.lanes if lane.last]
        tails = Log(self.connection, self.prefix).tails(used)
        return Sent(
            self.connection,
            self.prefix,
            self.name,
            counts.sent_readings,
            counts.sent_blocks,
            counts.shed_readings,
            self.refused,
            dict(zip(used, tails, strict=True)),
        )


def batch_of(register: Register, block: int) -> int:
    """Rows of a batch that fill blocks without taking too much memory."""
    most: int = block * register.partitions
    return min(max(most, 10_000), MOST_ROWS)


class Patience:
    """Asked by a producer while it waits for room: never gives up, but says so, once."""

    def __init__(self, say: Callable[[str], None], after_s: float = 5.0) -> None:
        self._say, self.after_s = say, after_s
        self._since = self._asked = 0.0
        self._said = False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - self._asked > 1.0:
            self._since = now
        self._asked = now
        if not self._said and now - self._since > self.after_s:
            self._said = True
            self._say("waiting for the store, or for room in the log: is `wattstorm run` running?")
        return False
