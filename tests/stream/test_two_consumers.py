"""A second consumer of the same log: it lags, dies, is poisoned, is taken over, loses entries;
the first neither waits nor changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import Part, append, dumped, go_back, nation, save, started
from tests.stream.peaks import PEAKS, POISON_WH, Peaks, consumer, peaks_in, store_of
from tests.stream.town import DAY0, Town, a_town
from wattstorm.metering import block as blocks
from wattstorm.store import backlog
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.disk import Disk
from wattstorm.store.log import Log
from wattstorm.stream.consumer import AS_LONG_AS_NEEDED, Consumer

METERS = 10


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, METERS, METERS, snapshot__every_s=3600.0)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that the store has written is on its disk."""
    monkeypatch.setattr(Disk, "holds", lambda *_: True)


def block(slot: int, wh: int = 100) -> bytes:
    return blocks.encode(blocks.readings(0, np.arange(METERS), DAY0 + slot, [wh] * METERS))


def sums_to(town: Town, bolt: Part, first: int, last: int) -> None:
    assert bolt.give(0, first, last, 1) == "ack"


def saved(consumer: Consumer) -> None:
    consumer.saver.begin(consumer.owned[0])
    consumer.saver.collect(wait=True)
    consumer.tick()


def summed_and_saved(bolt: Part, position: int) -> None:
    """One block more in the sums, in a snapshot, and the log trimmed behind it if it may be."""
    assert bolt.give(0, position, position, 1) == "ack"
    save(bolt)
    bolt.tick()


def test_each_has_its_own_fence_snapshots_and_keys(town: Town, connection: Connection) -> None:
    """Both read all of the log; nothing of the one stands where the other's does."""
    append(town, 0, [block(0, 100), block(1, 300), block(2, 200)])
    bolt = started(AggregateBolt, town)
    sums_to(town, bolt, 1, 3)
    second = consumer(town, connection)
    assert second.follow(0)
    assert peaks_in(town, connection) == dict.fromkeys(range(METERS), 300)
    assert nation(town) == {0: (1000, 10), 1: (3000, 10), 2: (2000, 10)}
    store = store_of(town, connection)
    assert store.fence().position == 3
    assert store.fence().scalars == {"highest_wh": b"300"}
    assert connection.redis.zscore(f"{store.keys.own}:ranked", "4") == 300.0
    assert store.audit() == {"entries": 3}
    save(bolt)
    saved(second)
    files = {path.relative_to(town.directory).parts[:4] for path in town.directory.rglob("*.snap")}
    assert files == {("state", "readings", name, "p0") for name in ("sums", PEAKS)}


def test_a_batch_is_taken_once_by_each(town: Town, connection: Connection) -> None:
    """However often it is given, and in whatever pieces."""
    append(town, 0, [block(i) for i in range(4)])
    second = consumer(town, connection)
    for first, last in ((1, 2), (1, 2), (2, 3), (1, 4), (3, 4)):
        assert second.process(0, first, last)
    assert not second.process(0, 6, 7)
    assert store_of(town, connection).audit() == {"entries": 4}


@pytest.mark.usefixtures("on_disk")
def test_the_log_is_trimmed_behind_the_least_of_those_that_hold_it(
    town: Town, connection: Connection
) -> None:
    """And no further when the other one has passed it."""
    append(town, 0, [block(i) for i in range(4)])
    bolt, second = started(AggregateBolt, town), consumer(town, connection)
    assert second.process(0, 1, 1)
    for position in (1, 2, 3, 4):
        summed_and_saved(bolt, position)
    log = Log(connection, "wattstorm")
    assert log.status(0).first == 1, "the second has saved nothing"
    saved(second)
    assert second.process(0, 2, 2)
    saved(second)
    assert log.status(0).first == 2
    assert second.process(0, 3, 4)
    saved(second)
    saved(second)
    assert log.status(0).first == 4, "the first has its own wish"
    assert [entry.position for entry in log.read(0, 4, 4)] == [4]


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("hold", [AS_LONG_AS_NEEDED, 0])
def test_nothing_is_trimmed_before_the_sums_have_begun(
    town: Town, connection: Connection, hold: int
) -> None:
    """Theirs is the log: a second consumer that is quicker to start leaves them all of it."""
    append(town, 0, [block(i) for i in range(4)])
    second = consumer(town, connection, hold=hold)
    for position in (1, 2, 3, 4):
        assert second.process(0, position, position)
        saved(second)
    assert Log(connection, "wattstorm").status(0).first == 1
    bolt = started(AggregateBolt, town)
    for position in (1, 2, 3, 4):
        summed_and_saved(bolt, position)
    assert nation(town) == dict.fromkeys(range(4), (1000, 10))
    assert Log(connection, "wattstorm").status(0).first == 4


