"""One bound for all partitions: a busy one borrows, none starves, and the counters are exact."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.servers import TestServer
from wattstorm.store.backlog import UNTRIMMED, Backlog, Bound, read, recount
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.keys import backlog_key
from wattstorm.store.log import Append, Log

BYTES, PARTITIONS = 64_000, 64
BOUND = Bound.of(BYTES, PARTITIONS)


@pytest.fixture
def connection(store_url: str) -> Connection:
    return Connection(store_url)


class Stream:
    """Partitions of one log, appended to, committed and trimmed."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.log = connection, Log(connection, "w")
        birth = connection.server_time_us()
        self.stores = [PartitionStore(connection, "w", p) for p in range(PARTITIONS)]
        self.tokens = [store.acquire(birth).token for store in self.stores]
        self.numbers = [0] * PARTITIONS

    def append(self, partition: int, size: int) -> str:
        number = self.numbers[partition] + 1
        block = Append(partition, "a", number, bytes(size), 1)
        (answer,) = self.log.append_many([block], bound=BOUND)
        self.numbers[partition] += answer.status == "new"
        return answer.status

    def fill(self, partition: int, size: int) -> int:
        """Bytes taken until it is full."""
        taken = 0
        while self.append(partition, size) == "new":
            taken += size
        return taken

    def commit(self, partition: int) -> None:
        fence, head = self.stores[partition].fence().position, self.log.status(partition)
        if fence < head.tail:
            self.stores[partition].commit(
                self.tokens[partition],
                fence,
                head.tail,
                committed_bytes=head.appended - head.committed,
            )

    def trim(self, partition: int) -> None:
        fence = self.stores[partition].fence().position
        self.log.trim(partition, fence, self.tokens[partition])

    def backlog(self) -> Backlog:
        return read(self.connection, "w")

    def counted(self) -> Backlog:
        """From the heads of the partitions, without the counters."""
        heads = self.log.statuses(range(PARTITIONS))
        return Backlog(
            sum(h.appended - h.committed for h in heads), sum(h.appended - h.trimmed for h in heads)
        )


def test_a_busy_partition_takes_what_the_others_leave(connection: Connection) -> None:
    """All but the shares of 63 others: an even split gave it a sixty-fourth."""
    stream = Stream(connection)
    assert stream.fill(0, 100) >= 0.75 * BYTES


def test_a_busy_partition_starves_no_other(connection: Connection) -> None:
    """Each has its own share, and at least one block, when one has taken all that it could."""
    stream = Stream(connection)
    stream.fill(0, 100)
    for partition in range(1, PARTITIONS):
        assert stream.fill(partition, 50) == BOUND.own - BOUND.own % 50
    assert stream.append(0, 50) == "full"
    stream.commit(7)
    assert stream.append(7, 10 * BOUND.own) == "new"
    assert stream.append(7, 50) == "full"


def test_together_they_never_pass_the_bound(connection: Connection) -> None:
    """Waiting or kept, whatever the order of appends, commits and trims over 64 partitions."""
    stream, rng = Stream(connection), random.Random(3)
    refused = most = 0
    for _ in range(4_000):
        partition = min(int(rng.expovariate(0.1)), PARTITIONS - 1)
        did = rng.random()
        if did < 0.95:
            refused += stream.append(partition, rng.randint(1, BOUND.own)) == "full"
        elif did < 0.975:
            stream.commit(partition)
        elif did < 0.98:
            stream.trim(partition)
        backlog = stream.backlog()
        assert 0 <= backlog.waiting <= BYTES
        assert backlog.waiting <= backlog.kept <= UNTRIMMED * BYTES
        most = max(most, backlog.waiting)
    assert refused
    assert most > 0.75 * BYTES
    assert stream.backlog() == stream.counted()


def test_what_is_committed_but_not_trimmed_is_bounded_too(connection: Connection) -> None:
    """At four times the bound, of all partitions together; a trim makes room."""
    stream = Stream(connection)
    taken = 0
    while (status := stream.append(5, 100)) == "new":
        taken += 100
        stream.commit(5)
    assert status == "full"
    assert 0.75 * UNTRIMMED * BYTES <= taken <= UNTRIMMED * BYTES
    stream.trim(5)
    assert stream.append(5, 100) == "new"
    assert stream.backlog() == Backlog(100, 100)


def test_a_double_a_gap_and_a_refused_commit_change_no_counter(connection: Connection) -> None:
    """Replays: only what is written is counted, once."""
    stream = Stream(connection)
    stream.append(0, 100)
    assert stream.log.append(0, "a", 1, bytes(100), 1).status == "double"
    assert stream.log.append(0, "a", 3, bytes(100), 1).status == "gap"
    stream.commit(0)
    with pytest.raises(Exception, match="fence"):
        stream.stores[0].commit(stream.tokens[0], 0, 1, committed_bytes=100)
    stream.trim(0)
    stream.trim(0)
    assert stream.backlog() == stream.counted() == Backlog(0, 0)


def test_after_a_store_went_back_the_counters_are_those_of_its_heads(tmp_path: Path) -> None:
    """Killed, its file cut at any byte: script by script all comes back, or nothing."""
    with TestServer(tmp_path / "r", appendfsync="always") as server:
        stream, rng = Stream(Connection(server.url)), random.Random(1)
        for i in range(200):
            stream.append(i % 5, 100)
            if i % 3 == 0:
                stream.commit(i % 5)
            if i % 10 == 0:
                stream.trim(i % 5)
        for _ in range(6):
            server.kill()
            file = max(server.aof_dir.glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)
            size = file.stat().st_size
            with file.open("r+b") as opened:
                opened.truncate(size - rng.randint(1, size // 12))
            server.start()
            stream.connection = Connection(server.url)
            stream.log = Log(stream.connection, "w")
            assert stream.backlog() == stream.counted()


def test_a_store_of_an_earlier_version_is_counted_at_the_start(connection: Connection) -> None:
    """It has heads and no counters; counted twice is no matter."""
    stream = Stream(connection)
    for partition in (0, 9):
        stream.append(partition, 100)
        stream.append(partition, 100)
        stream.commit(partition)
    stream.append(9, 70)
    connection.redis.delete(backlog_key("w"))
    for _ in range(2):
        assert recount(connection, "w", range(PARTITIONS)) == Backlog(70, 470)
        assert stream.backlog() == stream.counted()
