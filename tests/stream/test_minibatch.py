"""The transactional contract, step by step, with one bolt in hand and a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import append, dumped, go_back, nation, save, started
from tests.stream.town import DAY0, Town, a_town, assert_conserved, audit
from wattstorm.clock import monotonic
from wattstorm.errors import StoreUnreachable
from wattstorm.metering import block as blocks
from wattstorm.store.disk import Disk
from wattstorm.store.sums import COUNTERS_OUTLIVE_DAYS

METERS = 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with TestServer(tmp_path / "r") as server:
        yield server


@pytest.fixture
def town(tmp_path: Path, server: TestServer) -> Town:
    return a_town(tmp_path, server.url, 2 * METERS, METERS, snapshot__every_s=3600.0)


def block(slot: int, wh: int = 100, version: int = 0) -> bytes:
    """All meters of partition 0 in one slot."""
    made = blocks.readings(0, np.arange(METERS), DAY0 + slot, [wh] * METERS, version=version)
    return blocks.encode(made)


def counts(town: Town) -> dict[str, int]:
    with town.connect() as connection:
        found = audit(town, connection)
    assert_conserved(found)
    return found


def fence(town: Town) -> int:
    with town.connect() as connection:
        return town.stores(connection)[0].fence().position


def test_a_batch_is_applied_once_however_often_it_comes(town: Town) -> None:
    """Acknowledged each time, counted once, announced once."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 2, 1) == "ack"
    assert bolt.emitted() == [(0, 2)]
    for attempt in range(50):
        assert bolt.give(0, 1, 2, attempt) == "ack"
        assert bolt.emitted() == []
    assert nation(town) == {0: (1000, 10), 1: (1000, 10)}
    assert counts(town)["received"] == 20


def test_commits_in_quick_succession_are_announced_once(town: Town) -> None:
    """Of each partition: who publishes would hear no second one before `results.publish_ms`."""
    town.options["results.publish_ms"] = 60_000
    for partition in (0, 1):
        append(town, partition, [block(i) for i in range(3)])
    bolt = started(AggregateBolt, town)

    def announced(partition: int, position: int) -> list[tuple[int, ...]]:
        assert bolt.give(partition, position, position, 1) == "ack"
        return bolt.emitted()

    assert [announced(p, 1) for p in (0, 1)] == [[(0, 1)], [(1, 1)]]
    assert announced(0, 2) == []
    bolt.component.consumer.now = lambda: monotonic() + 30.0
    assert announced(0, 3) == [(0, 3)]


def test_counters_of_a_day_expire_as_results_are_set_to(town: Town) -> None:
    """`results.expire_days` and a month, from the settings to the store."""
    town.options["results.expire_days"] = 2
    append(town, 0, [block(0)])
    assert started(AggregateBolt, town).give(0, 1, 1, 1) == "ack"
    with town.connect() as connection:
        (key,) = connection.redis.keys("{wattstorm:readings:p0}:sums:audit:day:*")
        lifetime = (2 + COUNTERS_OUTLIVE_DAYS) * 86_400
        assert lifetime - 10 < connection.redis.ttl(key) <= lifetime


