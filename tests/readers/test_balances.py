"""The counters of a day beside its curves: what conservation cannot see."""

from __future__ import annotations

import doctest
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import wattstorm.metering.balance
from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from tests.servers import TestServer
from tests.stream.parts import Part, append, started
from tests.stream.town import DAY0, Town, a_town
from wattstorm import Results
from wattstorm.metering import block as blocks
from wattstorm.metering.balance import DayBalance
from wattstorm.store.keys import day_keys, partition_keys
from wattstorm.store.results import ResultStore

DAY, METERS = DAY0 // 48, 10


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        town = a_town(tmp_path, server.url, 2 * METERS, METERS, stream__time_zone="UTC")
        with town.connect() as connection:
            card = {"partitions": "2", "slot_minutes": "30", "time_zone": "UTC"}
            ResultStore(connection, "wattstorm").write_meta(card)
        yield town


class Stream:
    """Both bolts of a town."""

    def __init__(self, town: Town) -> None:
        self.town, self.sent = town, [0, 0]
        self.aggregate: Part = started(AggregateBolt, town)
        self.publish: Part = started(PublishBolt, town)

    def commit(
        self, partition: int, slot: int, wh: int, version: int = 0, channel: int = 0
    ) -> None:
        self.sent[partition] += 1
        meters = np.arange(METERS) + partition * METERS
        wanted = [wh] * METERS
        block = blocks.readings(partition, meters, slot, wanted, version=version, channel=channel)
        append(self.town, partition, [blocks.encode(block)], self.sent[partition])
        at = self.sent[partition]
        assert self.aggregate.give(partition, at, at, 1) == "ack"


def test_a_balance_says_what_is_missing() -> None:
    """Readings and Wh that were counted and are in no curve."""
    assert doctest.testmod(wattstorm.metering.balance).failed == 0


def test_balances_hold_by_day_and_channel(town: Town) -> None:
    """Firsts, a correction, a won and a lost conflict, doubles; two days, both channels."""
    stream = Stream(town)
    for partition in (0, 1):
        stream.commit(partition, DAY0, 100)
        stream.commit(partition, DAY0, 100)
        stream.commit(partition, DAY0, 70, version=2)
        stream.commit(partition, DAY0, 80, version=2)
        stream.commit(partition, DAY0, 75, version=2)
        stream.commit(partition, DAY0 + 48, 5)
    stream.commit(1, DAY0 + 50, 7, channel=1)
    with Results.open(town.settings) as results:
        assert results.balances() == []
        stream.publish.tick()
        assert results.balances() == [
            DayBalance(DAY, 0, 20, 20, 1600, 1600),
            DayBalance(DAY + 1, 0, 20, 20, 100, 100),
            DayBalance(DAY + 1, 1, 10, 10, 70, 70),
        ]
        assert results.balances([DAY + 1, DAY + 9]) == results.balances()[1:]


def test_a_sum_that_lies_is_found_though_conservation_holds(town: Town) -> None:
    """A counter that moved without its sum; a published row that is not what was summed."""
    stream = Stream(town)
    stream.commit(0, DAY0, 100)
    stream.commit(1, DAY0 + 48, 100)
    stream.publish.tick()
    with Results.open(town.settings) as results, town.connect() as connection:
        redis = connection.redis
        redis.hincrby(partition_keys("wattstorm", 0).audit_day(DAY, 0), "wh_replaced", 3)
        curve = day_keys("wattstorm", DAY + 1).curve(0, "nation")
        row = redis.hget(curve, str(DAY0 + 48))
        redis.hset(curve, str(DAY0 + 48), row.replace(b",1000,10,", b",1000,9,"))
        first, second = results.balances()
        assert (first.holds, first.wh_missing, first.readings_missing) == (False, -3, 0)
        assert (second.holds, second.wh_missing, second.readings_missing) == (False, 0, 1)
        assert results.conservation().holds


def test_a_day_that_changes_under_the_look_is_left_out(town: Town) -> None:
    """Committed, and even published, while the curves are read: no false alarm, not that day."""
    stream = Stream(town)
    stream.commit(0, DAY0, 100)
    stream.commit(0, DAY0 + 48, 100)
    stream.publish.tick()

    class Interrupted(Results):
        publishes = False

        def _whole(self, days: Sequence[int]) -> dict[tuple[int, int], tuple[int, int]]:
            stream.commit(1, DAY0 + 49, 100)
            if self.publishes:
                stream.publish.tick()
            return super()._whole(days)

    with Interrupted.open(town.settings) as results:
        assert results.balances() == [DayBalance(DAY, 0, 10, 10, 1000, 1000)]
        results.publishes = True
        stream.publish.tick()
        stream.commit(1, DAY0, 100)
        stream.publish.tick()
        assert results.balances([DAY]) == [DayBalance(DAY, 0, 20, 20, 2000, 2000)]
