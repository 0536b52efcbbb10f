"""Scores behind the sums: the same bytes and alarms in any order and after any death."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bolts.aggregate import AggregateBolt
from models.score import MIN_DAYS
from tests.register.registers import FIRST_ID
from tests.servers import TestServer
from tests.stream import homes
from tests.stream.dying import AT_ANY_TIME, DyingConsumer
from tests.stream.parts import append, nation, started
from tests.stream.town import Town, a_town, audit, drained
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.keys import SCORES, SEGMENTS
from wattstorm.store.log import Append, Log

TOWN = {
    "scores__enabled": True,
    "scores__alarm_p": 0.01,
    "scores__top": 5,
    "stream__time_zone": "UTC",
    "stream__open_days": 2,
    "snapshot__every_s": 3600.0,
}
WRONG = "2024-01-02"
"""The day `homes.WRONG`, which is the last one that closes."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("r")) as server:
        yield server


@pytest.fixture
def town(server: TestServer, tmp_path: Path) -> Town:
    town = a_town(tmp_path, server.url, homes.HOMES, homes.HOMES, **TOWN)
    with town.connect() as connection:
        connection.redis.flushall()
    return town


def summed(town: Town, data: list[bytes]) -> None:
    """All of it through an aggregate task."""
    append(town, 0, data)
    bolt = started(AggregateBolt, town)
    for last in range(1, len(data) + 1, 5):
        assert bolt.give(0, last, min(last + 4, len(data)), 1) == "ack"


def store_of(connection: Connection) -> PartitionStore:
    return PartitionStore(connection, "wattstorm", 0, log=SEGMENTS, consumer=SCORES)


def scopes(connection: Connection) -> dict[str, Any]:
    found = connection.redis.hgetall(f"{store_of(connection).keys.own}:scopes")
    return {name.decode(): json.loads(value) for name, value in found.items()}


def test_what_went_wrong_is_found_named_and_explained(town: Town, connection: Connection) -> None:
    """The homes whose day was, once it is closed; the running day stands beside it."""
    summed(town, homes.in_order(homes.days_of_homes()))
    consumer = homes.consumer(town, connection)
    assert consumer.follow(0)
    alarms = [json.loads(data) for data in homes.raised(connection, "wattstorm")]
    (wrong,) = [day for day in alarms if day["day"] == WRONG]
    found = {row["meter"] - FIRST_ID: row for row in wrong["alarms"]}
    assert set(found) == {homes.DEAD, homes.MOVED, homes.TREBLE}
    kinds = {home: row["kind"] for home, row in found.items()}
    assert kinds == {homes.DEAD: "dead", homes.MOVED: "moved", homes.TREBLE: "more"}
    assert found[homes.TREBLE]["tariff"] == f"tariff_{homes.TREBLE:02}"
    assert found[homes.MOVED]["why"].startswith("moved by +6 h: ")
    said = scopes(connection)
    assert said["closed:nation:0"]["day"] == WRONG
    assert said["closed:nation:0"]["scored"] == homes.HOMES
    assert said["closed:nation:0"]["rules"]["dead"] == 1
    assert said["running:nation:0"]["day"] == "2024-01-04"
    assert said["running:nation:0"]["stretches"] == 7
    top = said["running:region:region_1:0"]["top"]
    assert {row["region"] for row in top} == {"region_1"}
    assert len(top) == 5
    lifetime = connection.redis.ttl(f"{store_of(connection).keys.own}:scopes")
    assert 29 * 86_400 < lifetime <= 30 * 86_400


