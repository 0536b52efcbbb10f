"""The spout: what it emits, in which order, and what it does when told that it failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spouts.readings import ReadingsSpout
from tests.servers import TestServer
from tests.stream.parts import Part, append, started
from tests.stream.town import Town, a_town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(
            tmp_path,
            server.url,
            50,
            10,
            batch__max_blocks=3,
            batch__pending=2,
            store__timeout_s=1.0,
        )


def polled(part: Part, seconds: float = 0.05) -> list[tuple[int, ...]]:
    """What it emits within some time, asked as Storm would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        part.component.next_tuple()
        time.sleep(0.0005)
    return part.emitted()


def identity(values: tuple[int, ...]) -> str:
    return ":".join(map(str, values))


def test_batches_come_in_order_and_are_bounded(town: Town) -> None:
    """At most max_blocks in one, at most `pending` in flight; an ack makes room."""
    append(town, 0, [b"x"] * 8)
    spout = started(ReadingsSpout, town)
    first = polled(spout)
    assert first == [(0, 1, 3, 1), (0, 4, 6, 1)]
    spout.component.ack(identity(first[0]))
    assert polled(spout) == [(0, 7, 8, 1)]


def test_what_comes_while_two_batches_are_in_flight_goes_together(town: Town) -> None:
    """One is worked at, one waits behind it: a third would be one more commit. A full one goes."""
    town.options["batch.pending"] = 4
    spout = started(ReadingsSpout, town)
    assert polled(spout) == []
    for number in (1, 2, 3):
        append(town, 0, [b"x"], first=number)
        assert polled(spout) == ([(0, number, number, 1)] if number < 3 else [])
    append(town, 0, [b"x"], first=4)
    spout.component.ack("0:1:1:1")
    assert polled(spout) == [(0, 3, 4, 1)]
    append(town, 0, [b"x"] * 4, first=5)
    assert polled(spout) == [(0, 5, 7, 1)], "three are full; the eighth waits for more"


def test_each_task_has_its_own_partitions(town: Town) -> None:
    """Together all of them, none twice."""
    for partition in range(5):
        append(town, partition, [b"x"])
    emitted = [polled(started(ReadingsSpout, town, i, 2)) for i in range(2)]
    assert [[values[0] for values in of] for of in emitted] == [[0, 2, 4], [1, 3]]


def test_a_failure_plans_everything_after_the_fence_again(town: Town) -> None:
    """As a new attempt; what is still said of the old one is ignored."""
    append(town, 0, [b"x"] * 6)
    spout = started(ReadingsSpout, town)
    first, second = polled(spout)
    spout.component.fail(identity(first))
    spout.component.fail(identity(second))
    spout.component.ack(identity(second))
    assert polled(spout, 0.02) == [], "it waits a little first"
    assert polled(spout, 0.2) == [(0, 1, 3, 2), (0, 4, 6, 2)]


def test_it_takes_up_at_the_fence(town: Town) -> None:
    """Not at the log's beginning, nor at a batch's border."""
    append(town, 0, [b"x"] * 6)
    with town.connect() as connection:
        store = town.stores(connection)[0]
        token = store.acquire(connection.server_time_us()).token
        store.commit(token, 0, 2, committed_bytes=2)
    assert polled(started(ReadingsSpout, town)) == [(0, 3, 5, 1), (0, 6, 6, 1)]


