"""Snapshots: whole or refused, never half believed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wattstorm.errors import SlotError, SnapshotError
from wattstorm.store.snapshots import FOREIGN_KEPT, UNKNOWN_KEPT, Arrays, Mark, SnapshotDir


def arrays(seed: int) -> Arrays:
    random = np.random.default_rng(seed)
    cells = {f"cells.{row}": random.integers(0, 65535, 1000).astype(np.uint16) for row in range(5)}
    return cells | {
        "sums": random.integers(-(2**62), 2**62, (7, 3)),
        "empty": np.empty((0, 4), np.float64),
        "one": np.array(True),
    }


def a_dir(state: Path, partition: int = 0, lineage: str = "here") -> SnapshotDir:
    return SnapshotDir(state, partition, lineage)


def saved(snapshots: SnapshotDir, position: int) -> Mark:
    """A snapshot at `position`; its arrays depend on the position."""
    mark = Mark(position, f"n{position}")
    assert snapshots.save(arrays(position), {"position": position}, mark.nonce) is not None
    return mark


def file_of(snapshots: SnapshotDir, mark: Mark) -> Path:
    (path,) = snapshots.directory.glob(f"*{mark.position}.{mark.nonce}.snap")
    return path


def newest(snapshots: SnapshotDir, *known: Mark) -> int | None:
    """Position of the snapshot that is taken, if any."""
    found = snapshots.newest(known, lambda _, header: int(header["position"]))
    return None if found is None else found[0]


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Values, dtypes and shapes; the header as JSON."""
    snapshots = a_dir(tmp_path, 3)
    written = arrays(1)
    snapshots.save(written, {"position": 12, "watermark": {"0": 5}}, "n")
    found, header = snapshots.load(Mark(12, "n"))
    assert header == {"position": 12, "watermark": {"0": 5}, "lineage": "here", "nonce": "n"}
    assert found.keys() == written.keys()
    for name, array in written.items():
        np.testing.assert_array_equal(found[name], array)
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].flags.writeable


def test_only_what_is_named_is_removed_and_only_once_the_new_one_is_there(tmp_path: Path) -> None:
    """Partitions do not see each other's."""
    snapshots = a_dir(tmp_path)
    five, nine, hundred = (saved(snapshots, position) for position in (5, 9, 100))
    new = arrays(20), {"position": 20}, "n20"
    snapshots.save(*new, remove=[five, nine], confirm=lambda: False)
    assert snapshots.marks() == [five, nine, hundred]
    snapshots.save(*new, remove=[five, nine])
    assert snapshots.marks() == [Mark(20, "n20"), hundred]
    assert a_dir(tmp_path, 1).marks() == []


def test_only_a_snapshot_that_the_store_knows_is_taken(tmp_path: Path) -> None:
    """Whatever its position: the others are of another history."""
    snapshots = a_dir(tmp_path)
    ten, twenty = saved(snapshots, 10), saved(snapshots, 20)
    assert newest(snapshots, ten, twenty) == 20
    assert newest(snapshots, ten) == 10
    assert newest(snapshots, Mark(20, "other")) is None
    assert newest(a_dir(tmp_path, lineage="there"), ten, twenty) is None


def test_a_snapshot_says_itself_whose_it_is(tmp_path: Path) -> None:
    """A directory that was copied or renamed makes it nobody else's."""
    snapshots = a_dir(tmp_path)
    mark = saved(snapshots, 10)
    there = a_dir(tmp_path, lineage="there")
    snapshots.directory.rename(there.directory)
    assert there.marks() == [mark]
    assert newest(there, mark) is None


def test_what_others_left_is_swept_but_for_the_newest_few(tmp_path: Path) -> None:
    """Drafts of the dead, snapshots of lost histories, other stores' directories."""
    snapshots = a_dir(tmp_path)
    known = saved(snapshots, 1)
    lost = [saved(snapshots, position) for position in range(2, 7)]
    (snapshots.directory / "00000000000000000011.n.1.draft").write_bytes(b"half")
    for i in range(6):
        foreign = a_dir(tmp_path, lineage=f"store{i}")
        saved(foreign, 1)
        os.utime(foreign.directory, (i, i))
    for i, mark in enumerate(lost):
        os.utime(file_of(snapshots, mark), (i, i))
    snapshots.sweep([known])
    assert snapshots.marks() == [known, *lost[-UNKNOWN_KEPT:]]
    assert len(list(snapshots.directory.iterdir())) == 1 + UNKNOWN_KEPT
    beside = {path.name for path in snapshots.directory.parent.iterdir()}
    assert beside == {"here", *(f"store{i}" for i in range(6 - FOREIGN_KEPT, 6))}


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "array":
        data[-100] ^= 1
    elif how == "header":
        data[40] ^= 1
    elif how == "version":
        data[8] = 99
    elif how == "magic":
        data[0] ^= 1
    elif how == "length":
        data[12:16] = b"\xff\xff\xff\x7f"
    elif how == "end":
        del data[-200:]
    else:
        del data[int(how) :]
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("array", "damaged"),
        ("header", "header is damaged"),
        ("version", "schema 99"),
        ("magic", "starts with"),
        ("length", "cut off"),
        ("end", "cut off"),
        ("0", "no snapshot"),
        ("19", "no snapshot"),
        ("30", "cut off"),
    ],
)
def test_a_snapshot_that_is_not_sound_is_refused_and_the_older_one_used(
    tmp_path: Path, how: str, said: str
) -> None:
    """Damaged, cut off anywhere, or of another version: said once, then set aside."""
    snapshots = a_dir(tmp_path)
    old, new = saved(snapshots, 10), saved(snapshots, 20)
    path = file_of(snapshots, new)
    damage(path, how)
    with pytest.raises(SnapshotError, match=said):
        snapshots.load(new)
    assert newest(snapshots, old, new) == 10
    assert [said in str(error) for error in snapshots.refused] == [True]
    assert snapshots.marks() == [old]
    assert path.with_suffix(".refused").exists()