def test_a_batch_that_overlaps_the_fence_applies_only_what_is_new(town: Town) -> None:
    """A spout that was replaced may cut the log at other places."""
    append(town, 0, [block(i) for i in range(4)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 2, 1) == "ack"
    assert bolt.give(0, 2, 4, 1) == "ack"
    assert counts(town)["blocks"] == 4
    assert counts(town)["received"] == 40


def test_a_batch_ahead_of_the_fence_fails_back(town: Town) -> None:
    """Order within a partition is never broken."""
    append(town, 0, [block(i) for i in range(4)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 3, 4, 1) == "fail"
    assert fence(town) == 0


def test_a_block_that_is_none_is_a_dead_letter(town: Town) -> None:
    """The fence passes it, and its neighbours are summed."""
    append(town, 0, [block(0), b"poison", block(1)])
    assert started(AggregateBolt, town).give(0, 1, 3, 1) == "ack"
    assert nation(town) == {0: (1000, 10), 1: (1000, 10)}
    assert counts(town)["refused_blocks"] == counts(town)["dead"] == 1


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_lost_answer_leaves_no_doubt(
    town: Town, monkeypatch: pytest.MonkeyPatch, carried_out: bool
) -> None:
    """The commit may or may not have happened: the fence says, and memory follows it."""
    append(town, 0, [block(0), block(1), block(0, wh=200, version=1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    real = bolt.component.consumer.commit

    def lost(*arguments: Any) -> None:
        if carried_out:
            real(*arguments)
        raise StoreUnreachable("the answer was lost")

    monkeypatch.setattr(bolt.component.consumer, "commit", lost)
    assert bolt.give(0, 2, 3, 1) == "fail"
    monkeypatch.undo()
    bolt.component.quiet_until.clear()
    assert bolt.give(0, 2, 3, 2) == "ack"
    assert bolt.emitted() == [(0, 3)]
    assert nation(town) == {0: (2000, 10), 1: (1000, 10)}
    assert counts(town)["received"] == 30
    assert counts(town)["corrected"] == 10


def test_a_task_born_later_takes_the_partition_and_the_older_writes_nothing(town: Town) -> None:
    """The zombie fails what it is given, however often, and does not take it back."""
    append(town, 0, [block(i) for i in range(3)])
    old = started(AggregateBolt, town)
    assert old.give(0, 1, 1, 1) == "ack"
    new = started(AggregateBolt, town)
    assert new.give(0, 1, 2, 1) == "ack"
    assert old.give(0, 2, 3, 1) == "fail"
    assert old.give(0, 2, 3, 2) == "fail"
    assert fence(town) == 2
    assert new.give(0, 2, 3, 1) == "ack"
    assert counts(town)["received"] == 30


@pytest.mark.parametrize("with_snapshot", [True, False])
def test_a_new_task_has_the_memory_of_the_old_one(town: Town, with_snapshot: bool) -> None:
    """From snapshot and log, or from the log alone: a double is a double still."""
    append(town, 0, [block(0), block(1), block(0), block(1, wh=50, version=2)])
    old = started(AggregateBolt, town)
    assert old.give(0, 1, 1, 1) == "ack"
    if with_snapshot:
        save(old)
    assert old.give(0, 2, 2, 1) == "ack"
    new = started(AggregateBolt, town)
    assert new.give(0, 3, 4, 1) == "ack"
    assert counts(town)["double"] == counts(town)["corrected"] == 10
    assert nation(town) == {0: (1000, 10), 1: (500, 10)}


def test_a_store_that_went_back_takes_the_memory_with_it(town: Town) -> None:
    """Other content comes under the same positions; nothing of the lost one remains."""
    append(town, 0, [block(0)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    save(bolt)
    kept = dumped(town)
    append(town, 0, [block(1, wh=111), block(2, wh=111)], first=2)
    assert bolt.give(0, 2, 3, 1) == "ack"
    save(bolt)
    go_back(town, kept)
    assert fence(town) == 1
    append(town, 0, [block(3, wh=222), block(1, wh=333)], first=2)
    assert bolt.give(0, 2, 3, 2) == "fail", "memory is ahead of the store: it is dropped"
    assert bolt.give(0, 2, 3, 3) == "ack"
    assert nation(town) == {0: (1000, 10), 1: (3330, 10), 3: (2220, 10)}
    assert counts(town)["received"] == 30


def test_a_snapshot_of_what_the_store_lost_never_appears(town: Town) -> None:
    """It was begun before the store went back, and would be named after."""
    append(town, 0, [block(0)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    kept = dumped(town)
    append(town, 0, [block(1)], first=2)
    assert bolt.give(0, 2, 2, 1) == "ack"
    go_back(town, kept)
    assert fence(town) == 1
    save(bolt)
    own = bolt.component.consumer.owned[0]
    assert own.saved == []
    assert own.snapshots.marks() == []


def test_the_log_is_trimmed_behind_the_older_snapshot_only(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And only when its fence is sure to be on disk."""
    append(town, 0, [block(i) for i in range(6)])
    bolt = started(AggregateBolt, town)
    for position in (2, 4):
        assert bolt.give(0, position - 1, position, 1) == "ack"
        save(bolt)
    with town.connect() as connection:
        log = town.log(connection)
        monkeypatch.setattr(Disk, "holds", lambda *_: False)
        bolt.tick()
        assert log.status(0).first == 1, "too young"
        monkeypatch.setattr(Disk, "holds", lambda *_: True)
        bolt.tick()
        assert log.status(0).first == 3
        assert [entry.position for entry in log.read(0, 3, 6)] == [3, 4, 5, 6]


def test_a_lone_snapshot_of_all_there_is_trims_a_log_that_may_be_full(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing more could come, and never a second snapshot."""
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    append(town, 0, [block(i) for i in range(3)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 2, 1) == "ack"
    save(bolt)
    assert bolt.give(0, 3, 3, 1) == "ack"
    with town.connect() as connection:
        bolt.tick()
        assert town.log(connection).status(0).first == 1, "the third block is in no snapshot"
        later = started(AggregateBolt, town)
        assert later.give(0, 3, 3, 1) == "ack"
        later.component.stop()
        final = started(AggregateBolt, town)
        assert final.give(0, 3, 3, 1) == "ack"
        final.component.consumer.owned[0].saved = final.component.consumer.owned[0].saved[-1:]
        final.tick()
        assert town.log(connection).status(0).first == 4
    assert counts(town)["received"] == 30


def test_without_snapshot_and_log_the_summed_slots_are_closed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell doubles there any more: set aside as state_lost; later slots go on."""
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    append(town, 0, [block(0), block(1), block(1), block(2)])
    bolt = started(AggregateBolt, town)
    for position in (1, 2):
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
    bolt.tick()
    for file in (town.directory / "state").rglob("*.snap"):
        file.write_bytes(file.read_bytes()[:200])
    new = started(AggregateBolt, town)
    assert new.give(0, 3, 4, 1) == "ack"
    assert counts(town)["state_lost"] == 10
    assert nation(town) == {0: (1000, 10), 1: (1000, 10), 2: (1000, 10)}


def test_an_unusable_snapshot_is_no_base_for_trimming(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged ones are known to the store still, but nothing can start from them."""
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    append(town, 0, [block(0), block(1), block(2)])
    bolt = started(AggregateBolt, town)
    for position in (1, 2):
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
    for file in (town.directory / "state").rglob("*.snap"):
        file.write_bytes(file.read_bytes()[:200])
    changed = started(AggregateBolt, town)
    assert changed.give(0, 3, 3, 1) == "ack"
    changed.tick()
    with town.connect() as connection:
        assert town.log(connection).status(0).first == 1
    assert counts(town)["received"] == 30


def test_a_clean_stop_leaves_nothing_to_replay(town: Town) -> None:
    """The newest snapshot stands at the fence."""
    append(town, 0, [block(i) for i in range(3)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 3, 1) == "ack"
    bolt.component.stop()
    assert [mark.position for mark in bolt.component.consumer.owned[0].snapshots.marks()] == [3]


def test_a_store_that_is_down_fails_the_batch_and_nothing_else(
    town: Town, server: TestServer
) -> None:
    """Killed between two batches; the same bolt goes on when it is back."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    server.kill()
    assert bolt.give(0, 2, 2, 1) == "fail"
    bolt.tick()
    server.start()
    assert bolt.give(0, 2, 2, 2) == "ack"
    assert counts(town)["received"] == 20


def test_a_task_takes_its_partition_though_the_stores_clock_was_ahead(town: Town) -> None:
    """The first one was born by a clock from 2099; the next ones by the right one."""
    append(town, 0, [block(0), block(1)])
    with town.connect() as connection:
        connection.redis.set("wattstorm:births", 4_090_000_000_000_000)
    first = started(AggregateBolt, town)
    assert first.give(0, 1, 1, 1) == "ack"
    assert first.component.consumer.birth_us > 4_090_000_000_000_000
    assert started(AggregateBolt, town).give(0, 2, 2, 1) == "ack"
    assert first.give(0, 2, 2, 1) == "fail"