def test_any_order_leaves_the_same_bytes_and_alarms(town: Town, connection: Connection) -> None:
    """Late by half a day, twice, first with a wrong value: closed days have the same final
    values, and nothing else moves what lasts."""
    wh = homes.days_of_homes()
    found = []
    for seed in (None, 1, 2):
        connection.redis.flushall()
        summed(town, homes.in_order(wh, seed, size=300 - 100 * (seed or 0) // 2))
        consumer = homes.consumer(town, connection)
        assert consumer.follow(0)
        own = consumer.owned[0]
        found.append((homes.lasting(own.state), homes.raised(connection, "wattstorm")))
        assert own.store.audit()["finals"] == homes.WRONG + 1
        assert "too_old" not in audit(town, connection)
    assert found[0][0]["states"] == found[1][0]["states"] == found[2][0]["states"]
    assert found[0] == found[1] == found[2]


def died_at(town: Town, death: str) -> bool:
    """A process of its own follows the log to its end, and again until nothing kills it; whether
    the death came."""
    (town.directory / "deaths").write_text(death)
    for _ in range(4):
        child = os.fork()
        if not child:
            status = 1
            try:
                with town.connect() as connection:
                    consumer = homes.consumer(town, connection, DyingConsumer)
                    consumer.saver.disk.holds = lambda when: True  # type: ignore[method-assign]
                    for _ in range(2):
                        consumer.follow(0)
                        consumer.saver.finish(list(consumer.owned.values()))
                        consumer.tick()
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(child, 0)
        if status == 0:
            return not (town.directory / "deaths").read_text()
        assert os.WIFSIGNALED(status), status
    raise AssertionError(f"{death}: it dies again and again")


def test_any_kill_leaves_the_same_bytes_and_each_alarm_once(
    town: Town, connection: Connection
) -> None:
    """Killed before and after each step, at half of the log and at its end."""
    log, frames = Log(connection, "wattstorm", name=SEGMENTS), homes.in_order(homes.days_of_homes())
    summed(town, frames)
    written = [entry.data for entry in log.read(0, 1, log.tails([0])[0])]
    quiet = homes.consumer(town, connection)
    assert quiet.follow(0)
    wanted = homes.lasting(quiet.owned[0].state), homes.raised(connection, "wattstorm")
    for death in AT_ANY_TIME:
        connection.redis.flushall()
        died = []
        for part in (slice(0, len(written) // 2), slice(len(written) // 2, None)):
            numbered = list(enumerate(written, start=1))[part]
            log.append_many([Append(0, "test", number, data, 1) for number, data in numbered])
            died.append(died_at(town, death))
        assert any(died), death
        assert store_of(connection).fence().position == len(written)
        state = homes.consumer(town, connection).own(0).state
        assert (homes.lasting(state), homes.raised(connection, "wattstorm")) == wanted, death


def test_before_three_weeks_nothing_is_raised(town: Town, connection: Connection) -> None:
    """However wrong a day is: a meter has no p-value yet, and is in no list."""
    wh = homes.days_of_homes()[:, : MIN_DAYS + 1]
    wh[:, MIN_DAYS - 2] *= 3
    summed(town, homes.in_order(wh))
    assert homes.consumer(town, connection).follow(0)
    assert not homes.raised(connection, "wattstorm")
    said = scopes(connection)["closed:nation:0"]
    assert (said["meters"], said["scored"], said["top"]) == (homes.HOMES, 0, [])


def test_the_sums_are_the_same_with_scores_and_without(town: Town, connection: Connection) -> None:
    """Nothing is written for scores where they are off; where they are on and nobody takes the
    frames, the sums neither wait nor change, and the frames stay within their bound."""
    data = homes.in_order(homes.days_of_homes(), seed=4)
    summed(town, data)
    on, log = nation(town), Log(connection, "wattstorm", name=SEGMENTS)
    assert log.status(0).tail > 100
    connection.redis.flushall()
    bounded = Town(town.directory, town.url, town.register, dict(town.options))
    bolt = started(AggregateBolt, bounded)
    bolt.component.segments = 5000
    append(town, 0, data)
    for last in range(1, len(data) + 1, 3):
        assert bolt.give(0, last, min(last + 2, len(data)), 1) == "ack"
    assert nation(town) == on
    assert 0 < log.kept() <= 5000
    assert log.status(0).first > 1
    late = homes.consumer(town, connection)
    assert late.follow(0)
    assert late.owned[0].store.audit()["lost_entries"] == log.status(0).first - 1
    connection.redis.flushall()
    off = Town(town.directory, town.url, town.register, {**town.options, "scores.enabled": False})
    summed(off, data)
    assert nation(off) == on
    assert log.status(0).tail == 0


def test_poison_among_the_frames_stops_nobody(town: Town, connection: Connection) -> None:
    """What cannot be read goes to the scores' own dead letters; the rest is scored."""
    summed(town, homes.in_order(homes.days_of_homes()))
    log = Log(connection, "wattstorm", name=SEGMENTS)
    log.append(0, "test", 1, b"no frame", 1)
    consumer = homes.consumer(town, connection)
    assert consumer.follow(0)
    assert consumer.owned[0].store.audit()["refused"] == 1
    assert connection.redis.xlen(store_of(connection).keys.dead) == 1
    assert len(homes.raised(connection, "wattstorm")) > 0


def test_the_engine_runs_scores_where_the_settings_say_so(
    town: Town, connection: Connection, running: Callable[..., Any]
) -> None:
    """Sums, frames, scores and alarms by processes of their own; a drain ends with the scores."""
    append(town, 0, homes.in_order(homes.days_of_homes()))
    engine = running(town, workers=1, drain=True)
    assert engine.wait(120) == 0
    assert drained(town, connection)
    tail = Log(connection, "wattstorm", name=SEGMENTS).tails([0])[0]
    assert store_of(connection).fence().position == tail > homes.WRONG
    alarms = [json.loads(said) for said in homes.raised(connection, "wattstorm")]
    (wrong,) = [day for day in alarms if day["day"] == WRONG]
    assert {row["meter"] - FIRST_ID for row in wrong["alarms"]} == {
        homes.DEAD,
        homes.MOVED,
        homes.TREBLE,
    }
