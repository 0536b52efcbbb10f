"""Partial sums of all partitions → one result a slot and scope."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from tests.servers import TestServer
from tests.stream.parts import Part, append, started
from tests.stream.town import DAY0, Town, a_town, committed_sums, drained, wait_until
from wattstorm.errors import StoreUnreachable
from wattstorm.metering import block as blocks
from wattstorm.metering.results import SlotResult
from wattstorm.store.results import ResultStore

METERS = 100


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with TestServer(tmp_path / "r") as server:
        yield server


@pytest.fixture
def town(tmp_path: Path, server: TestServer) -> Town:
    return a_town(
        tmp_path,
        server.url,
        2 * METERS,
        METERS,
        results__publish_ms=1,
        stream__deadline_hours=24.0,
        snapshot__every_s=3600.0,
    )


@pytest.fixture
def aggregate(town: Town) -> Part:
    return started(AggregateBolt, town)


def feed(
    bolt: Part,
    town: Town,
    partition: int,
    slot: int,
    number: int,
    meters: int = METERS,
    wh: int = 100,
    version: int = 0,
) -> None:
    """Readings of the first `meters` of a partition, appended as block `number` and committed."""
    first = partition * METERS
    made = blocks.readings(
        partition, np.arange(first, first + meters), DAY0 + slot, [wh] * meters, version=version
    )
    append(town, partition, [blocks.encode(made)], first=number)
    assert bolt.give(partition, 1, number, 1) == "ack"


def row(town: Town, slot: int, label: str = "nation") -> SlotResult:
    with town.connect() as connection:
        return ResultStore(connection, "wattstorm").curve(0, label, [DAY0 // 48])[DAY0 + slot]


def dirty(town: Town) -> set[tuple[int, int]]:
    with town.connect() as connection:
        return ResultStore(connection, "wattstorm").dirty(list(town.partitions))


def test_all_partitions_make_one_result(town: Town, aggregate: Part) -> None:
    """Sum, coverage and status of a slot follow as its partitions come in."""
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 5, 1)
    assert publish.give(0, 1) == "ack"
    first = row(town, 5)
    assert (first.wh, first.readings, first.expected) == (10_000, 100, 200)
    assert (first.coverage, first.status) == (0.5, "provisional")
    feed(aggregate, town, 1, 5, 1)
    publish.tick()
    second = row(town, 5)
    assert (second.wh, second.coverage, second.status) == (20_000, 1.0, "final")
    assert sum(row(town, 5, f"tariff:tariff_{t:02}").wh for t in range(12)) == 20_000
    assert dirty(town) == set()


def test_after_a_dear_publication_the_next_one_waits_for_the_tick(
    town: Town, aggregate: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a whole day changes all the time, publishing it must not take the cores from summing;
    here each publication counts as if it took a second."""
    monkeypatch.setattr("bolts.publish.CHEAP_S", -1.0)
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 5, 1)
    assert publish.give(0, 1) == "ack"
    feed(aggregate, town, 1, 5, 1)
    assert publish.give(1, 1) == "ack"
    assert row(town, 5).wh == 10_000
    publish.tick()
    assert row(town, 5).wh == 20_000


def test_a_slot_becomes_final_at_its_deadline_without_a_reading(
    town: Town, aggregate: Part
) -> None:
    """In event time: when each partition is a day ahead of it; in every scope."""
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 0, 1, meters=60)
    feed(aggregate, town, 1, 48, 1)
    publish.tick()
    assert row(town, 0).status == "provisional"
    feed(aggregate, town, 0, 47, 2)
    publish.tick()
    assert row(town, 0).status == "provisional"
    feed(aggregate, town, 0, 48, 3)
    publish.tick()
    assert row(town, 0).status == "final"
    assert {row(town, 0, f"region:region_{r}").status for r in range(3)} == {"final"}


