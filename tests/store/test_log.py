"""The log on real servers."""

from __future__ import annotations

import os

import pytest

from tests.servers import TestServer
from wattstorm.errors import FencedOff, FenceMoved, LogGap, StoreFull
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Append, Head, Log
from wattstorm.store.snapshots import Mark
from wattstorm.store.sums import writes_of


@pytest.fixture
def connection(store_url: str) -> Connection:
    return Connection(store_url)


def fill(log: Log, count: int, size: int = 100, partition: int = 0) -> list[bytes]:
    """Blocks of `size` bytes under the next numbers of producer "a"."""
    start = log.last_numbers("a", [partition])[0]
    blocks = [os.urandom(size) for _ in range(count)]
    rows = [Append(partition, "a", start + i + 1, block, 10) for i, block in enumerate(blocks)]
    assert {answer.status for answer in log.append_many(rows)} == {"new"}
    return blocks


def commit_to(connection: Connection, position: int, size: int) -> str:
    """Partition 0 owned, its fence at `position` with `size` bytes behind it; the token."""
    store = PartitionStore(connection, "w", 0)
    fence = store.acquire(connection.server_time_us())
    store.commit(fence.token, fence.position, position, committed_bytes=size)
    return fence.token


def test_entries_come_back_as_they_were_appended_in_order(server: TestServer) -> None:
    """Small and large blocks alike, numbered from 1, with the store's time."""
    connection = Connection(server.url)
    log = Log(connection, "w")
    blocks = fill(log, 3) + fill(log, 2, size=300_000) + [b"\r\n$0\r\n\x00"]
    assert log.append(0, "a", 6, blocks[-1], 1).position == 6
    entries = log.read(0, 1, 6)
    assert [e.data for e in entries] == blocks
    assert [e.position for e in entries] == [1, 2, 3, 4, 5, 6]
    assert abs(entries[0].arrived_ms * 1000 - connection.server_time_us()) < 60_000_000
    assert log.tails([0, 1]) == [6, 0]
    assert log.status(0).appended == sum(map(len, blocks))


def test_a_block_appended_again_is_a_double_and_changes_nothing(connection: Connection) -> None:
    """The same number twice: one entry."""
    log = Log(connection, "w")
    assert log.append(0, "a", 1, b"x", 1) == ("new", 1, 1)
    assert log.append(0, "a", 1, b"x", 1) == ("double", 0, 1)
    assert log.tails([0]) == [1]


def test_a_number_after_a_missing_one_is_a_gap(connection: Connection) -> None:
    """Number 3 is not taken before number 2; producers and partitions count for themselves."""
    log = Log(connection, "w")
    log.append(0, "a", 1, b"x", 1)
    assert log.append(0, "a", 3, b"x", 1) == ("gap", 0, 1)
    assert log.append(0, "b", 1, b"x", 1) == ("new", 2, 1)
    assert log.append(1, "a", 1, b"x", 1) == ("new", 1, 1)


def test_a_full_log_takes_nothing_until_a_commit(connection: Connection) -> None:
    """At the bound an append writes nothing; a commit makes room for it."""
    log = Log(connection, "w", bound=1000)
    fill(log, 10)
    assert log.append(0, "a", 11, b"x", 1) == ("full", 0, 10)
    assert log.status(0) == Head(tail=10, appended=1000)
    commit_to(connection, 5, 500)
    assert log.append(0, "a", 11, b"x", 1).status == "new"


def test_a_log_that_is_never_trimmed_is_full_at_four_times_the_bound(
    connection: Connection,
) -> None:
    """Committed entries still lie in memory: they count until they are trimmed."""
    log = Log(connection, "w", bound=1000)
    token = ""
    for i in range(4):
        fill(log, 10)
        token = commit_to(connection, 10 * (i + 1), 1000)
    assert log.append(0, "a", 41, b"x", 1).status == "full"
    log.trim(0, 1, token)
    assert log.append(0, "a", 41, b"x", 1).status == "new"


def test_a_block_larger_than_the_bound_is_taken_when_nothing_waits(
    connection: Connection,
) -> None:
    """Else it would wait for ever."""
    log = Log(connection, "w", bound=10)
    assert log.append(0, "a", 1, bytes(100), 1).status == "new"
    assert log.append(0, "a", 2, b"x", 1).status == "full"


def test_three_blocks_larger_than_the_bound_are_kept_before_the_log_is_full(
    connection: Connection,
) -> None:
    """Trimming needs two snapshots, those two blocks: with fewer it would never come."""
    log = Log(connection, "w", bound=10)
    for number in (1, 2, 3):
        assert log.append(0, "a", number, bytes(100), 1).status == "new"
        token = commit_to(connection, number, 100)
    assert log.append(0, "a", 4, bytes(100), 1).status == "full"
    log.trim(0, 1, token)
    assert log.append(0, "a", 4, bytes(100), 1).status == "new"


def test_a_shed_block_is_counted_and_its_number_used(connection: Connection) -> None:
    """The next number is no gap."""
    log = Log(connection, "w", bound=10)
    log.append(0, "a", 1, bytes(10), 7)
    assert log.append(0, "a", 2, bytes(10), 7, shed=True) == ("shed", 0, 2)
    assert log.append(0, "a", 3, bytes(10), 7, shed=True).status == "shed"
    head = log.status(0)
    assert (head.shed_blocks, head.shed_readings, head.tail) == (2, 14, 1)


