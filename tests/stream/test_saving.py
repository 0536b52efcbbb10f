"""Saving state: what changed is written, all of it comes back, and death leaves the older one."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import Part, append, nation, save, started
from tests.stream.town import DAY0, Town, a_town
from wattstorm.metering import block as blocks
from wattstorm.store import snapshot_file
from wattstorm.store.disk import Disk
from wattstorm.store.snapshots import Mark, SnapshotDir

METERS = 5_000


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "redis") as server:
        yield a_town(tmp_path, server.url, METERS, METERS, snapshot__every_s=3600.0)


def block(slot: int, meters: Any = range(METERS), wh: int = 100, version: int = 0) -> bytes:
    ids = np.array(list(meters))
    return blocks.encode(
        blocks.readings(0, ids, DAY0 + slot, np.full(len(ids), wh), version=version)
    )


def files(town: Town, suffix: str) -> list[Path]:
    return sorted((town.directory / "state").rglob(f"*{suffix}"))


def state_of(bolt: Part) -> tuple[dict[str, Any], Any]:
    return bolt.component.consumer.owned[0].state.snapshot()


def assert_same(found: tuple[dict[str, Any], Any], wanted: tuple[dict[str, Any], Any]) -> None:
    assert found[1] == wanted[1]
    assert found[0].keys() == wanted[0].keys()
    for name, values in wanted[0].items():
        if ".keys" in name or ".wh" in name or ".rank" in name:
            continue  # of a table: in any order; the sums and `held` tell
        np.testing.assert_array_equal(found[0][name], values, err_msg=name)


def test_each_row_is_written_about_once_however_often_it_is_saved(town: Town) -> None:
    """Two days, saved after each slot with some late readings: bytes a reading, not a save."""
    bolt, written, position = started(AggregateBolt, town), 0, 0
    known: set[Path] = set()
    late = range(0, METERS, 500)
    for slot in range(40):
        sent = [block(slot, (m for m in range(METERS) if m % 500))]
        sent += [block(slot - 6, late)] if slot >= 6 else []
        append(town, 0, sent, first=position + 1)
        assert bolt.give(0, position + 1, position + len(sent), 1) == "ack"
        position += len(sent)
        save(bolt)
        new = set(files(town, ".rows")) - known
        known |= new
        written += sum(path.stat().st_size for path in new)
    assert written < 1.1 * 40 * 2 * METERS
    assert written < 0.1 * sum(range(40)) * 2 * METERS
    after = started(AggregateBolt, town)
    assert after.give(0, position, position, 1) == "ack"
    assert_same(state_of(after), state_of(bolt))


def test_what_is_saved_piece_by_piece_is_what_was_in_memory(town: Town) -> None:
    """Random readings, corrections, doubles, refused commits and closed days, saved now and then
    by tasks that follow each other."""
    rng = np.random.default_rng(4)
    bolt = started(AggregateBolt, town)
    for step in range(120):
        position = step + 1
        slot = int(rng.integers(max(0, 2 * step - 60), 2 * step + 2))
        meters = rng.choice(METERS, int(rng.integers(1, METERS)), replace=False)
        sent = block(slot, meters, int(rng.integers(1, 900)), int(rng.integers(0, 2)))
        append(town, 0, [sent], first=position)
        if step % 17 == 16:
            bolt.component.consumer.owned[0].state.partition.apply(
                blocks.decode(sent), position, 2**50
            )
            bolt.component.consumer.owned[0].state.partition.undo()
        assert bolt.give(0, position, position, 1) == "ack"
        if rng.random() < 0.3:
            save(bolt)
        if rng.random() < 0.1:
            after = started(AggregateBolt, town)
            assert after.give(0, position, position, 1) == "ack"
            assert_same(state_of(after), state_of(bolt))
            bolt = after
    assert len(files(town, ".snap")) <= 4


def test_rows_that_no_snapshot_names_are_removed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot whose readings come one eighth after the other is written anew each time."""
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    bolt = started(AggregateBolt, town)
    for position in range(1, 9):
        more = range(METERS * (position - 1) // 8, METERS * position // 8)
        append(town, 0, [block(0, more)], first=position)
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
        bolt.tick()
    snapshots = bolt.component.consumer.owned[0].snapshots
    named = snapshots._named(snapshots.marks())
    assert {path.name for path in files(town, ".rows")} == named
    assert len(named) <= len(snapshots.marks()) <= 4


STEPS = ("segments", "write", "confirm", "name", "_remove")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_death_between_any_two_steps_of_a_save_leaves_a_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    """The older one or the new one, whole; the next owner clears what is left of it."""

    class DeathError(BaseException):
        pass

    def arrays(seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        return {f"0/cells.{i}": rng.integers(0, 999, 500).astype(np.uint16) for i in range(4)}

    snapshots = SnapshotDir(tmp_path, 0, "here")
    old, new = Mark(1, "a"), Mark(2, "b")
    snapshots.save({"x": np.array([1])}, {"position": 1}, "a", rows=arrays(1))
    kept = arrays(1) | {"0/cells.3": arrays(2)["0/cells.3"]}
    target, name = (snapshots.segments, "write") if step == "segments" else (snapshots, step)
    confirmed: list[bool] = []
    real = (lambda: confirmed.append(True) or True) if step == "confirm" else getattr(target, name)

    def dying(*arguments: Any) -> Any:
        if when == "after":
            real(*arguments)
        raise DeathError

    confirm = dying if step == "confirm" else lambda: confirmed.append(True) or True
    if step != "confirm":
        monkeypatch.setattr(target, name, dying)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # the dead do not tidy up
    with pytest.raises(DeathError):
        snapshots.save(
            {"x": np.array([2])},
            {"position": 2},
            "b",
            confirm=confirm,
            remove=[old],
            rows=dict.fromkeys(list(kept)[:3]) | {"0/cells.3": kept["0/cells.3"]},
        )
    monkeypatch.undo()
    after = SnapshotDir(tmp_path, 0, "here")
    known = [old, new] if confirmed else [old]
    after.sweep(known)
    found = after.newest(known, lambda arrays, header: (arrays, header))
    assert found is not None
    (values, header), mark = found
    assert header["position"] == mark.position == int(values["x"][0])
    wanted = kept if mark == new else arrays(1)
    for row, cells in wanted.items():
        np.testing.assert_array_equal(values[row], cells)
    assert (mark == new) == (step == "_remove" or (step == "name" and when == "after"))
    assert {p.name for p in after.directory.glob("*.rows")} == after._named(after.marks())
    assert not list(after.directory.glob("*.draft"))


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_snapshot_whose_rows_are_gone_gives_way_to_the_older_one(town: Town, how: str) -> None:
    """The rest comes out of the log."""
    append(town, 0, [block(0), block(1), block(2)])
    bolt = started(AggregateBolt, town)
    for position in (1, 2):
        assert bolt.give(0, position, position, 1) == "ack"
        save(bolt)
    newest = files(town, ".rows")[-1]
    if how == "missing":
        newest.unlink()
    else:
        data = bytearray(newest.read_bytes())
        data[-100] ^= 1
        newest.write_bytes(data)
    after = started(AggregateBolt, town)
    assert after.give(0, 3, 3, 1) == "ack"
    assert len(after.component.consumer.owned[0].snapshots.refused) == 1
    assert nation(town) == dict.fromkeys(range(3), (100 * METERS, METERS))
    append(town, 0, [block(1), block(3)], first=4)
    assert after.give(0, 4, 5, 1) == "ack"
    assert nation(town) == dict.fromkeys(range(4), (100 * METERS, METERS))


def test_a_partition_that_fills_while_others_rest_is_saved_when_it_is_whole(tmp_path: Path) -> None:
    """Days that are sent one partition after the other: each row is written once. Counted by the
    partitions that the task holds so far, the first ones would be saved after each block."""
    with TestServer(tmp_path / "redis") as server:
        options = {"snapshot__every_mb": 1, "snapshot__every_s": 3600.0}
        town = a_town(tmp_path, server.url, 4 * METERS, METERS, **options)
        bolt, quarter = started(AggregateBolt, town), METERS // 4
        for p in range(3):
            day = [np.full((quarter, 48), 100 + k, np.uint16) for k in range(4)]
            meters = [np.arange(quarter) + p * METERS + k * quarter for k in range(4)]
            curves = [blocks.curves(p, m, DAY0, wh) for m, wh in zip(meters, day, strict=True)]
            append(town, p, [blocks.encode(each) for each in curves])
            for position in range(1, 5):
                assert bolt.give(p, position, position, 1) == "ack"
                bolt.component.consumer.saver.collect(wait=True)
        saved = {
            p: [mark.position for mark in own.saved]
            for p, own in bolt.component.consumer.owned.items()
        }
        assert saved == {0: [4], 1: [], 2: []}
        assert sum(path.stat().st_size for path in files(town, ".rows")) < 1.1 * METERS * 48 * 2


def test_a_snapshot_of_the_schema_before_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has all its arrays in itself; the next one writes the rows anew."""
    monkeypatch.setattr(snapshot_file, "SCHEMA", 2)
    snapshots = SnapshotDir(tmp_path, 0, "here")
    cells = np.arange(9, dtype=np.uint16)
    snapshots.save({"0/cells.1": cells}, {"position": 1}, "a")
    monkeypatch.undo()
    arrays, header = snapshots.load(Mark(1, "a"))
    np.testing.assert_array_equal(arrays["0/cells.1"], cells)
    assert header["position"] == 1
    assert snapshots.newest([Mark(1, "a")], lambda *_: True) == (True, Mark(1, "a"))
    assert snapshots.segments.last == {}


def test_what_was_replayed_is_due_to_be_saved(town: Town) -> None:
    """A task that dies again and again before it has read enough itself would never save: each
    replays a longer log."""
    town.options["snapshot.every_mb"] = 1
    many = np.tile(np.arange(METERS), 26)
    slots = np.repeat(np.arange(26) + DAY0, METERS)
    wh = np.random.default_rng(1).integers(1, 900, len(many))
    data = blocks.encode(blocks.readings(0, many, slots, wh))
    append(town, 0, [data] * (1 + 1_100_000 // len(data)))
    with town.connect() as connection:
        tail = town.log(connection).tails([0])[0]
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, tail, 1) == "ack"
    bolt.component.consumer.saver.collect(wait=True)
    for snapshot in files(town, ".snap"):
        snapshot.unlink()
    append(town, 0, [block(30)], first=tail + 1)
    after = started(AggregateBolt, town)
    assert after.give(0, tail + 1, tail + 1, 1) == "ack"
    after.component.consumer.saver.collect(wait=True)
    assert [mark.position for mark in after.component.consumer.owned[0].saved] == [tail + 1]


def test_a_partition_is_not_taken_while_a_snapshot_of_it_is_written(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same task lost it and takes it again: what it was writing is whole before it looks."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    real = SnapshotDir.write

    def slowly(*arguments: Any) -> None:
        real(*arguments)
        time.sleep(0.5)

    monkeypatch.setattr(SnapshotDir, "write", slowly)
    bolt.component.consumer.saver.begin(bolt.component.consumer.owned.pop(0))
    assert bolt.give(0, 2, 2, 1) == "ack"
    own = bolt.component.consumer.owned[0]
    assert [mark.position for mark in own.saved] == [1]
    assert own.snapshots.marks() == own.saved
    assert not files(town, ".draft")


def test_what_could_not_be_written_is_due_and_written_whole(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk while rows were saved: the next snapshot has them all, and comes at once."""
    append(town, 0, [block(0), block(1)])
    bolt = started(AggregateBolt, town)
    assert bolt.give(0, 1, 1, 1) == "ack"
    unsaved = bolt.component.consumer.owned[0].unsaved_bytes

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(SnapshotDir, "write", full)
    save(bolt)
    assert bolt.component.consumer.owned[0].unsaved_bytes == unsaved > 0
    monkeypatch.undo()
    assert bolt.give(0, 2, 2, 1) == "ack"
    save(bolt)
    after = started(AggregateBolt, town)
    assert after.give(0, 2, 2, 1) == "ack"
    assert_same(state_of(after), state_of(bolt))
    assert after.component.consumer.owned[0].unsaved_bytes == 0
