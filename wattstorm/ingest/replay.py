"""What was refused, sent to the log again: readings of meters that the register knows by now."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from wattstorm.ingest.readings import Readings
from wattstorm.ingest.routing import FINE, Router
from wattstorm.metering import block as blocks
from wattstorm.metering.block import Channel
from wattstorm.metering.slots import SlotGrid
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store import backlog
from wattstorm.store.connection import Connection
from wattstorm.store.replay import Replay, Row

ROWS_AT_ONCE = 1000
FULL_S = 0.05


@dataclass
class Replayed:
    """readings, blocks: sent; left: letters of other reasons, and rows that are no readings yet."""

    readings: int = 0
    blocks: int = 0
    left: Counter[str] = field(default_factory=Counter)


def replay(
    connection: Connection,
    settings: Settings,
    register: Register,
    reason: str | None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Replayed:
    """Send what was refused for `reason` (None: for any) again, each once.

    should_stop: asked while the log is full; True ends the wait, and the rest stays.
    """
    store, done = Replay(connection, settings.store.prefix), Replayed()
    bound = settings.log.backlog_mb << 20

    def room() -> bool:
        while backlog.read(connection, settings.store.prefix).waiting > bound:
            if should_stop():
                return False
            time.sleep(FULL_S)
        return True

    router = Router(register, SlotGrid(settings.stream.slot_minutes))
    for rows in _batched(_wanted(store.rows(), reason, done), ROWS_AT_ONCE):
        if not room():
            return done
        _send_rows(store, router, rows, done)
    for partition in range(register.partitions):
        for identity, why, readings in store.letters(partition):
            if reason not in (None, why):
                done.left[why] += 1
            elif not room():
                return done
            elif store.send_letter(partition, identity):
                done.readings += readings
                done.blocks += 1
    return done


def _wanted(rows: Iterable[Row], reason: str | None, done: Replayed) -> Iterable[Row]:
    for row in rows:
        if row.reading and reason in (None, row.reason):
            yield row
        else:
            done.left[row.reason] += 1


def _send_rows(store: Replay, router: Router, rows: list[Row], done: Replayed) -> None:
    """Those that are readings by now, a block per channel, day and partition."""
    cells = np.array([row.reading.split() for row in rows], np.int64).reshape(-1, 5)
    for channel in np.unique(cells[:, 4]):
        at = np.flatnonzero(cells[:, 4] == channel)
        of = Readings(
            cells[at, 0].astype(np.uint64),
            cells[at, 1],
            cells[at, 2],
            cells[at, 3].astype(np.uint16),
            np.zeros(len(at), np.uint8),
        )
        checked = router.check(of)
        done.left.update(rows[i].reason for i in at[checked.reason != FINE].tolist())
        of_channel = Router(router.register, router.grid, Channel(int(channel)), ROWS_AT_ONCE)
        for block, part in of_channel.parts(of, checked):
            identities = [rows[i].identity for i in at[part].tolist()]
            if store.send_rows(block.partition, blocks.encode(block), identities):
                done.readings += len(identities)
                done.blocks += 1


def _batched(rows: Iterable[Row], n: int) -> Iterable[list[Row]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, n)):
        yield batch
