"""Publishing on a real server: never backwards, and nothing that changed is forgotten."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wattstorm.errors import StreamError
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.results import ResultStore, Slot, Stamp


@pytest.fixture
def connection(store_url: str) -> Connection:
    return Connection(store_url)


def stamp(*fences: int) -> Stamp:
    return np.array(fences, np.uint64)


def rows(wh: int, *slots: int) -> dict[Slot, dict[str, str]]:
    row = json.dumps({"wh": wh})
    return {(0, slot): {"nation": row, "region:north": row} for slot in slots}


def committed(connection: Connection, partition: int, position: int, **sums: bytes) -> None:
    store = PartitionStore(connection, "w", partition)
    fence = store.acquire(1)
    partials = {(0, int(name[1:])): value for name, value in sums.items()}
    store.commit(fence.token, fence.position, position, committed_bytes=1, partials=partials)


def test_published_rows_are_read_back_by_label_and_day(connection: Connection) -> None:
    """Over several days, in order of slots."""
    results = ResultStore(connection, "w")
    assert results.write(1, rows(5, 49, 48), stamp(1, 1)) == {(0, 48), (0, 49)}
    results.write(0, rows(7, 3), stamp(1, 1))
    assert results.days() == [0, 1]
    assert results.curve(0, "nation", [1, 0]) == {3: {"wh": 7}, 48: {"wh": 5}, 49: {"wh": 5}}
    assert results.curve(0, "region:south", [0, 1]) == {} == results.curve(1, "nation", [0])
    assert results.curve(0, "nation", []) == {}


@pytest.mark.parametrize(
    ("later", "accepted"),
    [((5, 5), True), ((6, 5), True), ((5, 4), False), ((9, 4), False), ((0, 0), False)],
)
def test_a_stale_stamp_is_refused(
    connection: Connection, later: tuple[int, int], accepted: bool
) -> None:
    """A row is replaced only by one that saw at least as much of every partition."""
    results = ResultStore(connection, "w")
    results.write(0, rows(1, 3), stamp(5, 5))
    assert results.write(0, rows(2, 3, 4), stamp(*later)) == (
        {(0, 3), (0, 4)} if accepted else {(0, 4)}
    )
    assert results.curve(0, "nation", [0])[3] == {"wh": 2 if accepted else 1}


def test_stamps_are_exact_far_beyond_any_log(connection: Connection) -> None:
    """Positions near 2^53 differ by one and are told apart."""
    results = ResultStore(connection, "w")
    top = 2**53 - 1
    results.write(0, rows(1, 3), stamp(top, 0))
    assert results.write(0, rows(2, 3), stamp(top - 1, 0)) == set()
    assert results.write(0, rows(2, 3), stamp(top, 1)) == {(0, 3)}


def test_a_register_that_grew_publishes_over_what_it_published(connection: Connection) -> None:
    """New partitions are no reason to refuse a newer stamp; fewer than before are an error."""
    results = ResultStore(connection, "w")
    results.write(0, rows(1, 3), stamp(5, 5))
    assert results.write(0, rows(2, 3), stamp(5, 4, 9)) == set()
    assert results.write(0, rows(2, 3), stamp(5, 5, 0)) == {(0, 3)}
    with pytest.raises(StreamError, match="more partitions than 2"):
        results.write(0, rows(3, 3), stamp(9, 9))


def test_partials_come_with_the_fence_of_the_same_moment(connection: Connection) -> None:
    """A partition that has nothing of a slot says None."""
    committed(connection, 0, 4, s1=b"a", s2=b"b")
    committed(connection, 1, 9, s2=b"c")
    fences, sums = ResultStore(connection, "w").read_partials([(0, 1), (0, 2)], [0, 1, 2])
    assert fences.tolist() == [4, 9, 0]
    assert sums == {(0, 1): [b"a", None, None], (0, 2): [b"b", b"c", None]}


def test_a_slot_that_changed_after_it_was_read_stays_dirty(connection: Connection) -> None:
    """Only what was published is cleared."""
    results = ResultStore(connection, "w")
    committed(connection, 0, 4, s1=b"a", s2=b"b")
    committed(connection, 1, 2, s1=b"a")
    assert results.dirty([0, 1]) == {(0, 1), (0, 2)}
    seen = results.read_partials([(0, 1), (0, 2)], [0, 1]).fences
    committed(connection, 0, 5, s2=b"bb")
    assert results.clear_dirty([(0, 1), (0, 2)], [0, 1], seen) == 2
    assert results.dirty([0, 1]) == {(0, 2)}


def test_results_expire_when_told_to(connection: Connection) -> None:
    """Every key of the day, and the day leaves the list."""
    results = ResultStore(connection, "w", expire_days=2)
    results.write(0, rows(1, 3), stamp(1))
    keys = connection.redis.keys("{w:day:0}*")
    assert len(keys) == 3
    assert all(0 < connection.redis.ttl(key) <= 2 * 86_400 for key in keys)
    connection.redis.zadd("w:days", {"0": 1.0})
    assert results.days() == []


def test_thousands_of_slots_in_one_write_pass_luas_limits(connection: Connection) -> None:
    """As a backfill of many channels and labels does."""
    results = ResultStore(connection, "w")
    assert len(results.write(0, rows(1, *range(5_000)), stamp(1))) == 5_000
    assert len(results.curve(0, "region:north", [0])) == 5_000


def test_audit_adds_the_partitions_up(connection: Connection) -> None:
    """Counters of all partitions under one name."""
    for p in range(3):
        store = PartitionStore(connection, "w", p)
        store.commit(store.acquire(1).token, 0, 1, committed_bytes=1, audit={"received": p + 1})
    assert ResultStore(connection, "w").audit([0, 1, 2]) == {"received": 6}


def test_the_stores_card_is_kept(connection: Connection) -> None:
    """Text fields, as they were written."""
    results = ResultStore(connection, "w")
    assert results.meta() == {}
    results.write_meta({"partitions": "8", "labels": '["nation"]'})
    assert results.meta() == {"partitions": "8", "labels": '["nation"]'}
