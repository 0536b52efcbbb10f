"""Power cuts at the moments that matter: real servers, killed, the end of their file cut off."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer, binaries
from tests.stream.parts import Part, append, nation, save, started
from tests.stream.town import DAY0, Town, a_town, audit
from wattstorm.metering import block as blocks
from wattstorm.store.disk import Disk
from wattstorm.store.log import Append

METERS = 10


@pytest.fixture(params=sorted(binaries()))
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[TestServer]:
    """`always`: what was answered is in the file, so that it can be cut at a known place."""
    binary = binaries()[request.param]
    with TestServer(tmp_path / "r", binary=binary, appendfsync="always") as server:
        yield server


@pytest.fixture
def town(tmp_path: Path, server: TestServer) -> Town:
    return a_town(tmp_path, server.url, METERS, METERS, snapshot__every_s=3600.0)


def block(slot: int, meters: Any = range(METERS), wh: int = 100) -> bytes:
    ids = np.array(list(meters))
    return blocks.encode(blocks.readings(0, ids, DAY0 + slot, [wh] * len(ids)))


def aof(server: TestServer) -> Path:
    return max(server.aof_dir.glob("*.incr.aof"), key=lambda file: file.stat().st_mtime)


def size(server: TestServer) -> int:
    """What is on disk now; `cut` goes back to it."""
    return aof(server).stat().st_size


def cut(server: TestServer, to: int) -> None:
    server.kill()
    os.truncate(aof(server), to)
    server.start()


def drain(town: Town, bolt: Part) -> None:
    """As the spout does: what lies after the fence, until nothing does."""
    with town.connect() as connection:
        store, log = town.stores(connection)[0], town.log(connection)
        for attempt in range(10):
            fence, tail = store.fence().position, log.tails([0])[0]
            if fence == tail:
                return
            bolt.give(0, fence + 1, tail, attempt)
    raise AssertionError("the fence never reached the log's end")


def send(town: Town, producer: str, number: int, data: bytes) -> None:
    with town.connect() as connection:
        (answer,) = town.log(connection).append_many([Append(0, producer, number, data, 1)])
        assert answer.status == "new"


@pytest.mark.parametrize("others", [1, 3], ids=["too short", "other blocks"])
def test_a_commit_of_entries_that_the_store_lost_meanwhile_is_refused(
    town: Town, server: TestServer, others: int
) -> None:
    """Between fetch and commit: fence and token are as they were, the entries are not."""
    half = range(METERS // 2)
    rest = range(METERS // 2, METERS)
    send(town, "a", 1, block(0, half))
    send(town, "b", 1, block(0, rest))
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 2, 1) == "ack"
    on_disk = size(server)
    send(town, "a", 2, block(1, half))
    send(town, "b", 2, block(1, rest))
    real: Callable[..., Any] = bolt.component.consumer.fetch

    def fetch(*arguments: Any) -> Any:
        entries = real(*arguments)
        bolt.component.consumer.fetch = real
        cut(server, on_disk)
        for number in range(2, 2 + others):  # the producers send again, b before a
            send(town, "b", number, block(number - 1, rest))
        return entries

    bolt.component.consumer.fetch = fetch
    assert bolt.give(0, 3, 4, 1) == "fail"
    for number in range(2 + others, 5):
        send(town, "b", number, block(number - 1, rest))
    for number in range(2, 5):
        send(town, "a", number, block(number - 1, half))
    drain(town, bolt)
    assert nation(town) == dict.fromkeys(range(4), (1000, METERS))


def test_the_snapshot_behind_which_the_log_is_trimmed_stays_until_the_next_one_is(
    town: Town, server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quick snapshots: both newer ones are ahead of what the store comes back with."""
    append(town, 0, [block(0), block(1), block(2, range(5))])
    bolt = started(AggregateBolt, town)
    for position in (1, 2, 3):
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    for _ in range(3):
        bolt.tick()
    monkeypatch.undo()
    with town.connect() as connection:
        first = town.log(connection).status(0).first
    assert first > 1, "the log is trimmed"
    on_disk = size(server)
    append(town, 0, [block(2, [5]), block(2, [6]), block(2, [7])], first=4)
    for position in (4, 5, 6):
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
    cut(server, on_disk)
    again = [block(2, [5]), block(2, [6]), block(2, [7]), block(2, [8, 9]), block(3)]
    append(town, 0, again, first=4)
    drain(town, started(AggregateBolt, town))
    assert nation(town) == dict.fromkeys(range(4), (1000, METERS))


