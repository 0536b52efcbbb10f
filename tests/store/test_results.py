"""Publishing on a real server: never backwards, and nothing that changed is forgotten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wattstorm.errors import StreamError
from wattstorm.metering.results import SlotResult, SlotRows
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.keys import partition_keys
from wattstorm.store.results import ResultStore, Seen, Slot
from wattstorm.store.sums import writes_of


@pytest.fixture
def connection(store_url: str) -> Connection:
    return Connection(store_url)


def stand(connection: Connection, *positions: int, owner: str = "t") -> None:
    """The fences of partitions 0, 1, … stand there and have this owner."""
    for p, position in enumerate(positions):
        fence = {"position": position, "owner": owner}
        connection.redis.hset(partition_keys("w", p).fence, mapping=fence)


def seen(*positions: int, owner: str = "t") -> Seen:
    return Seen(np.array(positions, np.uint64), (owner,) * len(positions))


def result(wh: int, *, final: bool = True) -> SlotResult:
    return SlotResult(wh, readings=1, expected=2, revision=1, final=final)


def rows(wh: int, *slots: int, final: bool = True) -> dict[Slot, SlotRows]:
    row = result(wh, final=final)
    return {(0, slot): SlotRows({"nation": row, "region:north": row}) for slot in slots}


def write(results: ResultStore, day: int, made: dict[Slot, SlotRows], of: Seen) -> set[Slot]:
    written = results.write(day, made, range(len(of.stamp)), of)
    assert not written.moved
    return written.accepted


def committed(connection: Connection, partition: int, position: int, **sums: bytes) -> None:
    """By the partition's owner, who stays the same."""
    store = PartitionStore(connection, "w", partition)
    fence = store.fence()
    fence = fence if fence.token else store.acquire(1)
    partials = {(0, int(name[1:])): value for name, value in sums.items()}
    store.commit(
        fence.token, fence.position, position, writes_of(partials=partials), committed_bytes=1
    )


def test_published_rows_are_read_back_by_label_and_day(connection: Connection) -> None:
    """Over several days, in order of slots."""
    results = ResultStore(connection, "w")
    stand(connection, 1, 1)
    assert write(results, 1, rows(5, 49, 48), seen(1, 1)) == {(0, 48), (0, 49)}
    write(results, 0, rows(7, 3), seen(1, 1))
    assert results.days() == [0, 1]
    assert results.curve(0, "nation", [1, 0]) == {3: result(7), 48: result(5), 49: result(5)}
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
    stand(connection, 9, 9)
    write(results, 0, rows(1, 3), seen(5, 5))
    assert write(results, 0, rows(2, 3, 4), seen(*later)) == (
        {(0, 3), (0, 4)} if accepted else {(0, 4)}
    )
    assert results.curve(0, "nation", [0])[3] == result(2 if accepted else 1)


def test_stamps_are_exact_far_beyond_any_log(connection: Connection) -> None:
    """Positions near 2^53 differ by one and are told apart."""
    results = ResultStore(connection, "w")
    top = 2**53 - 1
    stand(connection, top, 1)
    write(results, 0, rows(1, 3), seen(top, 0))
    assert write(results, 0, rows(2, 3), seen(top - 1, 0)) == set()
    assert write(results, 0, rows(2, 3), seen(top, 1)) == {(0, 3)}


def test_a_register_that_grew_publishes_over_what_it_published(connection: Connection) -> None:
    """New partitions are no reason to refuse a newer stamp; fewer than before are an error."""
    results = ResultStore(connection, "w")
    stand(connection, 9, 9, 9)
    write(results, 0, rows(1, 3), seen(5, 5))
    assert write(results, 0, rows(2, 3), seen(5, 4, 9)) == set()
    assert write(results, 0, rows(2, 3), seen(5, 5, 0)) == {(0, 3)}
    with pytest.raises(StreamError, match="more partitions than 2"):
        write(results, 0, rows(3, 3), seen(9, 9))


@pytest.mark.parametrize(
    ("now", "owner"), [((5, 3), "t"), ((0, 4), "t"), ((5, 4), "another"), ((9, 9), "another")]
)
def test_sums_of_a_lost_history_are_not_published(
    connection: Connection, now: tuple[int, int], owner: str
) -> None:
    """The store went back since they were read: a fence is lower, or its owner another."""
    results = ResultStore(connection, "w")
    stand(connection, *now, owner=owner)
    connection.redis.zadd(partition_keys("w", 0).dirty, {"0:3": 0})
    written = results.write(0, rows(9, 3), [0, 1], seen(5, 4))
    assert (written.accepted, written.moved) == (set(), True)
    assert results.curve(0, "nation", [0]) == {}
    assert results.dirty([0, 1]) == {(0, 3)}
    stand(connection, *now, owner="t")
    assert results.write(0, rows(9, 3), [0, 1], seen(*now)).accepted == {(0, 3)}
    assert results.dirty([0, 1]) == set()


