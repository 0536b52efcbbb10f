"""A small backlog holds a producer up for a moment, not until the next snapshot by the clock."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import append, started
from tests.stream.test_chaos import workers
from tests.stream.town import DAY0, Town, a_town, audit, drained, wait_until
from wattstorm.errors import LogFull
from wattstorm.metering import block as blocks
from wattstorm.store.disk import Disk
from wattstorm.store.producer import Producer

METERS = 2000


def large_block(slots: int, partition: int = 0) -> blocks.Block:
    """Some 10 bytes a reading: random Wh of all meters of a partition."""
    meters = np.tile(np.arange(METERS), slots) + partition * METERS
    wh = np.random.default_rng(slots).integers(0, 3000, meters.size)
    return blocks.readings(partition, meters, DAY0 + np.repeat(np.arange(slots), METERS), wh)


def longest_wait(town: Town, slots: int, count: int) -> float:
    """Seconds that the slowest of `count` blocks a partition took to be taken by the log."""
    longest = 0.0
    with town.connect() as connection:
        producer = Producer(
            town.log(connection),
            "town",
            town.partitions,
            backlog_bytes=town.settings.log.backlog_mb << 20,
            full_timeout_s=60,
            depth=1,
        )
        with producer:
            for _ in range(count):
                for p in town.partitions:
                    block = large_block(slots, p)
                    begun = time.monotonic()
                    producer.send(block)
                    longest = max(longest, time.monotonic() - begun)
    return longest


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "count"), [(8, 20), (40, 6)], ids=["small", "above the bound"])
def test_a_producer_with_a_small_backlog_waits_seconds_at_most(
    tmp_path: Path, running: Callable[..., Any], slots: int, count: int
) -> None:
    """Twice and more of what may lie untrimmed, with snapshots each 256 MB or 30 s."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 3 * METERS, METERS, log__backlog_mb=1)
        running(town)
        with town.connect() as connection:
            for p in town.partitions:  # a start of the workers is no wait of the backlog's
                append(town, p, [blocks.encode(large_block(1, p))])
            wait_until(lambda: drained(town, connection), 60, "the workers to be at work")
            assert longest_wait(town, slots, count) < 12.0
            wait_until(lambda: drained(town, connection), 60, "the log to be drained")
            assert audit(town, connection)["received"] == 3 * METERS * (slots * count + 1)


def test_a_snapshot_is_due_after_the_backlogs_share(tmp_path: Path) -> None:
    """Of the size triggers the smaller one counts."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 2 * METERS, METERS, log__backlog_mb=1)
        append(town, 0, [blocks.encode(large_block(40))])
        bolt = started(AggregateBolt, town)
        assert bolt.give(0, 1, 1, 1) == "ack"
        bolt.component.consumer.saver.collect(wait=True)
        assert [mark.position for mark in bolt.component.consumer.owned[0].saved] == [1]


def a_producer(town: Town, connection: Any, patience_s: float) -> Producer:
    return Producer(
        town.log(connection),
        "town",
        town.partitions,
        backlog_bytes=1 << 20,
        full_timeout_s=patience_s,
        depth=1,
        hold_bytes=1 << 30,
    )


def until_full_and_committed(town: Town, connection: Any, producer: Producer) -> None:
    """Send until the log takes nothing more though all of it is committed."""
    log, store = town.log(connection), town.stores(connection)[0]
    for _ in range(400):
        try:
            producer.flush()
            producer.send(large_block(8))
        except LogFull:
            if store.fence().position == log.tails([0])[0]:
                return
    raise AssertionError("the log was never full of committed blocks")


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["a killed worker", "a stopped engine"])
def test_a_log_full_of_committed_blocks_empties_after_a_restart(
    tmp_path: Path, running: Callable[..., Any], how: str
) -> None:
    """Nothing is left to emit, so nobody would own the partition, save it and trim it."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, METERS, METERS, log__backlog_mb=1)
        engine = running(town, workers=1)
        with town.connect() as connection:
            producer = a_producer(town, connection, 0.2)
            until_full_and_committed(town, connection, producer)
            if how == "a killed worker":
                for pid in workers(engine):
                    os.kill(pid, signal.SIGKILL)
            else:
                engine.terminate()
                engine.wait(30)
                running(town, workers=1)
            producer.full_timeout_s = 60
            for _ in range(10):
                producer.send(large_block(8))
            producer.flush()


def until_full(producer: Producer, before_each: Callable[[], None]) -> str:
    """Send until nobody makes room in time; what the producer is told."""
    for _ in range(400):
        try:
            before_each()
            producer.flush()
            producer.send(large_block(8))
        except LogFull as error:
            return str(error)
    raise AssertionError("the log was never full")


def test_a_task_of_a_log_that_is_full_saves_and_trims_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first could not write a snapshot; what its successor replays counts as unsaved, and
    meanwhile the producer is told what holds it up."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, METERS, METERS, log__backlog_mb=1)
        with town.connect() as connection:
            producer = a_producer(town, connection, 0.2)
            bolt = started(AggregateBolt, town)
            bolt.component.consumer.saver.begin = lambda _: None
            log, store = town.log(connection), town.stores(connection)[0]
            assert "uncommitted" in until_full(producer, lambda: None)

            def commit() -> None:
                fence, tail = store.fence().position, log.tails([0])[0]
                if fence < tail:
                    assert bolt.give(0, fence + 1, tail, 1) == "ack"

            assert "are committed, but" in until_full(producer, commit)
            position = log.tails([0])[0]
            assert store.fence().position == position
            monkeypatch.setattr(Disk, "holds", lambda *_: True)
            after = started(AggregateBolt, town)
            assert after.give(0, position, position, 1) == "ack"  # as the spout knocks
            after.component.consumer.saver.collect(wait=True)
            after.tick()
            producer.flush()
            assert log.tails([0])[0] > position