def test_trimming_never_goes_beyond_the_fence(connection: Connection) -> None:
    """What is behind the fence goes and is accounted, what is not stays."""
    log = Log(connection, "w")
    fill(log, 10)
    token = commit_to(connection, 5, 500)
    with pytest.raises(FenceMoved):
        log.trim(0, 6, token)
    assert log.status(0).first == 1
    assert log.trim(0, 4, token) == 5
    assert log.trim(0, 3, token) == 5
    head = log.status(0)
    assert (head.first, head.trimmed, head.tail) == (5, 400, 10)
    assert len(log.read(0, 5, 10)) == 6


def test_trimming_wants_the_owners_token(connection: Connection) -> None:
    """A task that lost the partition trims nothing."""
    log = Log(connection, "w")
    fill(log, 10)
    old = commit_to(connection, 5, 500)
    PartitionStore(connection, "w", 0).acquire(connection.server_time_us())
    with pytest.raises(FencedOff):
        log.trim(0, 4, old)
    assert log.status(0).first == 1


def test_an_emptied_log_goes_on_counting(connection: Connection) -> None:
    """Trimmed to its end, the next entry has the next position."""
    log = Log(connection, "w")
    fill(log, 3)
    assert log.trim(0, 3, commit_to(connection, 3, 300)) == 4
    fill(log, 1)
    assert [e.position for e in log.read(0, 4, 4)] == [4]
    head = log.status(0)
    assert head.appended - head.trimmed == 100


@pytest.mark.parametrize(("first", "last"), [(1, 3), (4, 6), (8, 9)])
def test_missing_entries_are_a_gap_and_never_left_out(
    connection: Connection, first: int, last: int
) -> None:
    """Trimmed ones, and ones that are not there yet."""
    log = Log(connection, "w")
    fill(log, 5)
    log.trim(0, 2, commit_to(connection, 2, 200))
    with pytest.raises(LogGap, match="entries"):
        log.read(0, first, last)


def test_a_store_that_forgot_the_scripts_gets_them_again(connection: Connection) -> None:
    """SCRIPT FLUSH between two calls, in a pipeline too."""
    log = Log(connection, "w")
    fill(log, 5)
    connection.redis.script_flush()
    fill(log, 5)
    connection.redis.script_flush()
    commit_to(connection, 10, 1000)
    assert log.tails([0]) == [10]


def test_full_memory_stops_appends_but_not_commits_and_trims(start_server) -> None:  # type: ignore[no-untyped-def]
    """Else a store that is full would stay so: only the stream can make room."""
    connection = Connection(start_server(maxmemory="12mb").url)
    log = Log(connection, "w")
    number = 1
    with pytest.raises(StoreFull):  # noqa: PT012 (which append it is, is the server's matter)
        while log.append(0, "a", number, bytes(100_000), 1).status == "new":
            number += 1
    taken = log.tails([0])[0]
    assert taken == number - 1
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    store.commit(
        token,
        0,
        taken,
        writes_of(partials={(0, 1): b"s"}, audit={"received": 1}),
        committed_bytes=1,
    )
    log.trim(0, taken, token)
    assert log.append(0, "a", number, bytes(100_000), 1).status == "new"


def test_a_newer_process_takes_the_name_of_an_older_one(connection: Connection) -> None:
    """Two processes under one name would otherwise lose blocks as doubles of each other."""
    log = Log(connection, "w")
    log.claim("a", [0], "1")
    assert log.append(0, "a", 1, b"x", 1, session="1").status == "new"
    assert log.claim("a", [0], "2") == [(True, 1, "1")]
    assert log.append(0, "a", 2, b"x", 1, session="1").status == "taken"
    assert log.append(0, "a", 2, b"x", 1, session="2").status == "new"
    assert log.claim("a", [0], "1") == [(False, 2, "2")]


def test_a_chain_stands_for_all_entries_up_to_its_own(connection: Connection) -> None:
    """The same block in the same millisecond behind another one: another chain."""
    log = Log(connection, "w")
    log.append(0, "a", 1, b"one", 1)
    log.append(1, "a", 1, b"two", 1)
    for number in range(2, 200):
        log.append_many([Append(p, "a", number, b"the same", 1) for p in (0, 1)])
        (left,), (right,) = (log.read(p, number, number) for p in (0, 1))
        if left.arrived_ms == right.arrived_ms:
            assert left.chain != right.chain
            return
    raise AssertionError("no two blocks arrived in one millisecond")


def test_nothing_is_trimmed_behind_a_snapshot_that_the_store_does_not_know(
    connection: Connection,
) -> None:
    """It had it and went back: then the log is all there is."""
    log, store = Log(connection, "w"), PartitionStore(connection, "w", 0)
    fill(log, 3)
    token = commit_to(connection, 3, 300)
    assert store.confirm_snapshot(token, Mark(2, "known"), [])
    with pytest.raises(FenceMoved):
        log.trim(0, 2, token, "forgotten")
    assert log.status(0).first == 1
    assert log.trim(0, 2, token, "known") == 3