@pytest.mark.parametrize("lost", [(9, 0), (0, 9), (9, 9)])
def test_a_row_of_a_lost_history_is_overwritten(
    connection: Connection, lost: tuple[int, int]
) -> None:
    """Its stamp stands above a fence of today, so no sum that it was made of is left."""
    results = ResultStore(connection, "w")
    stand(connection, *lost)
    write(results, 0, rows(9, 3), seen(*lost))
    stand(connection, 3, 3, owner="next")
    assert write(results, 0, rows(1, 3), seen(2, 2, owner="next")) == {(0, 3)}
    assert write(results, 0, rows(2, 3), seen(1, 2, owner="next")) == set()
    assert results.curve(0, "nation", [0])[3] == result(1)


def test_neither_of_two_rows_that_know_what_the_other_does_not_is_the_last(
    connection: Connection,
) -> None:
    """Of incomparable stamps the second is refused, and what it alone saw stays dirty."""
    results = ResultStore(connection, "w")
    committed(connection, 0, 4, s3=b"a")
    committed(connection, 1, 8, s3=b"b")
    one = results.read_partials([(0, 3)], [0, 1]).fences
    committed(connection, 0, 5, s3=b"aa")
    newer = results.read_partials([(0, 3)], [0, 1]).fences
    committed(connection, 1, 9, s3=b"bb")
    last = results.read_partials([(0, 3)], [0, 1]).fences
    owners = last.owners
    ahead = Seen(np.array([newer.stamp[0], one.stamp[1]]), owners)
    aside = Seen(np.array([one.stamp[0], last.stamp[1]]), owners)
    assert write(results, 0, rows(1, 3), ahead) == {(0, 3)}
    assert write(results, 0, rows(2, 3, 4), aside) == {(0, 4)}
    assert connection.redis.zrange(partition_keys("w", 0).dirty, 0, -1) == []
    assert results.dirty([1]) == {(0, 3)}
    assert write(results, 0, rows(3, 3), last) == {(0, 3)}
    assert results.dirty([0, 1]) == set()


def test_partials_come_with_the_fence_of_the_same_moment(connection: Connection) -> None:
    """A partition that has nothing of a slot says None."""
    committed(connection, 0, 4, s1=b"a", s2=b"b")
    committed(connection, 1, 9, s2=b"c")
    fences, sums, _ = ResultStore(connection, "w").read_partials([(0, 1), (0, 2)], [0, 1, 2])
    assert fences.stamp.tolist() == [4, 9, 0]
    assert sums == {(0, 1): [b"a", None, None], (0, 2): [b"b", b"c", None]}