@pytest.mark.usefixtures("on_disk")
def test_one_that_begins_late_finds_what_there_is(town: Town, connection: Connection) -> None:
    """It holds the log from then on; what was trimmed before is counted, and stops it not."""
    append(town, 0, [block(0, 900), block(1), block(2), block(3, 400)])
    bolt = started(AggregateBolt, town)
    for position in (1, 2, 3, 4):
        summed_and_saved(bolt, position)
    first = Log(connection, "wattstorm").status(0).first
    assert first > 1
    assert consumer(town, connection).follow(0)
    assert store_of(town, connection).audit() == {"entries": 5 - first, "lost_entries": first - 1}
    assert peaks_in(town, connection) == dict.fromkeys(range(METERS), 400)


@pytest.mark.usefixtures("on_disk")
def test_producers_wait_for_those_that_hold_the_log(town: Town, connection: Connection) -> None:
    """What waits is counted from the last of them; who does not hold it is waited for by nobody."""
    size = len(block(0))
    append(town, 0, [block(i) for i in range(4)])
    bolt = started(AggregateBolt, town)
    sums_to(town, bolt, 1, 4)
    assert backlog.read(connection, "wattstorm").waiting == 0
    free = consumer(town, connection, hold=0)
    assert free.process(0, 1, 1)
    assert backlog.read(connection, "wattstorm").waiting == 0
    holding = consumer(town, connection)
    assert holding.process(0, 1, 2)
    assert backlog.read(connection, "wattstorm").waiting == 2 * size
    assert holding.process(0, 3, 3)
    assert Log(connection, "wattstorm").status(0).committed == 3 * size
    assert consumer(town, connection, hold=0).follow(0)
    assert backlog.read(connection, "wattstorm").waiting == 0, "let go: it is waited for no more"


