"""A commit that was refused, or whose answer was lost: memory follows the store, at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import Part, append, dumped, go_back, nation, save, started
from tests.stream.town import DAY0, Town, a_town
from wattstorm.errors import StoreReadOnly, StoreUnreachable
from wattstorm.metering import block as blocks
from wattstorm.store.commit import PartitionStore

METERS = 10


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, METERS, METERS, snapshot__every_s=3600.0)


def block(slot: int, wh: int = 100, version: int = 0) -> bytes:
    made = blocks.readings(0, np.arange(METERS), DAY0 + slot, [wh] * METERS, version=version)
    return blocks.encode(made)


def ends_with(
    monkeypatch: pytest.MonkeyPatch, error: Exception, *, carried_out: bool = False
) -> None:
    """From here on each commit does."""
    real: Callable[..., Any] = PartitionStore.commit

    def commit(*arguments: Any, **named: Any) -> None:
        if carried_out:
            real(*arguments, **named)
        raise error

    monkeypatch.setattr(PartitionStore, "commit", commit)


def test_a_refused_commit_leaves_the_memory_as_it_was(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next attempt is acknowledged by the same memory: nothing is taken again for it."""
    append(town, 0, [block(0), block(0, 200, version=1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    own = bolt.component.consumer.owned[0]
    ends_with(monkeypatch, StoreReadOnly("a replica"))
    for attempt in range(3):
        assert bolt.give(0, 2, 2, attempt) == "fail"
    monkeypatch.undo()
    assert bolt.give(0, 2, 2, 3) == "ack"
    assert bolt.component.consumer.owned[0] is own
    assert nation(town) == {0: (2000, METERS)}


def test_in_doubt_a_fence_that_another_moved_is_not_the_own(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It slept over its commit; another took the partition and stands where it wanted to."""
    append(town, 0, [block(0), block(1)])
    sleeper = started(AggregateBolt, town)
    assert sleeper.give(0, 1, 1, 1) == "ack"
    ends_with(monkeypatch, StoreUnreachable("no answer"))
    assert sleeper.give(0, 2, 2, 1) == "fail"
    monkeypatch.undo()
    assert started(AggregateBolt, town).give(0, 2, 2, 1) == "ack"
    assert sleeper.give(0, 2, 2, 2) == "fail"
    assert sleeper.emitted() == []
    assert 0 not in sleeper.component.consumer.owned
    assert nation(town) == dict.fromkeys(range(2), (1000, METERS))


def test_a_store_that_went_one_batch_back_is_noticed_by_what_it_is_given(town: Town) -> None:
    """The batch was acknowledged once; given again it is not, for the store has it no more."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    kept = dumped(town)
    assert bolt.give(0, 2, 2, 1) == "ack"
    go_back(town, kept)
    assert bolt.give(0, 2, 2, 2) == "fail"
    assert nation(town) == {0: (1000, METERS)}
    assert bolt.give(0, 2, 2, 3) == "ack"
    assert nation(town) == dict.fromkeys(range(2), (1000, METERS))


def test_a_memory_that_is_behind_the_fence_is_dropped(town: Town) -> None:
    """The address led to an empty store for a moment: all that comes at home is ahead of what
    the task knows, and would fail for ever."""
    append(town, 0, [block(0), block(1), block(2)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 2, 1) == "ack"
    home = dumped(town)
    go_back(town, {})
    append(town, 0, [block(0)])
    assert bolt.give(0, 1, 1, 1) == "fail"
    assert bolt.give(0, 1, 1, 2) == "ack"
    go_back(town, home)
    assert bolt.give(0, 3, 3, 1) == "fail"
    assert bolt.give(0, 3, 3, 2) == "ack"
    assert nation(town) == dict.fromkeys(range(3), (1000, METERS))


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_stop_in_doubt_saves_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch, carried_out: bool
) -> None:
    """Nobody knows whether what memory holds is in the store: the log says it all again."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    save(bolt)
    ends_with(monkeypatch, StoreUnreachable("no answer"), carried_out=carried_out)
    assert bolt.give(0, 2, 2, 1) == "fail"
    monkeypatch.undo()
    bolt.component.stop()
    assert positions(bolt) == [1]
    assert started(AggregateBolt, town).give(0, 2, 2, 1) == "ack"
    assert nation(town) == dict.fromkeys(range(2), (1000, METERS))


def positions(bolt: Part) -> list[int]:
    return [mark.position for mark in bolt.component.consumer.owned[0].snapshots.marks()]