def test_a_fast_partition_finalises_nothing_for_one_that_lags(town: Town, aggregate: Part) -> None:
    """The deadline follows the watermark of each: the last one decides."""
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 0, 1)
    feed(aggregate, town, 1, 1, 1)
    feed(aggregate, town, 0, 100, 2)
    publish.tick()
    assert row(town, 0).status == "provisional"
    feed(aggregate, town, 1, 0, 2, meters=60)
    publish.tick()
    assert (row(town, 0).status, row(town, 0).readings) == ("provisional", 160)
    feed(aggregate, town, 1, 48, 3)
    publish.tick()
    assert row(town, 0).status == "final"


def test_a_silent_partition_is_waited_for_as_long_as_days_are_open(
    town: Town, aggregate: Part
) -> None:
    """One that had no reading ever, or has none any more, holds nothing back for good."""
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 0, 1)
    feed(aggregate, town, 0, 48 + 3 * 48 - 1, 2)
    publish.tick()
    assert row(town, 0).status == "provisional"
    feed(aggregate, town, 0, 48 + 3 * 48, 3)
    publish.tick()
    assert row(town, 0).status == "final"


def test_a_late_publisher_overwrites_nothing(
    town: Town, aggregate: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It read the sums before another one did, and wakes up after that one wrote."""
    slow, quick = started(PublishBolt, town), started(PublishBolt, town)
    feed(aggregate, town, 0, 5, 1)
    feed(aggregate, town, 1, 6, 1)
    old = slow.component.results.read_partials([(0, DAY0 + 5)], list(town.partitions))
    feed(aggregate, town, 1, 5, 2)
    quick.tick()
    monkeypatch.setattr(slow.component.results, "read_partials", lambda *_: old)
    slow.component.publish([(0, DAY0 + 5)])
    assert row(town, 5).wh == 20_000


def test_who_slept_while_a_partition_came_lives_and_publishes_later(
    town: Town, aggregate: Part
) -> None:
    """It read its sums before a register added one, of which another publisher knew by then."""
    slow, quick = started(PublishBolt, town), started(PublishBolt, town)
    feed(aggregate, town, 0, 5, 1, meters=50)
    quick.tick()
    feed(aggregate, town, 0, 5, 2)
    slow.component.partitions = range(1)
    slow.tick()
    assert row(town, 5).wh == 5_000
    assert dirty(town) == {(0, DAY0 + 5)}
    slow.component.grow(2)
    slow.tick()
    assert row(town, 5).wh == 10_000
    assert dirty(town) == set()


def test_what_changes_while_it_publishes_stays_dirty(town: Town, aggregate: Part) -> None:
    """A commit between the reading of the sums and the clearing is published next time."""
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 5, 1, meters=50)
    real = publish.component.results.write

    def write(*arguments: Any) -> Any:
        feed(aggregate, town, 0, 5, 2)
        return real(*arguments)

    publish.component.results.write = write
    publish.component.flush([0])
    assert row(town, 5).wh == 5_000
    assert dirty(town) == {(0, DAY0 + 5)}
    publish.component.results.write = real
    publish.tick()
    assert row(town, 5).wh == 10_000
    assert dirty(town) == set()


def test_sums_that_turn_out_to_be_lost_are_read_again_at_once(town: Town, aggregate: Part) -> None:
    """The partition was taken between reading and writing: the results do not wait a second."""
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 5, 1)
    real = publish.component.results.read_partials
    read: list[Any] = []

    def read_partials(*arguments: Any) -> Any:
        read.append(real(*arguments))
        if len(read) == 1:
            feed(started(AggregateBolt, town), town, 0, 5, 2, wh=150, version=1)
        return read[-1]

    publish.component.results.read_partials = read_partials
    publish.component.flush([0])
    assert len(read) == 2
    assert row(town, 5).wh == 15_000
    assert dirty(town) == set()


def crash(server: TestServer, kept: int) -> None:
    """The store dies and comes back without what it wrote after `kept` bytes."""
    server.kill()
    with file_of(server).open("r+b") as file:
        file.truncate(kept)
    server.start()


def file_of(server: TestServer) -> Path:
    """The append-only file that grows."""
    return sorted(server.aof_dir.glob("*.incr.aof"))[-1]


def on_disk(server: TestServer, town: Town) -> int:
    """Bytes of the append-only file, with all that was written so far."""
    with town.connect() as connection:
        wait_until(
            lambda: not connection.redis.info("persistence")["aof_buffer_length"], 10, "the disk"
        )
    return file_of(server).stat().st_size


@pytest.mark.parametrize("when", ["before the write", "after the write"])
def test_a_store_that_goes_back_while_it_publishes_is_published_as_it_is(
    server: TestServer, town: Town, aggregate: Part, when: str
) -> None:
    """What was read is of a history that is no more; what is written may be lost again. The
    row ends as the sum that is committed, nothing stays dirty, and a drain would end."""
    feed(aggregate, town, 0, 5, 1)
    kept = on_disk(server, town)
    for version in (1, 2, 3):
        feed(aggregate, town, 0, 5, 1 + version, wh=900, version=version)
    publish = started(PublishBolt, town)
    real = publish.component.results.write

    def write(*arguments: Any) -> Any:
        publish.component.results.write = real
        if when == "before the write":
            crash(server, kept)
            return real(*arguments)
        written = real(*arguments)
        crash(server, kept)
        return written

    publish.component.results.write = write
    publish.tick()
    made = blocks.readings(0, np.arange(METERS), DAY0 + 5, [150] * METERS, version=1)
    append(town, 0, [blocks.encode(made)], first=2)
    for attempt in range(3):
        aggregate.give(0, 2, 2, 2 + attempt)
        publish.tick()
    with town.connect() as connection:
        assert committed_sums(town, connection)["nation"] == {DAY0 + 5: (15_000, 100)}
        assert drained(town, connection)
    assert row(town, 5).wh == 15_000


def test_a_commit_that_the_store_had_and_lost_is_not_published(
    server: TestServer, town: Town, aggregate: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer was lost, so its task finds nothing amiss and commits another block at the
    position; a publisher that read it in between has sums of neither history."""
    feed(aggregate, town, 0, 5, 1)
    kept = on_disk(server, town)
    real = aggregate.component.consumer.commit

    def unanswered(*arguments: Any) -> None:
        real(*arguments)
        raise StoreUnreachable("the answer was lost")

    monkeypatch.setattr(aggregate.component.consumer, "commit", unanswered)
    made = blocks.readings(0, np.arange(METERS), DAY0 + 5, [900] * METERS, version=1)
    append(town, 0, [blocks.encode(made)], first=2)
    assert aggregate.give(0, 2, 2, 1) == "fail"
    monkeypatch.undo()
    publish = started(PublishBolt, town)
    read = publish.component.results.read_partials([(0, DAY0 + 5)], list(town.partitions))
    crash(server, kept)
    feed(aggregate, town, 0, 5, 2, wh=150, version=1)
    slots = publish.component.rows(read.sums, read)
    day = DAY0 // 48
    assert publish.component.results.write(day, slots, town.partitions, read.fences).moved
    publish.tick()
    assert row(town, 5).wh == 15_000


def test_a_scope_that_nothing_is_expected_of_any_more_says_zero(
    town: Town, aggregate: Part
) -> None:
    """Its old row would stay for ever, and the scopes would add up to more than the nation."""
    publish = started(PublishBolt, town)
    feed(aggregate, town, 0, 5, 1, meters=12)
    publish.tick()
    assert row(town, 5, "tariff:tariff_03").wh == 100
    scopes = publish.component.governing.scopes
    expected, roll_up = scopes.expected, scopes.roll_up
    at = scopes.labels().index("tariff:tariff_03")

    def without(values: Any) -> Any:
        values[at] = 0
        return values

    scopes.expected = lambda day: without(expected(day))
    scopes.roll_up = lambda sums: tuple(map(without, roll_up(sums)))
    feed(aggregate, town, 0, 5, 2, meters=13)
    publish.tick()
    gone = row(town, 5, "tariff:tariff_03")
    assert (gone.wh, gone.readings, gone.expected) == (0, 0, 0)
    assert row(town, 5, "tariff:tariff_04").wh == 100
