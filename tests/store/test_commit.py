"""The commit on real servers: once, by the owner, all or nothing."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from typing import Any

import pytest

from tests.servers import TestServer
from wattstorm.errors import FencedOff, FenceMoved, LogGap
from wattstorm.store import backlog
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import DeadLetter, DeadLetters
from wattstorm.store.log import Log
from wattstorm.store.sums import writes_of


@pytest.fixture
def connection(store_url: str) -> Connection:
    return Connection(store_url)


def dump(connection: Connection) -> dict[bytes, Any]:
    """Every key with all it holds."""
    return {key: connection.redis.dump(key) for key in connection.redis.keys("*")}


def everything(position: int = 1, expire_days: int = 0) -> dict[str, Any]:
    writes = writes_of(
        highest=7,
        partials={(0, slot): b"sums %d" % slot for slot in range(3)},
        audit={"received": 10, "new": 9, "double": 1, "future": 0},
        by_day={(5, 0): {"received": 10, "wh_accepted": 2**62 + 1}, (-1, 1): {"received": 2}},
        by_producer={"a": {"received": 10}},
        dead=[DeadLetter("checksum", position, 0, b"\x00raw", "what")],
        expire_days=expire_days,
    )
    return {"committed_bytes": 100, "writes": writes}


def test_a_commit_changes_everything_at_once(server: TestServer) -> None:
    """Sums, dirty slots, counters of each kind, dead letters, log head and fence."""
    connection = Connection(server.url)
    store = PartitionStore(connection, "w", 3)
    fence = store.acquire(1)
    assert (fence.position, fence.highest) == (0, -1)
    store.commit(fence.token, 0, 4, **everything())
    found = store.fence()
    assert (found.position, found.highest, found.token) == (4, 7, fence.token)
    redis = connection.redis
    assert redis.hgetall(store.keys.partials) == {b"0:%d" % s: b"sums %d" % s for s in range(3)}
    assert redis.zrange(store.keys.dirty, 0, -1, withscores=True) == [
        (b"0:%d" % s, 4.0) for s in range(3)
    ]
    assert store.audit() == {"received": 10, "new": 9, "double": 1, "dead": 1}
    assert store.audit_day(5, 0) == {"received": 10, "wh_accepted": 2**62 + 1}
    assert (store.audit_day(5, 1), store.audit_day(-1, 1)) == ({}, {"received": 2})
    assert store.audit_producer("a") == {"received": 10}
    assert redis.ttl(store.keys.audit_producer("a")) > 600_000
    letters = DeadLetters(connection, "w")
    assert list(letters.list(3)) == [DeadLetter("checksum", 1, 0, b"\x00raw", "what")]
    assert Log(connection, "w").status(3).committed == 100


@pytest.mark.parametrize("days", [0, 3])
def test_the_counters_of_a_day_outlive_its_results_by_a_month(
    connection: Connection, days: int
) -> None:
    """Counted from their last change; those of the partition stay for ever."""
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    store.commit(token, 0, 1, **everything(expire_days=days))
    left = connection.redis.ttl(store.keys.audit_day(5, 0))
    lifetime = (days + 31) * 86_400
    assert lifetime - 10 < left <= lifetime if days else left == -1
    assert connection.redis.ttl(store.keys.audit) == -1


def test_the_highest_slot_never_falls(connection: Connection) -> None:
    """A batch of old readings leaves it."""
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    store.commit(token, 0, 1, writes_of(highest=9), committed_bytes=1)
    store.commit(token, 1, 2, writes_of(highest=4), committed_bytes=1)
    assert store.fence().highest == 9


def test_a_commit_from_another_fence_writes_nothing(connection: Connection) -> None:
    """Neither again nor ahead of its turn."""
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    store.commit(token, 0, 4, **everything())
    before = dump(connection)
    for expected in (0, 3, 5):
        with pytest.raises(FenceMoved, match="stands at 4") as refused:
            store.commit(token, expected, 6, **everything())
        assert refused.value.found == 4
    assert dump(connection) == before


def test_a_commit_of_entries_that_the_log_no_longer_holds_writes_nothing(
    connection: Connection,
) -> None:
    """The fence is right and so is the last block, but one before it is another's."""
    log, store = Log(connection, "w"), PartitionStore(connection, "w", 0)
    assert log.append(0, "a", 1, b"block 1", 1).status == "new"
    kept = dump(connection)
    for number in (2, 3):
        log.append(0, "a", number, b"block %d" % number, 1)
    read = log.read(0, 1, 3)
    connection.redis.flushall()
    for key, value in kept.items():
        connection.redis.restore(key, 0, value)
    log.append(0, "b", 1, b"block 9", 1)
    fence = store.acquire(1)
    with pytest.raises(LogGap, match="entries 1 to 3"):
        store.commit(fence.token, 0, 3, **everything(), chain=read[-1].chain)
    log.append(0, "a", 2, b"block 3", 1)
    before = dump(connection)
    with pytest.raises(LogGap, match="not those that this batch was made of"):
        store.commit(fence.token, 0, 3, **everything(), chain=read[-1].chain)
    assert dump(connection) == before
    store.commit(fence.token, 0, 3, **everything(), chain=log.read(0, 3, 3)[0].chain)


