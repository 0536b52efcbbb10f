"""A block that its bolt cannot bear stops nothing: tried so often, then a dead letter."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.dying import AT_ANY_TIME
from tests.stream.parts import Part, append, started
from tests.stream.poisoned import POISON_WH, BrokenInstallationBolt, RaisingBolt
from tests.stream.test_chaos import Feeding, assert_exact
from tests.stream.town import (
    DAY0,
    Town,
    a_stream,
    a_town,
    assert_conserved,
    audit,
    committed_sums,
    drained,
    wait_until,
)
from wattstorm.engine.watch import Watch
from wattstorm.errors import EmitError, EngineError, FencedOff, StoreUnreachable
from wattstorm.metering import block as blocks
from wattstorm.store.commit import Fence
from wattstorm.store.deadletters import DeadLetter, DeadLetters

METERS = 10


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TestServer]:
    with TestServer(tmp_path / "r") as server:
        yield server


@pytest.fixture
def town(tmp_path: Path, server: TestServer) -> Town:
    return a_town(tmp_path, server.url, 2 * METERS, METERS, snapshot__every_s=3600.0)


def block(slot: int, wh: int = 100, partition: int = 0) -> bytes:
    """All meters of a partition in one slot."""
    meters = np.arange(METERS) + partition * METERS
    return blocks.encode(blocks.readings(partition, meters, DAY0 + slot, [wh] * METERS))


BAD = block(50, POISON_WH)


def fence(town: Town) -> Fence:
    with town.connect() as connection:
        return town.stores(connection)[0].fence()


def letters(town: Town, partition: int = 0) -> list[DeadLetter]:
    with town.connect() as connection:
        return list(DeadLetters(connection, town.settings.store.prefix).list(partition))


def nation(town: Town) -> dict[int, int]:
    """slot of the day → Wh, as committed."""
    with town.connect() as connection:
        sums = committed_sums(town, connection).get("nation", {})
    return {slot - DAY0: wh for slot, (wh, _) in sums.items()}


def counts(town: Town) -> dict[str, int]:
    with town.connect() as connection:
        found = audit(town, connection)
    assert_conserved(found)
    return found


def give_until_done(part: Part, first: int, last: int) -> int:
    """How often the spout had to plan the batch anew."""
    for failures in range(100):
        if part.give(0, first, last, failures) == "ack":
            return failures
    raise AssertionError("the partition stands still")


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_block_that_raises_is_tried_so_often_and_set_aside(town: Town, attempts: int) -> None:
    """Its bytes are kept, its neighbours in the batch summed, each reading accounted for."""
    town.options["batch.attempts"] = attempts
    append(town, 0, [block(0), block(1), BAD, block(2), block(3)])
    bolt = started(RaisingBolt, town)
    assert give_until_done(bolt, 1, 5) == 1 + attempts, "once in the batch, the others alone"
    assert nation(town) == dict.fromkeys(range(4), 1000)
    (letter,) = letters(town)
    assert (letter.reason, letter.position, letter.data) == ("poison", 3, BAD)
    assert f"tried {attempts} times" in letter.what
    found = counts(town)
    assert found["received"] == 40
    assert found["blocks"] == 5
    assert found["refused_blocks"] == found["poison_blocks"] == found["dead"] == 1
    assert (fence(town).takes, fence(town).tries) == (0, 0)


def test_what_raised_is_told_to_storm_and_the_process_lives(town: Town) -> None:
    """An error message, and the tuple failed, each once."""
    append(town, 0, [BAD])
    bolt = started(RaisingBolt, town)
    assert bolt.give(0, 1, 1, 1) == "fail"
    (told,) = [m["msg"] for m in bolt.sent if m["command"] == "error"]
    assert "ZeroDivisionError: a fault of ours" in told


def test_another_partition_of_the_same_bolt_goes_on(town: Town) -> None:
    """Only the one with the block waits."""
    append(town, 0, [BAD])
    append(town, 1, [block(0, partition=1)])
    bolt = started(RaisingBolt, town)
    assert bolt.give(0, 1, 1, 1) == "fail"
    assert bolt.give(1, 1, 1, 1) == "ack"


def test_a_poisoned_block_is_not_tried_again_when_the_log_is_replayed(town: Town) -> None:
    """A task without a snapshot passes it as the first one did."""
    append(town, 0, [block(0), BAD, block(1), block(0)])
    give_until_done(started(RaisingBolt, town), 1, 3)
    new = started(RaisingBolt, town)
    assert new.give(0, 4, 4, 1) == "ack"
    assert counts(town)["double"] == 10
    assert len(letters(town)) == 1


def test_a_trimmed_log_forgets_its_poisoned_positions(town: Town) -> None:
    """They are kept no longer than the entries."""
    append(town, 0, [BAD, block(0)])
    bolt = started(RaisingBolt, town)
    give_until_done(bolt, 1, 2)
    with town.connect() as connection:
        key = town.stores(connection)[0].keys.poison
        assert connection.redis.zrange(key, 0, -1) == [b"1"]
        town.log(connection).trim(0, 1, bolt.component.consumer.owned[0].token)
        assert connection.redis.exists(key) == 0


def test_a_mended_bolt_is_given_the_block_again(town: Town) -> None:
    """As long as the tries are not used up: nothing is lost by a fault that was mended."""
    append(town, 0, [BAD])
    for _ in range(3):
        assert started(RaisingBolt, town).give(0, 1, 1, 1) == "fail"
    assert fence(town).tries == 2
    assert started(AggregateBolt, town).give(0, 1, 1, 1) == "ack"
    assert letters(town) == []
    assert nation(town) == {50: POISON_WH * METERS}


def test_a_store_that_fails_poisons_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the commit is left unanswered while a block is tried alone."""
    append(town, 0, [block(0)])
    for _ in range(2):
        with town.connect() as connection:
            town.stores(connection)[0].acquire(1)
    bolt = started(AggregateBolt, town)

    def lost(*_: Any) -> None:
        raise StoreUnreachable("no answer")

    monkeypatch.setattr(bolt.component.consumer, "commit", lost)
    for attempt in range(20):
        assert bolt.give(0, 1, 1, attempt) == "fail"
    assert fence(town).tries == 1
    monkeypatch.undo()
    assert bolt.give(0, 1, 1, 99) == "ack"
    assert letters(town) == []


