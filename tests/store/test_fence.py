"""Who owns a partition: birth, takes, tries, tokens and the snapshots that a fence knows."""

from __future__ import annotations

import pytest

from wattstorm.errors import FencedOff
from wattstorm.store.commit import PartitionStore, give_birth
from wattstorm.store.connection import Connection
from wattstorm.store.snapshots import Mark
from wattstorm.store.sums import writes_of


@pytest.fixture
def connection(store_url: str) -> Connection:
    return Connection(store_url)


def test_nobody_commits_to_a_partition_that_nobody_took(connection: Connection) -> None:
    """As after a store that came back empty."""
    with pytest.raises(FencedOff, match="nobody"):
        PartitionStore(connection, "w", 0).commit("1:x", 0, 1, committed_bytes=1)
    assert connection.redis.keys("*") == []


def test_taking_a_partition_again_raises_its_epoch_and_keeps_its_fence(
    connection: Connection,
) -> None:
    """Also for the same task: its own older token is worth nothing then."""
    store = PartitionStore(connection, "w", 0)
    first = store.acquire(5)
    store.commit(first.token, 0, 3, writes_of(highest=8), committed_bytes=1)
    again = store.acquire(5)
    assert (again.position, again.highest, again.epoch) == (3, 8, first.epoch + 1)
    with pytest.raises(FencedOff):
        store.commit(first.token, 3, 4, committed_bytes=1)


def test_a_task_is_born_later_than_all_before_it_whatever_the_clock_says(
    connection: Connection,
) -> None:
    """A clock that was ahead and is set right, or a store that went back to before a birth."""
    assert abs(give_birth(connection, "w") - connection.server_time_us()) < 60_000_000
    ahead = connection.server_time_us() + 3_600_000_000
    connection.redis.set("w:births", ahead)
    births = [give_birth(connection, "w") for _ in range(3)]
    assert births == [ahead + 1, ahead + 2, ahead + 3]
    assert connection.redis.ttl("w:births") == -1
    store = PartitionStore(connection, "w", 0)
    store.acquire(births[2])
    connection.redis.delete("w:births")  # a store that went back to before they were given out
    with pytest.raises(FencedOff):
        store.acquire(give_birth(connection, "w"))
    store.acquire(births[2])  # it lives, and says so with every partition that it takes
    store.acquire(give_birth(connection, "w"))


def test_a_snapshot_is_confirmed_by_the_partitions_owner_alone(connection: Connection) -> None:
    """Not by who lost it, nor of positions that the store lost; only those named stay known."""
    store = PartitionStore(connection, "w", 0)
    old = store.acquire(1)
    store.commit(old.token, 0, 5, committed_bytes=1)
    marks = [Mark(position, f"n{position}") for position in (2, 3, 5, 6)]
    assert store.confirm_snapshot(old.token, marks[0], [])
    assert store.confirm_snapshot(old.token, marks[1], marks[:1])
    assert not store.confirm_snapshot(old.token, marks[2], [Mark(3, "forgotten")])
    assert store.confirm_snapshot(old.token, marks[2], marks[1:2])
    assert not store.confirm_snapshot(old.token, marks[3], [])
    new = store.acquire(2)
    assert new.snapshots == (marks[1], marks[2])
    assert not store.confirm_snapshot(old.token, marks[2], [])
    again = store.acquire(2)
    assert (again.snapshots, again.lineage) == (new.snapshots, old.lineage)
    assert PartitionStore(connection, "w", 1).acquire(2).lineage != old.lineage


def test_takes_are_counted_until_the_fence_moves(connection: Connection) -> None:
    """One that moved it is no sign of a block that kills its task: the next may go on at once."""
    store = PartitionStore(connection, "w", 0)
    assert [store.acquire(birth).takes for birth in (1, 2)] == [1, 2]
    token = store.acquire(3).token
    store.commit(token, 0, 1, committed_bytes=1)
    assert store.acquire(4).takes == 1


def test_tries_of_a_block_are_counted_by_owner_until_it_is_poison(connection: Connection) -> None:
    """What one owner tries again, because the store failed it, is one try; so under a new token
    of its own. A fault of the installation is no try at all."""
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    assert [store.try_block(token, 1, 3) for _ in range(3)] == [(True, 1)] * 3
    assert store.try_block(store.renew(token), 1, 3) == (True, 1)
    token = store.acquire(2).token
    assert store.try_block(token, 1, 3) == (True, 2)
    store.stand_still(token, "no register")
    assert [store.try_block(store.acquire(birth).token, 1, 3) for birth in (3, 4, 5, 6)] == [
        (True, 1),
        (True, 2),
        (True, 3),
        (False, 3),
    ]


def test_a_renewed_token_is_another_and_the_old_one_is_worth_nothing(
    connection: Connection,
) -> None:
    """Else a commit that is still on its way would be taken for one of now."""
    store = PartitionStore(connection, "w", 0)
    old = store.acquire(1).token
    new = store.renew(old)
    with pytest.raises(FencedOff):
        store.commit(old, 0, 1, committed_bytes=1)
    store.commit(new, 0, 1, committed_bytes=1)
    with pytest.raises(FencedOff):
        store.renew(old)