def test_a_stale_token_writes_nothing(connection: Connection) -> None:
    """A task that slept while another took the partition: every key stays as it was."""
    store = PartitionStore(connection, "w", 0)
    Log(connection, "w").append(0, "a", 1, b"block", 1)
    old = store.acquire(1)
    store.commit(old.token, 0, 1, **everything())
    new = store.acquire(2)
    before = dump(connection)
    with pytest.raises(FencedOff, match=f"owned by task {new.token}"):
        store.commit(old.token, 1, 2, **everything())
    with pytest.raises(FencedOff):
        store.acquire(1)
    with pytest.raises(FencedOff):
        Log(connection, "w").trim(0, 1, old.token)
    assert dump(connection) == before


def _redeliver(url: str, token: str, times: int, results: Any) -> None:
    store = PartitionStore(Connection(url), "w", 0)
    seen: Counter[str] = Counter()
    for _ in range(times):
        try:
            store.commit(token, 0, 4, **everything())
            seen["applied"] += 1
        except FenceMoved:
            seen["moved"] += 1
    results.put(seen)


def test_the_same_commit_a_thousand_times_from_eight_processes_applies_once(
    connection: Connection, store_url: str
) -> None:
    """One of the thousand is told that it did it."""
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    tasks = [
        context.Process(target=_redeliver, args=(store_url, token, 125, results)) for _ in range(8)
    ]
    for task in tasks:
        task.start()
    total: Counter[str] = sum((results.get(timeout=120) for _ in tasks), Counter())
    for task in tasks:
        task.join()
    assert total == {"applied": 1, "moved": 999}
    assert store.audit() == {"received": 10, "new": 9, "double": 1, "dead": 1}
    assert DeadLetters(connection, "w").count(0) == 1


@pytest.mark.parametrize("keep", [0, 5, 100])
def test_dead_letters_are_bounded_and_those_dropped_are_counted(
    connection: Connection, keep: int
) -> None:
    """dead = held + dropped, whatever the bound."""
    store = PartitionStore(connection, "w", 0, keep_dead=keep)
    token = store.acquire(1).token
    for i in range(4):
        dead = [DeadLetter("magic", i, 3, b"%d" % j) for j in range(3)]
        store.commit(token, i, i + 1, writes_of(dead=dead), committed_bytes=1)
    letters = list(DeadLetters(connection, "w").list(0))
    assert len(letters) == min(keep, 12) == DeadLetters(connection, "w").count(0)
    assert store.audit()["dead"] == 12
    account = DeadLetters(connection, "w").account([0])
    assert account.dropped == 12 - len(letters)
    assert account.dropped_readings == 3 * account.dropped
    assert [x.data for x in letters[-2:]] == ([b"1", b"2"] if keep else [])