def test_a_store_that_comes_back_before_a_trim_finds_the_snapshot_of_before_it(
    town: Town, server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lone snapshot was the base; all that came after it, and two more trims, are lost."""
    append(town, 0, [block(0, range(5))])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    save(bolt)
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    bolt.tick()  # a lone snapshot of all there is: trimmed behind it
    on_disk = size(server)
    for position in (2, 3, 4, 5, 6):
        append(town, 0, [block(position, [0])], first=position)
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
        bolt.tick()
        monkeypatch.setattr(Disk, "holds", lambda *_, at=position: at < 3)
    with town.connect() as connection:
        assert town.log(connection).status(0).first == 3, "trimmed once more, and no further"
    cut(server, on_disk)
    append(town, 0, [block(0, range(5)), block(0, range(5, METERS))], first=2)
    drain(town, started(AggregateBolt, town))
    assert nation(town) == {0: (1000, METERS)}


@pytest.mark.parametrize("more", [False, True])
def test_no_log_is_trimmed_behind_a_snapshot_that_the_store_has_lost(
    town: Town, server: TestServer, monkeypatch: pytest.MonkeyPatch, more: bool
) -> None:
    """The task lives on and remembers a snapshot; the store came back without it (and with
    `more` is told of another one beside it)."""
    append(town, 0, [block(0), block(1, range(5))])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 2 if not more else 1, 1) == "ack"
    on_disk = size(server)
    save(bolt)
    cut(server, on_disk)
    if more:
        assert bolt.give(0, 2, 2, 1) == "ack"
        save(bolt)
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    for _ in range(2):
        bolt.tick()
    append(town, 0, [block(1)], first=3)
    drain(town, started(AggregateBolt, town))
    assert nation(town) == {0: (1000, METERS), 1: (1000, METERS)}
    with town.connect() as connection:
        assert "state_lost" not in audit(town, connection)


def test_snapshots_are_few_however_quickly_they_come(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one behind which the log is trimmed, the one before it, and the newest two."""
    append(town, 0, [block(slot) for slot in range(12)])
    bolt = started(AggregateBolt, town)
    seen = []
    for position in range(1, 13):
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
        monkeypatch.setattr(Disk, "holds", lambda *_, at=position: at % 4 == 0)
        bolt.tick()
        own = bolt.component.consumer.owned[0]
        seen.append([mark.position for mark in own.snapshots.marks()])
        assert own.snapshots.marks() == own.saved
    assert max(map(len, seen)) <= 4
    with town.connect() as connection:
        assert town.log(connection).status(0).first - 1 in seen[-1]


def test_a_restarted_store_does_not_hold_up_what_it_has_kept(
    town: Town, server: TestServer
) -> None:
    """A restart between fetch and commit that lost nothing: the commit is taken."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)
    real: Callable[..., Any] = bolt.component.consumer.fetch

    def fetch(*arguments: Any) -> Any:
        entries = real(*arguments)
        server.restart(kill=True)
        return entries

    bolt.component.consumer.fetch = fetch
    begun = time.monotonic()
    while bolt.give(0, 1, 2, 1) != "ack":
        assert time.monotonic() < begun + 20
        bolt.component.consumer.fetch = real
    assert nation(town) == dict.fromkeys(range(2), (1000, METERS))
