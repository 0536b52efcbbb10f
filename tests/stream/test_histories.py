"""Snapshots of another history are never taken for the store's own: stores, backups, zombies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import Part, append, dumped, go_back, nation, save, started
from tests.stream.poisoned import is_poison
from tests.stream.town import DAY0, Town, a_town, audit
from wattstorm.metering import block as blocks
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.disk import Disk
from wattstorm.store.log import Append
from wattstorm.stream.sums import Sums

METERS = 10


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, METERS, METERS, snapshot__every_s=3600.0)


def block(slot: int, wh: int = 100, meters: Any = range(METERS), version: int = 0) -> bytes:
    ids = np.array(list(meters))
    made = blocks.readings(0, ids, DAY0 + slot, [wh] * len(ids), version=version)
    return blocks.encode(made)


def send(town: Town, *data: bytes) -> None:
    """Blocks to the end of the log."""
    with town.connect() as connection:
        log = town.log(connection)
        first = log.last_numbers("x", [0])[0] + 1
        rows = [Append(0, "x", first + i, each, 1) for i, each in enumerate(data)]
        assert {answer.status for answer in log.append_many(rows)} == {"new"}


def work(town: Town, bolt: Part | None = None) -> Part:
    """A bolt, new unless given, that has committed all there is."""
    bolt = bolt or started(AggregateBolt, town)
    with town.connect() as connection:
        fence, tail = (
            town.stores(connection)[0].fence().position,
            town.log(connection).tails([0])[0],
        )
    assert bolt.give(0, fence + 1, tail, 1) == "ack"
    return bolt


def trim_all(town: Town, bolt: Part, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is gone: only snapshots have the memory."""
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    bolt.tick()
    monkeypatch.undo()
    with town.connect() as connection:
        head = town.log(connection).status(0)
        assert head.first == head.tail + 1


