"""A small backlog holds a producer up for a moment, not until the next snapshot by the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import append, started
from tests.stream.town import DAY0, Town, a_town, audit, drained, wait_until
from wattstorm.metering import block as blocks
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
            town.log(connection), "town", town.partitions,
            backlog_bytes=town.settings.log.backlog_mb << 20, full_timeout_s=60, depth=1,
        )  # fmt: skip
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
        assert longest_wait(town, slots, count) < 12.0
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 60, "the log to be drained")
            assert audit(town, connection)["received"] == 3 * METERS * slots * count


def test_a_snapshot_is_due_after_the_backlogs_share(tmp_path: Path) -> None:
    """Of the size triggers the smaller one counts."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 2 * METERS, METERS, log__backlog_mb=1)
        append(town, 0, [blocks.encode(large_block(40))])
        bolt = started(AggregateBolt, town)
        assert bolt.give(0, 1, 1, 1) == "ack"
        bolt.component.saver.collect(wait=True)
        assert [position for position, _ in bolt.component.owned[0].saved] == [1]