@pytest.mark.parametrize("kind", BrokenInstallationBolt.faults)
def test_a_fault_of_the_installation_stops_and_poisons_nothing(town: Town, kind: str) -> None:
    """However often it is tried: the blocks stay, the fence says why, and mended it goes on."""
    append(town, 0, [block(0), block(1)])
    (town.directory / "fault").write_text(kind)
    bolt = started(BrokenInstallationBolt, town)
    assert [bolt.give(0, 1, 2, attempt) for attempt in range(8)] == ["fail"] * 8
    assert letters(town) == []
    assert (fence(town).position, fence(town).tries) == (0, 0)
    error = BrokenInstallationBolt.faults[kind]
    assert getattr(error, "what", str(error)) in fence(town).fault
    assert (getattr(error, "remedy", "") or "me") in fence(town).fault
    (town.directory / "fault").unlink()
    assert bolt.give(0, 1, 2, 9) == "ack"
    assert nation(town) == {0: 1000, 1: 1000}
    assert fence(town).fault == ""


def test_a_block_that_raises_is_poison_beside_a_fault_that_was_mended(town: Town) -> None:
    """The fault costs the block no try, and forgives it none of its own."""
    town.options["batch.attempts"] = 2
    append(town, 0, [block(0), BAD, block(1)])
    (town.directory / "fault").write_text("MemoryError")
    broken = started(BrokenInstallationBolt, town)
    assert [broken.give(0, 1, 3, attempt) for attempt in range(4)] == ["fail"] * 4
    assert give_until_done(started(RaisingBolt, town), 1, 3) == 2
    (letter,) = letters(town)
    assert (letter.reason, letter.position) == ("poison", 2)
    assert nation(town) == {0: 1000, 1: 1000}