def test_two_stores_in_one_data_directory_keep_each_its_own_memory(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two prefixes in turn: "use another store.prefix" is what our own messages advise."""
    send(town, block(0), block(1))
    one = work(town)
    one.component.stop()
    trim_all(town, one, monkeypatch)
    town.options["store.prefix"] = "two"
    send(town, block(0, 999))
    work(town).component.stop()
    send(town, block(0, 999))
    work(town).component.stop()
    assert nation(town) == {0: (9990, METERS)}
    town.options["store.prefix"] = "wattstorm"
    send(town, block(2), block(0, 110, [0], version=1))
    work(town)
    assert nation(town) == {0: (1010, METERS), 1: (1000, METERS), 2: (1000, METERS)}


def test_a_restored_backup_does_not_meet_snapshots_of_what_came_after_it(town: Town) -> None:
    """Another store stood in its place for a moment, and its snapshots are below the fence."""
    send(town, *(block(slot) for slot in range(4)))
    work(town).component.stop()
    kept = dumped(town)
    go_back(town, {})
    send(town, block(3, 555), block(4, 555))
    work(town).component.stop()
    go_back(town, kept)
    send(town, block(3, 110, [0], version=1), block(4))
    work(town)
    expected = dict.fromkeys(range(5), (1000, METERS))
    assert nation(town) == expected | {3: (1010, METERS)}


def test_a_backup_of_the_same_store_does_not_meet_its_own_future(town: Town) -> None:
    """Same lineage, positions that overlap, other content under them: the store that went
    back does not know those snapshots, wherever its fence comes to stand."""
    send(town, block(0))
    first = work(town)
    save(first)
    kept = dumped(town)
    send(town, block(1, 555), block(2, 555))
    work(town, first).component.stop()
    go_back(town, kept)
    send(town, block(1), block(2), block(3))
    second = work(town)  # its fence has passed the lost snapshot
    assert [mark.position for mark in second.component.consumer.owned[0].snapshots.marks()] == [
        1,
        3,
    ]
    send(town, block(1, 110, [0], version=1), block(2))
    third = work(town)
    assert nation(town) == {
        0: (1000, METERS),
        1: (1010, METERS),
        2: (1000, METERS),
        3: (1000, METERS),
    }
    with town.connect() as connection:
        assert audit(town, connection)["double"] == METERS
    save(third)
    assert [mark.position for mark in third.component.consumer.owned[0].saved] == [1, 6]


def test_a_zombies_snapshot_never_gets_its_name(town: Town) -> None:
    """It slept while the store went back and another took the partition, past its position."""
    send(town, block(0))
    zombie = work(town)
    kept = dumped(town)
    send(town, block(1))
    work(town, zombie)
    go_back(town, kept)
    send(town, block(2, 7))
    work(town)
    save(zombie)
    assert zombie.component.consumer.owned[0].saved == []
    send(town, block(1), block(2, 7, [0]))
    work(town)
    assert nation(town) == {0: (1000, METERS), 1: (1000, METERS), 2: (70, METERS)}


def test_a_snapshot_that_cannot_be_restored_gives_way_to_an_older_one(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the error is: else the partition could never be taken again."""
    send(town, block(0))
    bolt = work(town)
    save(bolt)
    send(town, block(1))
    work(town, bolt)
    save(bolt)
    from wattstorm.metering.partition import Partition

    real = Partition.restore

    def restored(*arguments: Any) -> Partition:
        if arguments[-1]["position"] == 2:
            raise ValueError("a fault of ours")
        return real(*arguments)

    monkeypatch.setattr(Partition, "restore", restored)
    send(town, block(1), block(2))
    after = work(town)
    assert nation(town) == dict.fromkeys(range(3), (1000, METERS))
    assert [mark.position for mark in after.component.consumer.owned[0].saved] == [1]


def raising_in_replay(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions of POISON_WH blocks that a replay met; it raises there."""
    met: list[int] = []
    real = Sums.apply

    def apply(state: Any, entry: Any) -> None:
        if is_poison(entry):
            met.append(entry.position)
            raise ZeroDivisionError("a fault of ours")
        real(state, entry)

    monkeypatch.setattr(Sums, "apply", apply)
    return met


def test_a_replay_that_always_raises_closes_what_is_summed_and_goes_on(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its readings are in the sums and the memory cannot know them: no sum is wrong, what
    cannot be told from doubles is set aside and counted, later slots go on."""
    town.options["batch.attempts"] = 3
    send(town, block(0), block(1, 666))
    work(town)
    met = raising_in_replay(monkeypatch)
    send(town, block(0), block(2))
    bolt = started(AggregateBolt, town)
    answers = [bolt.give(0, 3, 4, attempt) for attempt in range(3)]
    assert answers == ["fail", "fail", "ack"]
    assert len(met) == 3
    assert nation(town) == {0: (1000, METERS), 1: (6660, METERS), 2: (1000, METERS)}
    with town.connect() as connection:
        assert audit(town, connection)["state_lost"] == METERS
        assert [x.reason for x in DeadLetters(connection, "wattstorm").list(0)] == ["state_lost"]


def test_a_poisoned_entry_is_passed_by_a_replay_that_could_not_bear_it(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its position is kept with the fence, and nobody tries it again."""
    from tests.stream.poisoned import RaisingBolt

    town.options["batch.attempts"] = 1
    send(town, block(0), block(1, 666), block(2))
    bolt = started(RaisingBolt, town)
    while bolt.give(0, 1, 3, 1) != "ack":
        pass
    met = raising_in_replay(monkeypatch)
    send(town, block(0), block(1))
    work(town)
    assert met == []
    assert nation(town) == dict.fromkeys(range(3), (1000, METERS))
    with town.connect() as connection:
        assert audit(town, connection)["double"] == METERS


def test_append_is_not_confused_by_a_log_of_before(town: Town) -> None:
    """Entries and heads without a chain, as an earlier version wrote them, are committed."""
    append(town, 0, [block(0)])
    with town.connect() as connection:
        keys = town.stores(connection)[0].keys
        (row,) = connection.redis.xrange(keys.log)
        fields = {name: value for name, value in row[1].items() if name != b"h"}
        connection.redis.delete(keys.log)
        connection.redis.xadd(keys.log, fields, id="1-0")
        connection.redis.hdel(keys.head, "chain")
    append(town, 0, [block(1)], first=2)
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    assert bolt.give(0, 2, 2, 1) == "ack"
    assert nation(town) == dict.fromkeys(range(2), (1000, METERS))


def test_who_takes_a_partition_sweeps_what_the_dead_left(town: Town) -> None:
    """Half a snapshot of a task that was killed, rows that nothing names: they would pile up."""
    send(town, block(0))
    bolt = work(town)
    save(bolt)
    directory = bolt.component.consumer.owned[0].snapshots.directory
    kept = sorted(path.name for path in directory.iterdir())
    for name in ("00000000000000000009.n.1.draft", "00000000000000000009.n.rows"):
        (directory / name).write_bytes(b"half")
    send(town, block(1))
    work(town)
    assert sorted(path.name for path in directory.iterdir()) == kept


def test_who_goes_on_without_memory_trims_behind_its_own_snapshots_only(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older one lies there, but the log behind it cannot be replayed: it leads nowhere."""
    town.options["batch.attempts"] = 1
    send(town, block(0))
    save(before := work(town))
    send(town, block(1, 666))
    work(town, before)
    raising_in_replay(monkeypatch)
    send(town, block(2))
    after = work(town)
    monkeypatch.undo()
    assert after.component.consumer.owned[0].saved == []
    save(after)
    trim_all(town, after, monkeypatch)
    with town.connect() as connection:
        known = town.stores(connection)[0].acquire(2**62).snapshots
    assert [mark.position for mark in known] == [3]


def test_a_task_whose_snapshots_the_store_forgot_begins_anew(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store went back to before a snapshot, not behind the fence: no commit is refused, but
    every snapshot would be, and the log would fill up."""
    send(town, block(0))
    bolt = work(town)
    kept = dumped(town)
    save(bolt)
    go_back(town, kept)
    send(town, block(1))
    work(town, bolt)
    save(bolt)
    assert bolt.component.consumer.owned[0].forgotten
    bolt.tick()
    assert 0 not in bolt.component.consumer.owned
    send(town, block(2))
    work(town, bolt)
    save(bolt)
    trim_all(town, bolt, monkeypatch)
    assert nation(town) == dict.fromkeys(range(3), (1000, METERS))
