"""The producer against servers that fill up, die and forget."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.servers import TestServer
from wattstorm.errors import BlocksLost, LogFull, StreamError
from wattstorm.metering.block import Block, decode, encode, readings
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer


def block(i: int, partition: int = 0, count: int = 10) -> Block:
    return readings(partition, np.arange(count), 5, np.full(count, i % 60_000))


SIZE = len(encode(block(1)))


def producer(connection: Connection, partitions: int = 1, **options: Any) -> Producer:
    options = {"backlog_bytes": 1 << 30, "hold_s": 3.0} | options
    return Producer(Log(connection, "w"), "p", range(partitions), **options)


def contents(connection: Connection, partition: int = 0) -> list[int]:
    """What `block` was given, for each entry; the numbers inside run without holes."""
    log = Log(connection, "w")
    tail = log.tails([partition])[0]
    blocks = [decode(e.data) for e in log.read(partition, 1, tail)] if tail else []
    assert [b.number for b in blocks] == list(range(1, tail + 1))
    return [int(b.wh[0]) for b in blocks]


def commit_all(connection: Connection) -> None:
    head = Log(connection, "w").status(0)
    store = PartitionStore(connection, "w", 0)
    fence = store.acquire(connection.server_time_us())
    waiting = head.appended - head.committed
    store.commit(fence.token, fence.position, head.tail, committed_bytes=waiting)


@pytest.fixture
def connection(store_url: str) -> Connection:
    return Connection(store_url)


def test_blocks_arrive_in_order_under_running_numbers(connection: Connection) -> None:
    """Each partition for itself; a second producer of that name goes on where it ended."""
    for start in (0, 50):
        sender = producer(connection, 2)
        for i in range(start, start + 50):
            sender.send(block(i, i % 2))
        sender.flush()
        assert (sender.counts.sent_blocks, sender.counts.sent_readings) == (50, 500)
    assert contents(connection, 0) == list(range(0, 100, 2))
    assert contents(connection, 1) == list(range(1, 100, 2))


def test_a_full_log_blocks_the_producer_until_the_stream_commits(connection: Connection) -> None:
    """Nothing is lost, nothing beyond the bound is stored."""
    # Never trimmed here, so four times the bound is all that the log takes.
    sender = producer(connection, backlog_bytes=30 * SIZE, hold_bytes=1 << 20)
    done = threading.Event()

    def run() -> None:
        for i in range(100):
            sender.send(block(i))
        sender.flush()
        done.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    most = 0
    while not done.wait(0.01):
        head = Log(connection, "w").status(0)
        most = max(most, head.appended - head.committed)
        commit_all(connection)
    assert most <= 30 * SIZE
    assert contents(connection) == list(range(100))
    assert sender.counts.waited_s > 0
    assert sender.counts.shed_blocks == 0


def test_a_full_log_is_an_error_when_nobody_makes_room_in_time(connection: Connection) -> None:
    """And the blocks are still there for the next try."""
    sender = producer(connection, backlog_bytes=5 * SIZE, full_timeout_s=0.1, hold_bytes=1 << 20)
    for i in range(8):
        sender.send(block(i))
    with pytest.raises(LogFull, match="3 blocks wait"):
        sender.flush()
    commit_all(connection)
    sender.flush()
    assert contents(connection) == list(range(8))


def test_a_producer_that_sheds_counts_what_it_shed(connection: Connection) -> None:
    """sent + shed = what was given, here and in the store."""
    sender = producer(connection, backlog_bytes=10 * SIZE, when_full="shed", hold_bytes=1 << 20)
    for i in range(100):
        sender.send(block(i))
    sender.flush()
    counts = sender.counts
    assert (counts.sent_blocks, counts.shed_blocks, counts.shed_readings) == (10, 90, 900)
    head = Log(connection, "w").status(0)
    assert (head.tail, head.shed_blocks, head.shed_readings) == (10, 90, 900)
    commit_all(connection)
    sender.send(block(7))
    sender.flush()
    assert sender.counts.sent_blocks == 11


def test_a_store_with_full_memory_is_waited_for_or_shed(
    start_server: Callable[..., TestServer],
) -> None:
    """maxmemory is a bound like the other."""
    connection = Connection(start_server(maxmemory="12mb").url)
    sender = producer(connection, when_full="shed")
    for i in range(300):
        sender.send(block(i, count=50_000))
    sender.flush()
    counts = sender.counts
    assert counts.sent_blocks == Log(connection, "w").tails([0])[0]
    assert counts.shed_blocks == 300 - counts.sent_blocks > 100


def test_held_blocks_are_let_go_when_they_are_safe(server: TestServer) -> None:
    """On disk where the store tells (Valkey, Redis 7.2), after hold_s where it does not."""
    sender = producer(Connection(server.url), hold_s=0.3)
    sender.send(block(1))
    sender.flush()
    assert sender.lanes.held_bytes == SIZE
    sender.close()
    assert sender.lanes.held_bytes == 0


def test_memory_for_held_blocks_is_bounded(connection: Connection) -> None:
    """At the bound send waits until some are safe."""
    sender = producer(connection, hold_bytes=20 * SIZE, hold_s=0.1)
    most = 0
    for i in range(200):
        sender.send(block(i))
        most = max(most, sender.lanes.held_bytes + sender.lanes.pending_bytes)
    assert most <= (20 + 2 * sender.depth) * SIZE
    sender.flush()
    assert contents(connection) == list(range(200))


def cut_aof(server: TestServer, keep: float) -> None:
    """A power cut: the end of the append-only file never reached the disk."""
    server.kill()
    files = sorted(server.aof_dir.glob("*.incr.aof")) if server.aof_dir.is_dir() else []
    path: Path = files[-1] if files else server.directory / "appendonly.aof"
    os.truncate(path, int(path.stat().st_size * keep))
    server.start()


@pytest.mark.parametrize("keep", [0.9, 0.31, 0.02])
def test_what_the_store_lost_is_sent_again(server: TestServer, keep: float) -> None:
    """Killed, its file cut at any point, started again: the same entries as if nothing was."""
    connection = Connection(server.url)
    sender = producer(connection, 1, hold_s=30)
    for i in range(60):
        sender.send(block(i))
    sender.flush()
    cut_aof(server, keep)
    left = Log(connection, "w").tails([0])[0]
    assert left < 60
    for i in range(60, 100):
        sender.send(block(i))
    sender.flush()
    assert contents(connection) == list(range(100))
    assert (sender.counts.sent_blocks, sender.counts.resent_blocks) == (100, 60 - left)


def test_a_loss_is_noticed_without_sending(server: TestServer) -> None:
    """The last blocks of a source are no less safe than the others: close looks."""
    connection = Connection(server.url)
    sender = producer(connection, 1, hold_s=1.0)
    for i in range(60):
        sender.send(block(i))
    sender.flush()
    cut_aof(server, 0.5)
    sender.close()
    assert contents(connection) == list(range(60))


def test_a_store_that_dies_while_blocks_flow_is_waited_for(server: TestServer) -> None:
    """Answers lost or not: each block is there once."""
    connection = Connection(server.url)
    sender = producer(connection, 1, hold_s=30)
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            time.sleep(0.15)
            server.restart(kill=True)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for i in range(1500):
            sender.send(block(i))
            time.sleep(0.0005)
    finally:
        stop.set()
        thread.join()
    sender.flush()
    assert contents(connection) == list(range(1500))


def test_a_loss_beyond_what_is_held_is_an_error_that_names_it(server: TestServer) -> None:
    """What is still held is sent again first; the store is usable after."""
    connection = Connection(server.url)
    sender = producer(connection, 1, hold_s=0.0)
    for i in range(50):
        sender.send(block(i))
    sender.close()
    sender._safety.hold_s, sender._safety._tells = 60.0, False
    sender.send(block(50))
    sender.flush()
    connection.redis.flushall()
    sender.send(block(51))
    with pytest.raises(BlocksLost, match="numbers 1 to 50"):
        sender.flush()
    assert sender.counts.lost_blocks == 50
    sender.send(block(52))
    sender.flush()
    entries = Log(connection, "w").read(0, 1, 3)
    assert [decode(e.data).number for e in entries] == [51, 52, 53]


def test_an_older_process_of_the_same_name_is_stopped(connection: Connection) -> None:
    """Rather than lose its blocks as doubles of the other's."""
    old = producer(connection)
    new = producer(connection)
    new.send(block(1))
    new.flush()
    old.send(block(2))
    with pytest.raises(StreamError, match="another process"):
        old.flush()
    assert contents(connection) == [1]


