"""Dead letters that are sent again: each once, whoever is killed or does it beside another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.ingest.test_dock import DAY, connection, messages
from tests.register.registers import FIRST_ID, register_rows, small_register
from tests.stream.parts import append, started
from tests.stream.town import Town, audit
from wattstorm.engine.watch import Watch
from wattstorm.files.meters import build_register
from wattstorm.ingest.dock import Dock
from wattstorm.ingest.replay import replay
from wattstorm.metering import block as blocks
from wattstorm.readers.results import Results
from wattstorm.store.connection import Connection
from wattstorm.store.replay import Replay

__all__ = ["connection"]

SLOT = DAY * 48


@pytest.fixture
def town(tmp_path: Path, connection: Connection) -> Town:
    """Three meters in partitions of four; one reading of a fourth was refused by the stream."""
    town = Town(tmp_path, connection.address, small_register(tmp_path, 3, 4), {})
    Watch(connection, town.settings, town.register).introduce()
    readings = blocks.readings(0, [0, 3], [SLOT, SLOT], [10, 5], producer="p")
    append(town, 0, [blocks.encode(readings)])
    assert started(AggregateBolt, town).give(0, 1, 1, 1) == "ack"
    return town


def grown(town: Town, connection: Connection, meters: int) -> None:
    source = town.directory / "more.csv"
    register_rows(meters).write_csv(source)
    town.register = build_register([source], town.directory / "register")
    Watch(connection, town.settings, town.register).extend()


def test_a_letter_leaves_its_place_as_it_enters_the_log(town: Town, connection: Connection) -> None:
    """Two at once send it once; what is refused again is a new letter, not sent in the same go."""
    store = Replay(connection, "wattstorm")
    ((identity, reason, readings),) = store.letters(0)
    assert (reason, readings) == ("unknown_meter", 1)
    assert [store.send_letter(0, identity) for _ in range(2)] == [2, 0]
    assert started(AggregateBolt, town).give(0, 2, 2, 1) == "ack"
    done = replay(connection, town.settings, town.register, "unknown_meter")
    assert (done.readings, done.blocks) == (1, 1)
    with Results.open(town.settings) as results:
        assert results.dead_letters().held == 0
        assert results.dead_letters().held_bytes == 0
        assert results.dead_letters().dropped == 0


def test_what_was_refused_for_its_meter_is_taken_once_the_register_has_it(
    town: Town, connection: Connection
) -> None:
    """By the stream and by ingest, in a partition that is new; received again, accepted once."""

    def origins(at: Sequence[int]) -> list[tuple[str, str]]:
        return [("here", f"row {i}") for i in at]

    with Dock(connection, town.settings, town.register) as dock:
        dock.load(messages((4, 0, 7), (5, 1, 8), (0, 1, 9)), origins)
    left = replay(connection, town.settings, town.register, "too_high").left
    assert left == {"unknown_meter": 3}
    grown(town, connection, 5)
    done = replay(connection, town.settings, town.register, "unknown_meter")
    assert (done.readings, done.left) == (2, {"unknown_meter": 1})
    assert replay(connection, town.settings, town.register, None).readings == 0
    bolt = started(AggregateBolt, town)
    for partition, tail in enumerate(town.log(connection).tails([0, 1])):
        assert bolt.give(partition, 2 - partition, tail, 1) == "ack"
    counts = audit(town, connection)
    assert (counts["new"], counts["unknown_meter"], counts["received"]) == (4, 1, 5)
    with Results.open(town.settings) as results:
        assert results.conservation().holds
        assert results.dead_letters().dropped == 0


def test_rows_of_another_channel_and_version_come_as_they_were(
    town: Town, connection: Connection
) -> None:
    """What the refused row said is kept with it."""
    rows = messages((3, 2, 1000))
    rows = type(rows)(rows.ids, rows.at, rows.wh, np.array([3], np.uint16), rows.unreadable)
    with Dock(connection, town.settings, town.register, channel=blocks.Channel.EXPORT) as dock:
        dock.load(rows, lambda at: [("here", "")] * len(at))
    grown(town, connection, 4)
    replay(connection, town.settings, town.register, "unknown_meter")
    (entry,) = [
        blocks.decode(e.data)
        for e in town.log(connection).read(0, 2, town.log(connection).tails([0])[0])
        if not e.kind and blocks.decode(e.data).channel == blocks.Channel.EXPORT
    ]
    columns = entry.columns
    assert (columns.meter.tolist(), columns.slot.tolist()) == ([3], [SLOT + 2])
    assert columns.rank.tolist() == [15]
    assert int(town.register.external_ids(3, 4)[0]) == FIRST_ID + 3
