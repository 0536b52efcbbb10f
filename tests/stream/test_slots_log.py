"""The log of slots: every change and every closing of a slot, once, whatever dies meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from tests.servers import TestServer
from tests.stream.parts import append, started
from tests.stream.slotslog import assert_told_once, entries
from tests.stream.town import DAY0, Town, a_town
from wattstorm.errors import LogGap, StoreUnreachable
from wattstorm.metering import block as blocks
from wattstorm.store.connection import Connection
from wattstorm.store.keys import SLOTS
from wattstorm.store.log import Log

METERS = 20


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(
            tmp_path,
            server.url,
            2 * METERS,
            METERS,
            results__publish_ms=1,
            snapshot__every_s=3600.0,
        )


class Feed:
    """Readings of one partition or the other, committed."""

    def __init__(self, town: Town) -> None:
        self.town, self.aggregate = town, started(AggregateBolt, town)
        self.sent = [0, 0]

    def __call__(
        self, partition: int, slot: int, wh: int = 100, version: int = 0, meters: int = METERS
    ) -> None:
        self.sent[partition] += 1
        at, who = self.sent[partition], np.arange(meters) + partition * METERS
        made = blocks.readings(partition, who, DAY0 + slot, [wh] * meters, version=version)
        append(self.town, partition, [blocks.encode(made)], first=at)
        assert self.aggregate.give(partition, at, at, 1) == "ack"


def told(connection: Connection, slot: int) -> list[tuple[int, bool, int]]:
    """(revision, final, Wh of the nation) of each entry of a slot."""
    return [
        (change.revision, change.final, change.rows["nation"].wh)
        for change in entries(connection)
        if change.slot == DAY0 + slot
    ]


def test_every_change_and_every_closing_is_an_entry(town: Town, connection: Connection) -> None:
    """Half of it, all of it and thereby final, corrected; and final by its deadline."""
    feed, publish = Feed(town), started(PublishBolt, town)
    for partition, slot, more in (
        (0, 5, {}),
        (1, 5, {}),
        (0, 5, {"wh": 150, "version": 1}),
        (0, 6, {"meters": 3}),
    ):
        feed(partition, slot, **more)
        publish.tick()
    assert told(connection, 5) == [(1, False, 2000), (1, True, 4000), (21, True, 5000)]
    assert told(connection, 6) == [(1, False, 300)]
    feed(0, 6 + 48)
    feed(1, 6 + 48)
    publish.tick()
    assert told(connection, 6) == [(1, False, 300), (1, True, 300)]
    assert_told_once(connection)


def test_what_is_published_again_has_no_second_entry(town: Town, connection: Connection) -> None:
    """By a publisher that repeats itself, and by one that was started anew."""
    feed, publish = Feed(town), started(PublishBolt, town)
    for slot in range(5):
        feed(0, slot)
    publish.tick()
    before = entries(connection)
    slots = [(0, DAY0 + slot) for slot in range(5)]
    publish.component.publish(slots)
    started(PublishBolt, town).component.publish(slots)
    assert entries(connection) == before
    assert len(before) == 5


class Mortal:
    """A publisher that ends where it is told to, and is followed by another."""

    def __init__(self, town: Town) -> None:
        self.town, self.part = town, started(PublishBolt, town)
        self.asleep: list[Callable[[], None]] = []

    def tick(self) -> None:
        self.part.tick()

    def dies_after_it_wrote(self) -> None:
        """Its answer never comes, nor does it learn that the rows stand."""
        results = self.part.component.results
        real = results.write

        def write(*arguments: Any) -> Any:
            real(*arguments)
            raise StoreUnreachable("the answer was lost")

        results.write = write
        self.part.tick()
        self.part = started(PublishBolt, self.town)

    def sleeps_before_it_writes(self) -> None:
        """It has read the sums; what it writes comes when others have gone on."""
        asleep, self.part = self.part, started(PublishBolt, self.town)
        results, real = asleep.component.results, asleep.component.results.write
        results.write = lambda *arguments: self._late(real, arguments)
        asleep.tick()

    def _late(self, real: Any, arguments: Any) -> Any:
        self.asleep.append(lambda: real(*arguments))
        raise StoreUnreachable("asleep")

    def wakes(self) -> None:
        while self.asleep:
            self.asleep.pop()()


@pytest.mark.parametrize("seed", range(6))
def test_whatever_dies_the_log_replayed_is_what_is_published(
    town: Town, connection: Connection, seed: int
) -> None:
    """Publishers that die with their write done, sleep over it, or come in twos; sums that are
    folded, corrected, late, final by their deadlines."""
    rng = random.Random(seed)
    feed, mortal, other = Feed(town), Mortal(town), Mortal(town)
    now = 0
    for version in range(60):
        now += rng.choice((0, 0, 1, 1, 7, 30))
        slot = max(0, now - rng.choice((0, 0, 1, 5, 40)))
        feed(rng.randrange(2), slot, rng.randrange(500), version, rng.randrange(1, METERS + 1))
        who = rng.choice((mortal, other))
        steps = (who.tick, who.dies_after_it_wrote, who.sleeps_before_it_writes, who.wakes)
        for step in rng.choices(steps, (3, 2, 2, 2), k=rng.randrange(3)):
            step()
    for each in (mortal, other):
        each.wakes()
        each.tick()
    assert len(assert_told_once(connection)) > 30


def test_the_log_is_bounded_and_says_where_it_begins(town: Town, connection: Connection) -> None:
    """Its oldest entries go, the newest stay; who asks for one that went is told so."""
    town.options["results.log_mb"] = 1
    feed, publish = Feed(town), started(PublishBolt, town)
    publish.component.results.log_bytes = bound = 20_000
    for version in range(40):
        feed(0, 5, 100 + version, version)
        publish.tick()
    log = Log(connection, "wattstorm", name=SLOTS)
    head = log.status(0)
    assert head.tail == 40
    assert head.first > 5
    assert bound / 2 < head.appended - head.trimmed <= bound
    held = connection.redis.xrange(log._keys(0).log)
    assert sum(len(fields[b"b"]) for _, fields in held) == head.appended - head.trimmed
    assert int(connection.redis.hget(log._keys(0).backlog, "kept")) == head.appended - head.trimmed
    assert entries(connection)[-1].rows["nation"].wh == METERS * 139
    with pytest.raises(LogGap, match="entries 1 to 40 were asked"):
        log.read(0, 1, 40)
    publish.component.results.log_bytes = 1
    feed(0, 6)
    publish.tick()
    assert [change.slot for change in entries(connection)] == [DAY0 + 6]