def test_a_log_of_committed_entries_is_knocked_at_until_it_is_trimmed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now and then, one at a time: whatever became of its task, the partition gets one."""
    monkeypatch.setattr("spouts.readings.CHECK_S", 0.02)
    monkeypatch.setattr("spouts.readings.KNOCK_S", 0.2)
    append(town, 0, [b"x"] * 6)
    with town.connect() as connection:
        store = town.stores(connection)[0]
        token = store.acquire(connection.server_time_us()).token
        store.commit(token, 0, 6, committed_bytes=6)
        spout = started(ReadingsSpout, town)
        assert polled(spout, 0.3) == [(0, 6, 6, 1)]
        assert polled(spout, 0.3) == [], "one is under way"
        spout.component.ack("0:6:6:1")
        assert polled(spout, 0.3) == [(0, 6, 6, 1)]
        spout.component.fail("0:6:6:1")
        assert polled(spout, 0.3) == [(0, 6, 6, 2)]
        spout.component.ack("0:6:6:2")
        town.log(connection).trim(0, 6, token)
        assert polled(spout, 0.3) == []


def test_a_store_that_went_back_is_planned_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All was acknowledged, then the fence stands lower than that."""
    monkeypatch.setattr("spouts.readings.CHECK_S", 0.05)
    append(town, 0, [b"x"] * 3)
    spout = started(ReadingsSpout, town)
    (batch,) = polled(spout)
    spout.component.ack(identity(batch))  # though no bolt has committed it
    assert polled(spout, 0.3)[0] == (0, 1, 3, 2)


def test_it_waits_for_a_store_that_is_down(
    town: Town, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Says so once, does not raise, and goes on when the store is back."""
    spout = started(ReadingsSpout, town)
    polled(spout)
    append(town, 0, [b"x"])
    town_down = Town(town.directory, f"unix://{tmp_path}/nowhere.sock", town.register, town.options)
    lost: Any = started(ReadingsSpout, town_down)
    assert polled(lost, 1.2) == []
    assert sum("spout waits" in record.message for record in caplog.records) == 1
    lost.component.outfit.connection.redis.connection_pool = (
        spout.component.outfit.connection.redis.connection_pool
    )
    assert polled(lost, 0.7) == [(0, 1, 1, 1)]


def test_an_idle_spout_asks_seldom(town: Town) -> None:
    """Some dozen round trips a second, and none that blocks for long."""
    spout = started(ReadingsSpout, town)
    polled(spout, 0.1)
    with town.connect() as connection:
        before = connection.redis.info("stats")["total_commands_processed"]
        polled(spout, 1.0)
        after = connection.redis.info("stats")["total_commands_processed"]
    assert (after - before) / 5 < 60


def test_a_block_is_sent_on_the_moment_it_arrives(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spout waits in the store, not in naps: the call that met an empty log emits it."""
    monkeypatch.setattr("spouts.readings.QUIET_WAIT_MS", 10_000)  # a call may take 1 s: waits half
    spout = started(ReadingsSpout, town)
    spout.component.next_tuple()  # plans from the fences
    arriving = threading.Timer(0.1, append, (town, 3, [b"x"]))
    arriving.start()
    start = time.monotonic()
    spout.component.next_tuple()
    assert spout.emitted() == [(3, 1, 1, 1)]
    assert time.monotonic() - start < 0.4
    arriving.join()


def test_it_does_not_wait_for_blocks_while_it_could_not_send_them(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition with all its batches in flight waits for acks, told between two calls."""
    monkeypatch.setattr("spouts.readings.WAIT_MS", 10_000)
    append(town, 0, [b"x"] * 8)
    spout = started(ReadingsSpout, town)
    assert len(polled(spout)) == 2
    start = time.monotonic()
    assert polled(spout) == []
    assert time.monotonic() - start < 0.2


def test_batches_of_a_bolt_that_died_are_planned_again(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is heard of them: a new attempt after a while, the next after twice that."""
    monkeypatch.setattr("spouts.readings.CHECK_S", 0.01)
    monkeypatch.setattr("spouts.readings.PATIENCE_S", (0.2, 0.4))
    append(town, 0, [b"x"] * 3)
    spout = started(ReadingsSpout, town)
    for plan in spout.component._plans.values():
        plan.patience = 0.2
    emitted, when = [], []
    for _ in range(3):
        while not (found := polled(spout, 0.01)):
            pass
        emitted += found
        when.append(time.monotonic())
    assert emitted == [(0, 1, 3, 1), (0, 1, 3, 2), (0, 1, 3, 3)]
    assert when[1] - when[0] >= 0.19
    assert when[2] - when[1] >= 0.38, "patience has doubled"
    spout.component.ack(identity((0, 1, 3, 1)))  # the first one was only slow
    assert polled(spout, 0.1) == []
