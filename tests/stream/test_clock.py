"""When a consumer saves and trims, by a clock that the test turns: nothing here waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.servers import TestServer
from tests.stream.clocks import Clock, SyncedDisk
from tests.stream.peaks import consumer
from tests.stream.town import DAY0, Town, a_town
from wattstorm.metering import block as blocks
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.stream.consumer import Consumer

METERS = 10


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, METERS, METERS, snapshot__every_s=30.0)


@pytest.fixture
def log(connection: Connection) -> Log:
    """One that the sums, which need all of the readings, do not read."""
    return Log(connection, "wattstorm", name="other")


def send(log: Log, count: int) -> None:
    for i in range(count):
        made = blocks.readings(0, np.arange(METERS), DAY0 + i, [100] * METERS)
        assert log.append(0, "a", i + 1, blocks.encode(made), 1).status == "new"


def saves(who: Consumer) -> int:
    """How many snapshots there are after a look at whether one is due."""
    who.save_if_due(0)
    who.saver.collect(wait=True)
    return len(who.owned[0].saved)


def test_state_is_saved_when_its_time_has_come_and_not_before(
    town: Town, connection: Connection, log: Log
) -> None:
    """`snapshot.every_s` after the last one; and only if there is anything to save."""
    clock = Clock()
    who = consumer(town, connection, log, now=clock, disk=SyncedDisk(0.0))
    send(log, 2)
    assert who.process(0, 1, 1)
    clock.at += 29
    assert saves(who) == 0
    clock.at += 1
    assert saves(who) == 1
    clock.at += 300
    assert saves(who) == 1, "nothing new"
    assert who.process(0, 2, 2)
    assert saves(who) == 2, "its time had come long ago"
    assert who.owned[0].saved[-1].position == 2


def test_a_log_is_trimmed_again_only_when_the_last_trim_is_on_disk(
    town: Town, connection: Connection, log: Log
) -> None:
    """By the clock: the disk holds what was written before `until`."""
    clock, disk = Clock(), SyncedDisk()
    who = consumer(town, connection, log, now=clock, disk=disk)
    send(log, 8)
    seen = []
    for position in range(1, 9):
        clock.at += 60
        assert who.process(0, position, position)
        saves(who)
        if position == 4:
            disk.until = clock.at - 1  # it is synced no more from here on
        who.tick()
        who.saver.collect(wait=True)
        seen.append(log.first(0))
    assert seen[3] > seen[2] > 1, "trimmed each time"
    assert seen[4:] == [seen[3]] * 4, "and no more"
    disk.until = float("inf")
    who.tick()
    assert log.first(0) > seen[-1]
