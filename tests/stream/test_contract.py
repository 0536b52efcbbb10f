"""What the stream promises where it is hardest: between steps, with poison, without a consumer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.metering.test_block import poison
from tests.servers import TestServer
from tests.stream.dying import DEATHS
from tests.stream.test_chaos import Feeding, assert_exact
from tests.stream.town import a_stream, a_town, assert_conserved, audit, drained, wait_until
from wattstorm.errors import BlockError, FencedOff, LogFull
from wattstorm.metering.block import decode
from wattstorm.store.producer import Producer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(100)]


@pytest.mark.timeout(330)
def test_killed_between_each_two_steps_of_a_batch_a_snapshot_and_a_take_over(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """Before and after each of thirteen, those of the snapshots and of the replay too: exact."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 600, 200, snapshot__every_s=0.3)
        (tmp_path / "deaths").write_text("\n".join(DEATHS))
        stream = a_stream(5, 600, 96)
        engine = running(town, module="tests.stream.dying:DyingCurves")
        feeding = Feeding(town, stream, 300, 140)
        feeding.start()
        feeding.finish()
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 150, "the log to be drained")
        assert engine.poll() is None, "the engine itself must live on"
        assert (tmp_path / "deaths").read_text() == "", "every death was died"
        assert_exact(town, stream)


def test_a_thousand_poisoned_blocks_end_in_dead_letters(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """50 blocks of each of 20 kinds among good ones: no crash, each a dead letter
    with its reason and its bytes, and the good ones are summed exactly."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 600, 200)
        stream = a_stream(6, 600, 48)
        rng = random.Random(20)
        sent: list[bytes] = []
        with town.connect() as connection:
            log = town.log(connection)
            for i in range(1000):
                data = poison(i % 20, rng)
                assert log.append(i % 3, "poison", i // 3 + 1, data, 0).status == "new"
                sent.append(data)
            engine = running(town)
            feeding = Feeding(town, stream, 600, 2)
            feeding.start()
            feeding.finish()
            wait_until(lambda: drained(town, connection), 120, "the log to be drained")
            assert engine.poll() is None
            found: list[tuple[str, bytes]] = []
            for store in town.stores(connection):
                for _, fields in connection.redis.xrange(store.keys.dead):
                    found.append((fields[b"reason"].decode(), fields[b"b"]))
            assert sorted(data for _, data in found) == sorted(sent)
            for reason, data in found:
                with pytest.raises(BlockError) as refused:
                    decode(data)
                assert refused.value.reason == reason
            assert audit(town, connection)["refused_blocks"] == 1000
        assert_exact(town, stream)


def test_without_a_consumer_the_producer_waits_and_the_store_stays_bounded(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """The backlog bound holds, LogFull says so, and what was refused is sent later."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 3_000, 1_000, snapshot__every_s=1.0)
        stream = a_stream(7, 3_000, 144)
        blocks = Feeding(town, stream, 5_000, 0).blocks
        bound = 3 << 20
        with town.connect() as connection:
            producer = Producer(
                town.log(connection),
                "town",
                town.partitions,
                backlog_bytes=bound,
                when_full="block",
                full_timeout_s=1.0,
                hold_bytes=1 << 30,
            )
            at = send_until_full(producer, blocks)
            assert at < len(blocks) - 1
            heads = town.log(connection).statuses(list(town.partitions))
            assert sum(head.appended - head.committed for head in heads) <= bound
            assert connection.redis.info("memory")["used_memory"] < 20 * bound
            running(town)
            producer.full_timeout_s = 60
            producer.flush()
            for block in blocks[at + 1 :]:
                producer.send(block)
            producer.flush()
            wait_until(lambda: drained(town, connection), 120, "the log to be drained")
        assert_exact(town, stream)


def send_until_full(producer: Producer, blocks: list[Any]) -> int:
    """The number of the block at which the log was full."""
    for at, block in enumerate(blocks):
        try:
            producer.send(block)
        except LogFull:
            return at
    raise AssertionError("the log never filled")


def test_a_shedding_producer_counts_what_it_drops(tmp_path: Path) -> None:
    """Nothing is lost in silence: sent + shed is all, and the store holds the count."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 300, 100)
        feeding = Feeding(town, a_stream(8, 300, 144), 500, 0)
        with town.connect() as connection:
            producer = Producer(
                town.log(connection),
                "town",
                town.partitions,
                backlog_bytes=60_000,
                when_full="shed",
            )
            for block in feeding.blocks:
                producer.send(block)
            producer.flush()
            counts = producer.counts
            heads = town.log(connection).statuses(list(town.partitions))
            assert counts.shed_readings == sum(head.shed_readings for head in heads) > 0
            assert counts.sent_readings + counts.shed_readings == feeding.readings


def test_a_zombie_writes_nothing(tmp_path: Path, running: Callable[..., Any]) -> None:
    """A task that owned a partition and woke up after another took it: its commit,
    its trim and its attempt to take it back are refused, and no key changes."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 300, 100)
        stream = a_stream(9, 300, 48)
        with town.connect() as connection:
            store = town.stores(connection)[0]
            birth = connection.server_time_us()
            zombie = store.acquire(birth)
            time.sleep(0.01)
            running(town)
            feeding = Feeding(town, stream, 500, 1)
            feeding.start()
            feeding.finish()
            wait_until(lambda: drained(town, connection), 60, "the log to be drained")
            before = store.fence()
            with pytest.raises(FencedOff):
                store.commit(zombie.token, before.position, before.position + 1, committed_bytes=1)
            with pytest.raises(FencedOff):
                town.log(connection).trim(0, 1, zombie.token)
            with pytest.raises(FencedOff):
                store.acquire(birth)
            assert store.fence() == before
            assert_conserved(audit(town, connection))
        assert_exact(town, stream)