def test_dead_letters_are_bounded_in_bytes(connection: Connection) -> None:
    """The newest stay; one above the bound is dropped alone; all that is dropped is counted."""
    store = PartitionStore(connection, "w", 0, keep_dead_bytes=10_000)
    letters = DeadLetters(connection, "w")
    token = store.acquire(1).token
    sent = 0

    def commit(*sizes: int) -> None:
        nonlocal sent
        position = store.fence().position
        dead = [DeadLetter("magic", sent + i, 2, b"x" * size) for i, size in enumerate(sizes)]
        sent += len(sizes)
        store.commit(token, position, position + 1, writes_of(dead=dead), committed_bytes=1)
        held = list(letters.list(0))
        account = letters.account([0])
        assert account.held == len(held) == letters.count(0)
        assert account.held_bytes == sum(len(letter.data) + 200 for letter in held) <= 10_000
        assert account.dropped == sent - len(held)
        assert account.dropped_readings == 2 * account.dropped

    def positions() -> list[int]:
        return [letter.position for letter in letters.list(0)]

    commit(3_000, 3_000)
    commit(20_000)
    assert positions() == [0, 1]
    commit(1_000, 20_000, 3_000)
    assert positions() == [1, 3, 5]
    commit(6_000, 5_000, 4_000)
    assert positions() == [7, 8]
    commit(9_700)
    assert positions() == [9]
    assert letters.account([0]).dropped_bytes == 2 * 20_200 + 3 * 3_200 + 1_200 + 16_000 - 400


def test_a_store_whose_dead_letters_have_no_account_gets_one(connection: Connection) -> None:
    """It was written before letters were bounded in bytes."""
    store = PartitionStore(connection, "w", 0, keep_dead_bytes=10_000)
    token = store.acquire(1).token
    for position in range(3):
        dead = [DeadLetter("magic", position, 1, b"x" * 4_000)]
        store.commit(token, position, position + 1, writes_of(dead=dead), committed_bytes=1)
        connection.redis.delete(store.keys.dead_account)
    letters = DeadLetters(connection, "w")
    store.commit(
        token, 3, 4, writes_of(dead=[DeadLetter("magic", 3, 1, b"x" * 4_000)]), committed_bytes=1
    )
    assert [letter.position for letter in letters.list(0)] == [2, 3]
    assert letters.account([0]).held_bytes == 8_400


def test_a_commit_of_thousands_of_slots_passes_luas_limits(connection: Connection) -> None:
    """A backfill touches many slots at once."""
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    partials = {(c, s): b"%d %d" % (c, s) for c in range(2) for s in range(10_000)}
    store.commit(token, 0, 1, writes_of(partials=partials), committed_bytes=1)
    assert connection.redis.hlen(store.keys.partials) == 20_000
    assert connection.redis.zcard(store.keys.dirty) == 20_000
    assert connection.redis.hget(store.keys.partials, "1:9999") == b"1 9999"


def test_what_is_closed_stays_closed(connection: Connection) -> None:
    """Of each channel for itself: a task without memory begins with no window, or a lower one."""
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    lows = {"low:0": b"96", "low:1": b"144"}
    store.commit(token, 0, 1, writes_of(lows={0: 96, 1: 48}), committed_bytes=1)
    store.commit(token, 1, 2, writes_of(lows={0: 48, 1: 144}), committed_bytes=1)
    assert store.fence().scalars == lows
    store.commit(token, 2, 3, committed_bytes=1)
    assert store.fence().scalars == lows


def test_what_is_committed_waits_no_longer(connection: Connection) -> None:
    """In the partition's head and over all of them: producers are let in again."""
    log, store = Log(connection, "w"), PartitionStore(connection, "w", 0)
    for number in (1, 2):
        assert log.append(0, "a", number, b"x" * 500, 1).status == "new"
    appended = [entry.data for entry in log.read(0, 1, 2)]
    token = store.acquire(1).token
    waiting = backlog.read(connection, "w").waiting
    assert waiting >= 1_000
    store.commit(token, 0, 1, committed_bytes=len(appended[0]))
    assert backlog.read(connection, "w").waiting == waiting - 500
    assert log.status(0).committed == 500