@pytest.mark.parametrize("sent", [0, 2])
def test_a_producer_that_began_at_another_store_is_told_so(tmp_path: Path, sent: int) -> None:
    """The address leads to another store while it starts; at home its numbers are used already,
    and its blocks, those it sent there too, must not count as doubles of others."""
    home, other = TestServer(tmp_path / "home"), TestServer(tmp_path / "other")
    link = tmp_path / "address.sock"

    def leads_to(here: TestServer, away: TestServer) -> None:
        away.kill()
        if not here.running:
            here.start()
        link.unlink(missing_ok=True)
        link.symlink_to(here.socket)

    leads_to(home, other)
    with Connection(f"unix://{link}") as connection:
        with producer(connection) as first:
            for i in range(5):
                first.send(block(i))
        leads_to(other, home)
        second = producer(connection)
        for i in range(sent):
            second.send(block(100 + i))
        second.flush()
        leads_to(home, other)
        second.send(block(200))
        with pytest.raises(StreamError, match="began with another store"):
            second.flush()
        with producer(connection) as third:  # as its remedy says
            third.send(block(200))
        assert contents(connection) == [0, 1, 2, 3, 4, 200]
    home.kill()


def test_a_producer_starts_though_the_stores_clock_was_ahead(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set right by an hour: the new process has the name, the one from the future lost it."""
    real = Connection.server_time_us
    monkeypatch.setattr(Connection, "server_time_us", lambda self: real(self) + 3_600_000_000)
    old = producer(connection)
    old.send(block(1))
    old.flush()
    monkeypatch.undo()
    new = producer(connection)
    new.send(block(2))
    new.flush()
    old.send(block(3))
    with pytest.raises(StreamError, match="another process"):
        old.flush()
    assert contents(connection) == [1, 2]


def telling(server: TestServer) -> Connection:
    """A connection to a server that knows what is on its disk."""
    connection = Connection(server.url)
    if not connection.durable_supported:
        pytest.skip("this server has no WAITAOF")
    return connection


def test_a_block_is_held_as_long_as_the_disk_has_it_not(
    start_server: Callable[..., TestServer],
) -> None:
    """A store that never syncs never says so, however long the producer asks."""
    sender = producer(telling(start_server(appendfsync="no")), hold_s=0.0)
    sender.send(block(1))
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        sender.flush()
        time.sleep(0.06)
    assert sender.lanes.held_bytes == SIZE


def test_a_producer_looks_for_a_loss_before_it_asks_the_disk_of_a_new_run(
    start_server: Callable[..., TestServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks sent after the last question and lost before the next: the disk of the server
    that came back holds all that it knows of, but not them."""
    server = start_server(appendfsync="always")
    sender = producer(telling(server), hold_s=3600)
    sender.send(block(1))
    sender.flush()
    while sender._safety._probe is not None:
        time.sleep(0.06)
        sender.flush()
    monkeypatch.setattr("wattstorm.store.lanes.LOOK_S", 3600.0)
    file = max(server.aof_dir.glob("*.incr.aof"))
    on_disk = file.stat().st_size
    sender.send(block(2))
    sender.flush()
    monkeypatch.undo()
    assert sender._safety._probe is None
    assert sender.lanes.held_bytes > 0
    server.kill()
    os.truncate(file, on_disk)
    server.start()
    sender.close()
    assert contents(Connection(server.url)) == [1, 2]