@pytest.mark.parametrize("error", [KeyError("low"), SlotError("a slot"), ZeroDivisionError("x")])
def test_whatever_restoring_raises_an_older_one_is_taken(tmp_path: Path, error: Exception) -> None:
    """The reason is said; a fault of the machine is no fault of the snapshot."""
    snapshots = a_dir(tmp_path)
    old, new = saved(snapshots, 10), saved(snapshots, 20)

    def restore(_: Arrays, header: dict[str, Any]) -> int:
        if header["position"] == 20:
            raise error
        return int(header["position"])

    assert snapshots.newest([old, new], restore) == (10, old)
    assert snapshots.refused == [error]
    error = MemoryError()
    with pytest.raises(MemoryError):
        snapshots.newest([old, new], restore)


def test_without_a_sound_snapshot_there_is_none(tmp_path: Path) -> None:
    """The rest is the log's work."""
    snapshots = a_dir(tmp_path)
    mark = saved(snapshots, 10)
    damage(file_of(snapshots, mark), "0")
    assert newest(snapshots, mark) is None
    assert newest(snapshots, Mark(11, "n11")) is None
    assert snapshots.unreadable == []


def test_a_snapshot_that_cannot_be_read_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    """Who could read it again once the disk is mended must not give up its memory."""
    snapshots = a_dir(tmp_path)
    mark = saved(snapshots, 10)
    path = file_of(snapshots, mark)
    path.unlink()
    path.mkdir()
    assert newest(snapshots, mark) is None
    assert len(snapshots.unreadable) == 1


@pytest.mark.parametrize("name", ["11.n10", "10.n11"])
def test_a_renamed_snapshot_is_refused(tmp_path: Path, name: str) -> None:
    """Its name and its header must agree on the position and the nonce."""
    snapshots = a_dir(tmp_path)
    path = file_of(snapshots, saved(snapshots, 10))
    path.rename(path.with_name(path.name.replace("10.n10", name)))
    (mark,) = snapshots.marks()
    assert newest(snapshots, mark) is None


def test_a_task_that_lost_its_partition_leaves_no_snapshot(tmp_path: Path) -> None:
    """Asked after the writing, before the name."""
    snapshots = a_dir(tmp_path)
    assert snapshots.save(arrays(1), {"position": 10}, "n", confirm=lambda: False) is None
    assert list(snapshots.directory.iterdir()) == []


def test_objects_are_not_saved(tmp_path: Path) -> None:
    """No pickle, ever."""
    snapshots = a_dir(tmp_path)
    with pytest.raises(SnapshotError, match="plain numbers"):
        snapshots.save({"x": np.array([{}])}, {"position": 1}, "n")
    assert snapshots.marks() == []


def test_first_the_rows_then_the_file_then_its_name_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut at any moment finds a name only of what is whole, and what the store was told
    of has its name."""
    snapshots, seen = a_dir(tmp_path), list[str]()
    saved(snapshots, 1)
    sync, rename = os.fsync, Path.replace

    def syncing(descriptor: int) -> None:
        sync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        seen.append(f"sync {'directory' if path.is_dir() else path.suffix}")

    def renaming(path: Path, target: Path) -> Path:
        seen.append("name")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "replace", renaming)
    rows = {"cells.0": np.arange(9, dtype=np.uint16)}

    def confirm() -> bool:
        seen.append("confirm")
        return True

    snapshots.save({}, {"position": 2}, "n", rows=rows, confirm=confirm)
    assert seen == ["sync .rows", "sync .draft", "confirm", "name", "sync directory"]


@pytest.mark.parametrize("how", ["refused", "no room"])
def test_rows_of_a_snapshot_that_did_not_appear_are_not_taken_for_written(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for as they were before: the next snapshot must write them whole."""
    snapshots, rows = a_dir(tmp_path), {"cells.0": np.arange(1, 9, dtype=np.uint16)}
    assert snapshots.save({}, {"position": 1}, "m", rows=rows) is not None
    before = sorted(snapshots.directory.iterdir())
    rows["cells.0"] = rows["cells.0"] + 1
    if how == "refused":
        assert snapshots.save({}, {"position": 2}, "n", rows=rows, confirm=lambda: False) is None
    else:

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(SnapshotError):
            snapshots.save({}, {"position": 2}, "n", rows=rows)
        monkeypatch.undo()
    assert snapshots.segments.last == {}
    assert sorted(snapshots.directory.iterdir()) == before