def test_a_drain_ends_where_only_a_person_can_help(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands still is named with its reason; it does not while any other partition moves."""
    append(town, 0, [block(0)])
    append(town, 1, [block(0, partition=1)])
    (town.directory / "fault").write_text("RegisterError")
    assert started(BrokenInstallationBolt, town).give(0, 1, 1, 1) == "fail"
    monkeypatch.setattr("wattstorm.engine.watch.HOPELESS_S", 0.2)
    with town.connect() as connection:
        watch = Watch(connection, town.settings, town.register)
        time.sleep(0.3)
        assert not watch.drained()
        assert started(AggregateBolt, town).give(1, 1, 1, 1) == "ack"
        assert not watch.drained()
        time.sleep(0.3)
        with pytest.raises(EngineError, match=r"partition 0: a meter has class 16512; group the"):
            watch.drained()


def test_an_emit_that_fails_after_the_commit_loses_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is in the sums: it fails once, and is done when it comes again."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)

    def refused(_: Any) -> None:
        raise EmitError("not today")

    monkeypatch.setattr(bolt.component.consumer, "announce", refused)
    assert bolt.give(0, 1, 2, 1) == "fail"
    assert bolt.give(0, 1, 2, 2) == "ack"
    assert counts(town)["received"] == 20


def test_a_zombie_neither_counts_tries_nor_resets_takes(town: Town) -> None:
    """Its token is worth nothing for either."""
    with town.connect() as connection:
        store = town.stores(connection)[0]
        zombie = store.acquire(1)
        assert [store.acquire(2).takes for _ in range(2)] == [2, 3]
        with pytest.raises(FencedOff):
            store.commit(zombie.token, 0, 1, committed_bytes=1)
        with pytest.raises(FencedOff):
            store.try_block(zombie.token, 1, 5)
        with pytest.raises(FencedOff):
            store.acquire(1)
        assert (store.fence().takes, store.fence().tries) == (3, 0)


# ---------------------------------------------------------------- deaths


@pytest.mark.slow
def test_a_block_that_kills_its_process_is_set_aside_after_five_deaths(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """SIGKILL from within, on the local engine, in both partitions of the town."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 2 * METERS, METERS)
        for p in town.partitions:
            bad = block(50, POISON_WH, p)
            append(town, p, [*(block(i, partition=p) for i in range(20)), bad, block(20, 100, p)])
        engine = running(town, module="tests.stream.poisoned:KilledCurves")
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 120, "the log to be drained")
        assert engine.poll() is None
        for p in town.partitions:
            (letter,) = letters(town, p)
            assert (letter.reason, letter.position) == ("poison", 21)
            assert "tried 5 times" in letter.what
        assert nation(town) == dict.fromkeys(range(21), 2000)
        assert counts(town)["poison_blocks"] == 2


@pytest.mark.slow
def test_twenty_deaths_at_any_step_poison_nothing(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """They hit whichever block is at hand; each is in the sums, none in the dead letters."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 600, 200, snapshot__every_s=1.0)
        deaths = random.Random(4).choices(AT_ANY_TIME, k=20)
        (tmp_path / "deaths").write_text("\n".join(deaths))
        stream = a_stream(5, 600, 96)
        running(town, module="tests.stream.dying:DyingCurves")
        feeding = Feeding(town, stream, 300, 30)
        feeding.start()
        feeding.finish()
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 200, "the log to be drained")
        assert (tmp_path / "deaths").read_text() == "", "every death was died"
        assert_exact(town, stream)
        assert all(letters(town, p) == [] for p in town.partitions)