@pytest.mark.usefixtures("on_disk")
def test_who_does_not_hold_the_log_says_what_it_lost_and_goes_on(
    town: Town, connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """The first is not kept from trimming; the second finds a hole, counts it, keeps its peaks."""
    append(town, 0, [block(0, 900)])
    second = consumer(town, connection, hold=0)
    assert second.follow(0)
    append(town, 0, [block(i) for i in range(1, 6)], first=2)
    bolt = started(AggregateBolt, town)
    for position in range(1, 6):
        summed_and_saved(bolt, position)
    log = Log(connection, "wattstorm")
    assert log.status(0).first == 5
    append(town, 0, [block(7, 400)], first=7)
    assert second.follow(0)
    assert "3 entries up to 4 are lost to it" in caplog.text
    store = store_of(town, connection)
    assert store.audit() == {"entries": 4, "lost_entries": 3}
    assert store.fence().position == 7
    assert peaks_in(town, connection) == dict.fromkeys(range(METERS), 900)
    assert nation(town) == dict.fromkeys(range(1, 5), (1000, 10)) | {0: (9000, 10)}


@pytest.mark.usefixtures("on_disk")
def test_a_log_is_held_for_one_that_lags_up_to_its_bound_and_no_further(
    town: Town, connection: Connection
) -> None:
    """Within so many bytes nothing is lost to it; beyond, it is as if it held nothing."""
    append(town, 0, [block(i) for i in range(8)])
    second = consumer(town, connection, hold=5 * len(block(0)))
    assert second.process(0, 1, 1)
    bolt, log = started(AggregateBolt, town), Log(connection, "wattstorm")
    assert backlog.read(connection, "wattstorm").waiting == 8 * len(block(0))
    for position in (1, 2):
        summed_and_saved(bolt, position)
    assert log.status(0).first == 2, "eight blocks are more than it may hold"
    assert second.process(0, 2, 4)
    saved(second)
    for position in (3, 4, 5, 6, 7, 8):
        summed_and_saved(bolt, position)
    assert log.status(0).first == 5, "held: the four after its snapshot"
    assert second.follow(0)
    assert store_of(town, connection).audit() == {"entries": 8}
    assert backlog.read(connection, "wattstorm").waiting == 0


@pytest.mark.usefixtures("on_disk")
def test_one_that_is_run_no_more_is_let_go_of(town: Town, connection: Connection) -> None:
    """Else what it held would stay, and producers would wait, for ever."""
    append(town, 0, [block(i) for i in range(4)])
    assert consumer(town, connection).process(0, 1, 1)
    bolt, log = started(AggregateBolt, town), Log(connection, "wattstorm")
    for position in (1, 2, 3, 4):
        summed_and_saved(bolt, position)
    assert (log.first(0), log.status(0).committed) == (1, len(block(0)))
    log.let_go(PEAKS, town.partitions)
    assert log.status(0).committed == 4 * len(block(0))
    append(town, 0, [block(4)], first=5)
    summed_and_saved(bolt, 5)
    assert log.first(0) == 5
    log.let_go("nobody", town.partitions)


def test_a_block_that_one_cannot_bear_is_poison_to_it_alone(
    town: Town, connection: Connection
) -> None:
    """The other sums it; dead letters and poisoned positions are of each."""
    town.options["batch.attempts"] = 2
    append(town, 0, [block(0), block(1, POISON_WH), block(2, 200)])
    second = consumer(town, connection)
    tries = 0
    while not second.follow(0):
        tries += 1
    assert tries == 3
    assert peaks_in(town, connection) == dict.fromkeys(range(METERS), 200)
    (letter,) = DeadLetters(connection, "wattstorm", consumer=PEAKS).list(0)
    assert (letter.reason, letter.position) == ("poison", 2)
    bolt = started(AggregateBolt, town)
    sums_to(town, bolt, 1, 3)
    assert nation(town)[1] == (10 * POISON_WH, 10)
    assert list(DeadLetters(connection, "wattstorm").list(0)) == []
    again = consumer(town, connection)
    assert again.follow(0), "a replay passes it"
    assert store_of(town, connection).audit()["refused"] == 1


def test_a_successor_takes_over_where_it_died(town: Town, connection: Connection) -> None:
    """From its snapshot and the log; the zombie writes nothing, and the sums go on throughout."""
    append(town, 0, [block(0, 500), block(1), block(2)])
    bolt, first = started(AggregateBolt, town), consumer(town, connection)
    assert first.process(0, 1, 1)
    saved(first)
    assert first.process(0, 2, 2)
    sums_to(town, bolt, 1, 2)
    new = consumer(town, connection)
    assert new.process(0, 3, 3)
    assert new.owned[0].state.peaks == dict.fromkeys(range(METERS), 500)  # type: ignore[attr-defined]
    assert not first.process(0, 3, 3)
    assert not first.process(0, 3, 3)
    sums_to(town, bolt, 3, 3)
    assert store_of(town, connection).audit() == {"entries": 3}


def test_a_store_that_goes_back_takes_both_with_it(town: Town, connection: Connection) -> None:
    """Neither remembers what the other's history never had."""
    append(town, 0, [block(0, 200)])
    bolt, second = started(AggregateBolt, town), consumer(town, connection)
    sums_to(town, bolt, 1, 1)
    assert second.follow(0)
    kept = dumped(town)
    append(town, 0, [block(1, 900)], first=2)
    sums_to(town, bolt, 2, 2)
    assert second.follow(0)
    go_back(town, kept)
    append(town, 0, [block(2, 300)], first=2)
    for _ in range(2):
        bolt.give(0, 2, 2, 2)
        second.follow(0)
    assert nation(town) == {0: (2000, 10), 2: (3000, 10)}
    assert peaks_in(town, connection) == dict.fromkeys(range(METERS), 300)


def test_a_second_consumer_that_stands_still_stops_nothing(
    town: Town, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fence says why; the first one's says nothing."""
    append(town, 0, [block(0)])
    second = consumer(town, connection)

    def broken(*_: Any) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Peaks, "apply", broken)
    assert not second.follow(0)
    assert "Input/output error" in store_of(town, connection).fence().fault
    bolt = started(AggregateBolt, town)
    sums_to(town, bolt, 1, 1)
    assert town.stores(connection)[0].fence().fault == ""