def test_sums_are_never_older_or_newer_than_their_fence(
    connection: Connection, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit between any two round trips of the reading is in both or in neither."""
    real, position = Connection.run, 0
    with Connection(store_url) as other:

        def run(self: Connection, *given: Any) -> Any:
            nonlocal position
            if self is connection:
                position += 1
                committed(other, 0, position, s1=b"%d" % position)
            return real(self, *given)

        monkeypatch.setattr(Connection, "run", run)
        for _ in range(3):
            found = ResultStore(connection, "w").read_partials([(0, 1)], [0])
            assert found.sums[0, 1] == [b"%d" % found.fences.stamp[0]]
    assert position >= 3


def test_a_slot_that_changed_after_it_was_read_stays_dirty(connection: Connection) -> None:
    """Only what was published is cleared, in the same step."""
    results = ResultStore(connection, "w")
    committed(connection, 0, 4, s1=b"a", s2=b"b")
    committed(connection, 1, 2, s1=b"a")
    assert results.dirty([0, 1]) == {(0, 1), (0, 2)}
    read = results.read_partials([(0, 1), (0, 2)], [0, 1]).fences
    store, owner = PartitionStore(connection, "w", 0), read.owners[0]
    store.commit(owner, 4, 5, writes_of(partials={(0, 2): b"bb"}), committed_bytes=1)
    write(results, 0, rows(1, 1, 2), read)
    assert results.dirty([0, 1]) == {(0, 2)}


def test_a_row_of_no_readings_only_takes_the_place_of_another(connection: Connection) -> None:
    """Else each scope that nothing is expected of would have rows."""
    results = ResultStore(connection, "w")
    stand(connection, 2)
    write(results, 0, rows(5, 3), seen(1))
    zero = SlotRows({"nation": result(5)}, {"region:north": result(0)})
    write(results, 0, {(0, 3): zero, (0, 4): zero}, seen(2))
    assert results.curve(0, "region:north", [0]) == {3: result(0)}
    assert set(results.curve(0, "nation", [0])) == {3, 4}


def test_what_is_not_final_is_remembered_until_it_is(connection: Connection) -> None:
    """In the step that writes its rows, so that a deadline finds each of them."""
    results = ResultStore(connection, "w")
    stand(connection, 2)
    write(results, 0, rows(1, 3, 5, final=False), seen(1))
    assert results.provisional(4) == {(0, 3)}
    write(results, 0, rows(2, 3), seen(2))
    assert results.provisional(9) == {(0, 5)}


def test_results_expire_when_told_to(connection: Connection) -> None:
    """Every key of the day, and the day leaves the list, by the store's clock."""
    results = ResultStore(connection, "w", expire_days=2)
    stand(connection, 1)
    write(results, 0, rows(1, 3), seen(1))
    keys = connection.redis.keys("{w:day:0}*")
    assert len(keys) == 3
    assert all(0 < connection.redis.ttl(key) <= 2 * 86_400 for key in keys)
    now = connection.server_time_us() / 1e6
    assert now < connection.redis.zscore("w:days", "0") <= now + 2 * 86_400
    connection.redis.zadd("w:days", {"0": 1.0})
    assert results.days() == []


def test_results_that_were_to_expire_stay_when_told_so_later(connection: Connection) -> None:
    """Those that change again, and those that do not, with the counters of their days."""
    stand(connection, 2)
    brief = ResultStore(connection, "w", expire_days=2)
    write(brief, 0, rows(1, 3), seen(1))
    write(brief, 1, rows(1, 50), seen(1))
    store = PartitionStore(connection, "w", 0)
    token = store.acquire(1).token
    store.commit(
        token, 2, 3, writes_of(by_day={(0, 0): {"new": 1}}, expire_days=2), committed_bytes=1
    )
    results = ResultStore(connection, "w")
    stand(connection, 3)
    write(results, 1, rows(2, 50), seen(2))
    assert {connection.redis.ttl(key) for key in connection.redis.keys("{w:day:1}*")} == {-1}
    results.keep_for_ever(["nation", "region:north"], [0])
    assert {connection.redis.ttl(key) for key in connection.redis.keys("*")} == {-1}
    assert connection.redis.zrange("w:days", 0, -1, withscores=True) == [
        (b"0", float("inf")),
        (b"1", float("inf")),
    ]


def test_thousands_of_slots_in_one_write_pass_luas_limits(connection: Connection) -> None:
    """As a backfill of many channels and labels does."""
    results = ResultStore(connection, "w")
    committed(connection, 0, 1, **{f"s{slot}": b"a" for slot in range(5_000)})
    read = results.read_partials([(0, 1)], [0]).fences
    assert len(write(results, 0, rows(1, *range(5_000)), read)) == 5_000
    assert results.dirty([0]) == set()
    assert len(results.curve(0, "region:north", [0])) == 5_000


def test_audit_adds_the_partitions_up(connection: Connection) -> None:
    """Counters of all partitions under one name."""
    for p in range(3):
        store = PartitionStore(connection, "w", p)
        store.commit(
            store.acquire(1).token, 0, 1, writes_of(audit={"received": p + 1}), committed_bytes=1
        )
    assert ResultStore(connection, "w").audit([0, 1, 2]) == {"received": 6}


def test_the_stores_card_is_kept(connection: Connection) -> None:
    """Text fields, as they were written."""
    results = ResultStore(connection, "w")
    assert results.meta() == {}
    results.write_meta({"partitions": "8", "labels": '["nation"]'})
    assert results.meta() == {"partitions": "8", "labels": '["nation"]'}


def test_the_card_of_an_older_register_takes_nothing_back(connection: Connection) -> None:
    """Whoever was slow to write it, of two that gave registers to the stream: with the older one's
    number of partitions a spout that starts would never read the newest partition."""
    results = ResultStore(connection, "w")
    results.write_meta({"register": "10", "partitions": "4", "labels": "[]"})
    results.write_meta({"register": "9", "partitions": "3", "labels": '["nation"]'})
    assert results.meta() == {"register": "10", "partitions": "4", "labels": "[]"}
    results.write_meta({"register": "10", "partitions": "4", "labels": '["nation"]'})
    assert results.meta()["labels"] == '["nation"]'
