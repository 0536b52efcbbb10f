"""Sums of closed slots leave their partitions, and every result stays what it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from tests.servers import TestServer
from tests.stream.parts import Part, append, started
from tests.stream.town import DAY0, Town, a_town
from wattstorm.metering import block as blocks
from wattstorm.metering.aggregates import Scopes, added
from wattstorm.store.closing import Folding, committed_sums
from wattstorm.store.connection import Connection
from wattstorm.store.keys import SLOTS, day_keys, log_keys
from wattstorm.store.results import ResultStore

METERS, CLOSED = 10, 4 * 48
"""Meters of a partition; slots after which a day is closed for sure."""


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, 3 * METERS, METERS, snapshot__every_s=3600.0)


class Stream:
    """Partitions 0, 1 and 2, and a publisher; what was sent, to compare with."""

    def __init__(self, town: Town, connection: Connection) -> None:
        self.town, self.connection = town, connection
        self.aggregate = started(AggregateBolt, town)
        self.publish = started(PublishBolt, town)
        self.sent: dict[int, dict[int, int]] = {}
        self.position = dict.fromkeys(town.partitions, 0)

    @property
    def results(self) -> ResultStore:
        return ResultStore(self.connection, "wattstorm")

    def day(self, partition: int, day: int, wh: int = 100) -> None:
        """A day of curves of all meters of the partition."""
        first = partition * METERS
        made = blocks.curves(
            partition,
            np.arange(first, first + METERS),
            DAY0 + 48 * day,
            np.full((METERS, 48), wh, np.uint16),
        )
        for slot in range(48 * day, 48 * (day + 1)):
            self.sent.setdefault(slot, {})[partition] = METERS * wh
        self._take(partition, blocks.encode(made))

    def correct(self, partition: int, slot: int, wh: int) -> None:
        """A newer value of all meters in one slot."""
        first = partition * METERS
        made = blocks.readings(
            partition,
            np.arange(first, first + METERS),
            [DAY0 + slot] * METERS,
            [wh] * METERS,
            version=1,
        )
        self.sent.setdefault(slot, {})[partition] = METERS * wh
        self._take(partition, blocks.encode(made))

    def _take(self, partition: int, data: bytes) -> None:
        self.position[partition] = position = self.position[partition] + 1
        append(self.town, partition, [data], first=position)
        assert self.aggregate.give(partition, position, position, position) == "ack"

    def held(self, partition: int) -> int:
        """Slots of which the partition itself holds sums."""
        key = self.town.stores(self.connection)[partition].keys.partials
        return int(self.connection.redis.hlen(key))

    def folded(self) -> dict[int, dict[int, bytes]]:
        """UTC day → rows of closed sums."""
        days = self.results.days()
        keys = {day: day_keys("wattstorm", day).closed for day in days}
        return {day: self.connection.redis.hgetall(key) for day, key in keys.items()}

    def assert_exact(self) -> None:
        """Committed sums and published rows are what was sent, and nothing waits."""
        want = {DAY0 + slot: sum(of.values()) for slot, of in self.sent.items()}
        scopes = Scopes(self.town.register)
        found = committed_sums(self.results, self.town.partitions)
        assert {s: int(scopes.roll_up(sums)[0][0]) for (_, s), sums in found.items()} == want
        rows = self.results.curve(0, "nation", self.results.days())
        assert {slot: row.wh for slot, row in rows.items()} == want
        assert self.results.dirty(self.town.partitions) == set()


@pytest.fixture
def stream(town: Town, connection: Connection) -> Stream:
    return Stream(town, connection)


def for_ever(connection: Connection) -> dict[str, int]:
    """Bytes of every key that the store will not forget by itself."""
    redis = connection.redis
    keys = [key for key in redis.keys("*") if redis.ttl(key) == -1]
    return {
        key.decode(): redis.memory_usage(key, samples=0) for key in keys if b"durable" not in key
    }


def test_ninety_days_leave_no_more_than_ten(stream: Stream) -> None:
    """Keys and bytes that stay for ever; what else there is goes within results.expire_days and a
    month, and of a day's closed sums there is little."""
    seen = {}
    stream.publish.component.results.log_bytes = 100_000
    for day in range(90):
        for partition in stream.town.partitions:
            stream.day(partition, day, wh=100 + day)
            log = stream.town.log(stream.connection)
            token = stream.aggregate.component.consumer.owned[partition].token
            log.trim(partition, stream.position[partition], token)
        stream.publish.tick()
        if day in (9, 89):
            seen[day] = for_ever(stream.connection)
    assert set(seen[9]) == set(seen[89])
    assert log_keys("wattstorm", 0, SLOTS).log in seen[9]
    assert sum(seen[89].values()) < 1.05 * sum(seen[9].values())
    redis, days = stream.connection.redis, stream.town.settings.results.expire_days + 31
    assert max(redis.ttl(key) for key in redis.keys("*")) <= days * 86_400
    stream.assert_exact()
    rows = stream.folded()[DAY0 // 48]
    assert len(rows) == 48
    assert max(map(len, rows.values())) < 600


def test_a_partition_that_lags_still_changes_what_others_closed(stream: Stream) -> None:
    """Its correction is published with the folded sums of all; when it has caught up, its
    own are folded too."""
    for partition in stream.town.partitions:
        stream.day(partition, 0)
    stream.publish.tick()
    for partition in (0, 1):
        stream.correct(partition, CLOSED, 50)
    stream.publish = started(PublishBolt, stream.town)
    stream.publish.tick()
    assert [stream.held(p) for p in stream.town.partitions] == [1, 1, 48]
    stream.correct(2, 7, 300)
    stream.publish.tick()
    stream.assert_exact()
    stream.correct(2, CLOSED, 50)
    stream.publish.tick()
    assert stream.held(2) == 1
    stream.assert_exact()


def test_a_partition_that_never_saw_the_channel_may_begin_with_a_closed_day(
    stream: Stream,
) -> None:
    """As that of a register that grew: its readings come on top of what was folded."""
    for partition in (0, 1):
        for day in (0, 1, 4):
            stream.day(partition, day)
    stream.publish.tick()
    assert [stream.held(p) for p in stream.town.partitions] == [48, 48, 0]
    stream.day(2, 0)
    stream.publish.tick()
    stream.assert_exact()


def test_days_that_are_open_again_by_the_settings_stay_closed(stream: Stream) -> None:
    """Their sums have left the partition: what its rebuilt memory says of them would be
    counted a second time."""
    for day in (0, 1, 4):
        stream.day(0, day)
    stream.publish.tick()
    stream.town.options["stream.open_days"] = 8
    stream.aggregate = started(AggregateBolt, stream.town)
    was = dict(stream.sent[3])
    stream.correct(0, 3, 700)
    stream.sent[3] = was
    stream.publish = started(PublishBolt, stream.town)
    stream.publish.tick()
    stream.assert_exact()
    assert stream.town.stores(stream.connection)[0].audit()["too_old"] == METERS


def test_a_slot_that_changed_in_the_batch_that_closed_it_is_folded_as_it_ended(
    stream: Stream,
) -> None:
    """Its last sums stand in the partition when its window has passed it already."""
    stream.day(0, 0)
    stream.publish.tick()
    made = blocks.readings(0, np.arange(METERS), [DAY0 + 3] * METERS, [700] * METERS, version=1)
    later = blocks.readings(0, np.arange(METERS), [DAY0 + CLOSED] * METERS, [50] * METERS)
    append(stream.town, 0, [blocks.encode(made), blocks.encode(later)], first=2)
    assert stream.aggregate.give(0, 2, 3, 1) == "ack"
    stream.sent[3], stream.sent[CLOSED] = {0: 7000}, {0: 500}
    stream.publish.tick()
    assert stream.held(0) == 1
    stream.assert_exact()


def test_a_publisher_that_dies_before_it_folds_is_followed_by_one_that_does(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a new one knows stands in the store."""
    monkeypatch.setattr(Folding, "fold", lambda *_: 0)
    stream.day(0, 0)
    stream.correct(0, CLOSED, 50)
    stream.publish.tick()
    monkeypatch.undo()
    assert stream.held(0) == 49
    stream.publish = started(PublishBolt, stream.town)
    stream.publish.tick()
    assert stream.held(0) == 1
    stream.publish.tick()
    stream.assert_exact()


def two_closed_days(stream: Stream) -> Part:
    """Two partitions whose first day is closed but not folded, and another publisher."""
    for partition in (0, 1):
        stream.day(partition, 0)
        stream.correct(partition, CLOSED, 50)
    return started(PublishBolt, stream.town)


@pytest.mark.parametrize("trip", [0, 1, 2])
def test_sums_that_are_folded_while_they_are_read_are_read_again(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, trip: int
) -> None:
    """Between any two round trips: else they would be counted twice, or not at all."""
    other = two_closed_days(stream)
    results, partitions = other.component.results, stream.town.partitions
    real, trips = Connection.run, 0

    def run(self: Connection, *given: Any) -> Any:
        nonlocal trips
        if self is stream.connection:
            if trips == trip:
                other.component.folding.fold(partitions, results.fences(partitions))
            trips += 1
        return real(self, *given)

    monkeypatch.setattr(Connection, "run", run)
    slot = (0, DAY0 + 3)
    read = stream.results.read_partials([slot], partitions)
    monkeypatch.undo()
    total = added([*read.sums[slot], read.closed.get(slot)])
    assert Scopes(stream.town.register).roll_up(total)[0][0] == 2 * METERS * 100


def test_sums_that_were_folded_after_they_were_read_are_not_written(stream: Stream) -> None:
    """A publisher that slept meanwhile writes nothing, and reads again."""
    slow = two_closed_days(stream)
    slots = sorted(stream.results.dirty(stream.town.partitions))
    read = slow.component.results.read_partials(slots, stream.town.partitions)
    rows = slow.component.rows([slot for slot in slots if slot[1] < DAY0 + 48], read)
    stream.publish.tick()
    write = slow.component.results.write
    assert write(DAY0 // 48, rows, stream.town.partitions, read.fences).moved
    slow.tick()
    stream.assert_exact()


def test_a_fold_of_what_was_folded_meanwhile_does_nothing(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two publishers that read the same closed sums: one of them moves them."""
    slow = two_closed_days(stream)
    real = slow.component.results.read_partials

    def read(*given: Any) -> Any:
        found = real(*given)
        stream.publish.tick()
        return found

    seen = slow.component.results.fences(stream.town.partitions)
    monkeypatch.setattr(slow.component.results, "read_partials", read)
    assert slow.component.folding.fold(stream.town.partitions, seen) == 0
    assert slow.component.folding.done == {}
    monkeypatch.undo()
    stream.publish.tick()
    stream.assert_exact()


@pytest.mark.parametrize("lost", ["the fold", "the commit that closed the day"])
def test_a_store_that_goes_back_takes_a_fold_back_as_a_whole(
    stream: Stream, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows is exact; and sums of the lost history are not folded into the new one."""
    redis = stream.connection.redis

    def dumped() -> dict[bytes, bytes]:
        return {key: redis.dump(key) for key in redis.keys("*")}

    stream.day(0, 0)
    stream.publish.tick()
    before_closing = dumped()
    stream.correct(0, 5, 900)
    stream.correct(0, CLOSED, 50)
    kept = dumped() if lost == "the fold" else before_closing
    slow = started(PublishBolt, stream.town)
    real = slow.component.results.read_partials

    def read(*given: Any) -> Any:
        found = real(*given)
        stream.publish.tick()
        redis.flushall()
        for key, data in kept.items():
            redis.restore(key, 0, data)
        return found

    monkeypatch.setattr(slow.component.results, "read_partials", read)
    seen = slow.component.results.fences(stream.town.partitions)
    folded = slow.component.folding.fold(stream.town.partitions, seen)
    monkeypatch.undo()
    if lost != "the fold":
        assert folded == 0
        for slot in (5, CLOSED):
            stream.sent.pop(slot)
        stream.sent[5], stream.position[0] = {0: METERS * 100}, 1
        stream.aggregate = started(AggregateBolt, stream.town)
        stream.correct(0, 6, 800)
    for _ in range(2):
        stream.publish = started(PublishBolt, stream.town)
        stream.publish.tick()
    stream.assert_exact()


def test_a_slot_whose_results_expired_is_not_published_at_its_deadline(stream: Stream) -> None:
    """Nothing is known of it any more, which is not the same as zero."""
    stream.town.options["stream.deadline_hours"] = 240.0
    stream.publish = started(PublishBolt, stream.town)
    stream.day(0, 0)
    stream.correct(0, CLOSED, 50)
    stream.publish.tick()
    assert stream.results.provisional(DAY0 + 47)
    redis = stream.connection.redis
    redis.delete(*redis.keys(f"{day_keys('wattstorm', DAY0 // 48).tag}*"))
    stream.correct(0, 4 * CLOSED, 50)
    stream.publish.tick()
    assert stream.results.curve(0, "nation", [DAY0 // 48]) == {}
    assert stream.results.provisional(DAY0 + 47) == set()
