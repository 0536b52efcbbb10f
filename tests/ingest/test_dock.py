"""A source that is no file docks: what it brings is in the log or refused, and all is counted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.register.registers import FIRST_ID, GRID, small_register
from tests.servers import TestServer
from wattstorm.errors import UsageError
from wattstorm.ingest.dock import Dock
from wattstorm.ingest.readings import Cell, Readings
from wattstorm.ingest.routing import Router
from wattstorm.metering.block import Block, Channel, decode
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.intake import Intake
from wattstorm.store.log import Log

DAY = 15_857  # 2013-06-01
SLOT_US = 1_800_000_000
Row = tuple[int, int, int]
"""Meter (from 0), slot of DAY, Wh."""


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    """Ten meters in partitions of four."""
    return small_register(tmp_path_factory.mktemp("register"), 10, 4)


@pytest.fixture
def connection() -> Iterator[Connection]:
    with tempfile.TemporaryDirectory(prefix="ws-", dir="/tmp") as directory:
        server = TestServer(Path(directory))
        try:
            with Connection(server.url) as connection:
                yield connection
        finally:
            server.kill()


def messages(*rows: Row) -> Readings:
    """Rows as an HTTP intake might make them of its requests: all of them readable."""
    meter, slot, wh = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    return Readings(
        (FIRST_ID + meter).astype(np.uint64),
        (DAY * 48 + slot) * SLOT_US,
        wh,
        np.zeros(len(rows), np.uint16),
        np.zeros(len(rows), np.uint8),
    )


def requests(rows: Sequence[int]) -> Iterator[tuple[str, str]]:
    return ((f"request 7:{row}", f"[{row}]") for row in rows)


def rows_of(block: Block) -> list[Row]:
    columns = block.columns
    slots = columns.slot - DAY * 48
    return list(zip(columns.meter.tolist(), slots.tolist(), columns.wh.tolist(), strict=True))


def in_log(connection: Connection, register: Register) -> list[tuple[int, list[Row]]]:
    """(partition, its readings) of each block in the log."""
    log = Log(connection, "wattstorm")
    tails = log.tails(range(register.partitions))
    return [
        (p, rows_of(decode(entry.data)))
        for p, tail in enumerate(tails)
        for entry in (log.read(p, 1, tail) if tail else ())
    ]


def test_messages_are_routed_and_what_is_no_reading_is_set_aside(
    connection: Connection, register: Register
) -> None:
    """Of five rows two are readings, of two partitions; the others stand where `dead` looks."""
    rows = messages((5, 0, 100), (0, 47, 200), (77, 0, 1), (3, 1, 1), (3, 2, 1))
    rows.at[3] += 60_000_000
    rows.unreadable[4] = Cell.TIME | Cell.ENERGY
    with Dock(connection, Settings.load(environ={}), register) as dock:
        dock.load(rows, requests)
    assert in_log(connection, register) == [(0, [(0, 47, 200)]), (1, [(5, 0, 100)])]
    letters = Intake(connection, "wattstorm").list(10)
    assert [(x.reason, x.place, x.raw, x.what) for x in reversed(letters)] == [
        ("unknown_meter", "request 7:2", "[2]", "not in the register"),
        ("off_grid", "request 7:3", "[3]", "starts no slot of 30 minutes"),
        ("unreadable", "request 7:4", "[4]", "cannot be read: time, energy"),
    ]
    sent = dock.sent()
    assert (sent.sent, sent.blocks, sent.rows, dict(sent.marks)) == (2, 2, 5, {0: 1, 1: 1})
    assert Intake(connection, "wattstorm").counts()["received"] == 5


def test_a_block_never_reaches_over_a_day_a_partition_or_its_size(register: Register) -> None:
    """Whatever order the rows come in; and each row is in one block."""
    rng = np.random.default_rng(1)
    drawn = rng.integers((0, 0, 0), (10, 144, 999), (500, 3)).tolist()
    rows = messages(*((meter, slot, wh) for meter, slot, wh in drawn))
    router = Router(register, GRID, Channel.EXPORT, block=20)
    made = list(router.blocks(rows, router.check(rows)))
    parts = [rows_of(block) for block in made]
    assert max(map(len, parts)) == 20
    for block, part in zip(made, parts, strict=True):
        assert block.channel == Channel.EXPORT
        assert {meter // 4 for meter, _, _ in part} == {block.partition}
        assert len({slot // 48 for _, slot, _ in part}) == 1
    assert sorted(row for part in parts for row in part) == sorted(map(tuple, drawn))


def test_a_store_of_other_slots_is_refused_before_anything_is_sent(
    connection: Connection, register: Register
) -> None:
    """Half-hours must not be added to quarters: the card says so to whoever docks."""
    with Dock(connection, Settings.load(environ={}), register):
        pass
    quarters = Settings.load(environ={}, options={"stream.slot_minutes": 15})
    with pytest.raises(UsageError, match="slot_minutes"):
        Dock(connection, quarters, register)
    assert in_log(connection, register) == []
