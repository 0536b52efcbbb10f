"""Snapshots: whole or refused, never half believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattstorm.errors import SnapshotError
from wattstorm.store.snapshots import Arrays, SnapshotDir


def arrays(seed: int) -> Arrays:
    random = np.random.default_rng(seed)
    cells = {f"cells.{row}": random.integers(0, 65535, 1000).astype(np.uint16) for row in range(5)}
    return cells | {
        "sums": random.integers(-(2**62), 2**62, (7, 3)),
        "empty": np.empty((0, 4), np.float64),
        "one": np.array(True),
    }


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """Values, dtypes and shapes; the header as JSON."""
    snapshots = SnapshotDir(tmp_path, 3)
    saved = arrays(1)
    snapshots.save(saved, {"position": 12, "watermark": {"0": 5}})
    loaded = snapshots.load_newest(12)
    assert loaded is not None
    assert loaded[1] == {"position": 12, "watermark": {"0": 5}}
    assert loaded[0].keys() == saved.keys()
    for name, array in saved.items():
        np.testing.assert_array_equal(loaded[0][name], array)
        assert (loaded[0][name].dtype, loaded[0][name].shape) == (array.dtype, array.shape)
        assert loaded[0][name].flags.writeable


def test_only_what_is_named_is_removed_and_only_once_the_new_one_is_there(tmp_path: Path) -> None:
    """By position; partitions do not see each other's."""
    snapshots = SnapshotDir(tmp_path, 0)
    for position in (5, 9, 100):
        snapshots.save(arrays(position), {"position": position})
    snapshots.save(arrays(20), {"position": 20}, remove=[5, 9], confirm=lambda: False)
    assert snapshots.positions() == [5, 9, 100]
    snapshots.save(arrays(20), {"position": 20}, remove=[5, 9])
    assert snapshots.positions() == [20, 100]
    assert SnapshotDir(tmp_path, 1).positions() == []
    assert SnapshotDir(tmp_path, 1).load_newest(1000) is None


def test_a_snapshot_above_the_fence_is_removed_and_an_older_one_taken(tmp_path: Path) -> None:
    """The store went back: those positions will be given to other content."""
    snapshots = SnapshotDir(tmp_path, 0)
    for position in (10, 20):
        snapshots.save(arrays(position), {"position": position})
    loaded = snapshots.load_newest(19)
    assert loaded is not None
    assert loaded[1]["position"] == 10
    assert snapshots.positions() == [10]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "array":
        data[-100] ^= 1
    elif how == "header":
        data[40] ^= 1
    elif how == "version":
        data[8] = 2
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
        ("array", "damaged"), ("header", "header is damaged"), ("version", "schema 2"),
        ("magic", "starts with"), ("length", "cut off"), ("end", "cut off"), ("0", "no snapshot"),
        ("19", "no snapshot"), ("30", "cut off"),
    ],
)  # fmt: skip
def test_a_snapshot_that_is_not_sound_is_refused_and_the_older_one_used(
    tmp_path: Path, how: str, said: str
) -> None:
    """Damaged, cut off anywhere, or of another version: said once, then set aside."""
    snapshots = SnapshotDir(tmp_path, 0)
    snapshots.save(arrays(1), {"position": 10})
    newest = snapshots.save(arrays(2), {"position": 20})
    assert newest is not None
    damage(newest, how)
    with pytest.raises(SnapshotError, match=said):
        snapshots.load(20)
    loaded = snapshots.load_newest(20)
    assert loaded is not None
    assert loaded[1]["position"] == 10
    assert [said in str(error) for error in snapshots.refused] == [True]
    assert snapshots.positions() == [10]
    assert newest.with_suffix(".refused").exists()


def test_without_a_sound_snapshot_there_is_none(tmp_path: Path) -> None:
    """The rest is the log's work."""
    snapshots = SnapshotDir(tmp_path, 0)
    path = snapshots.save(arrays(1), {"position": 10})
    assert path is not None
    damage(path, "0")
    assert snapshots.load_newest(10) is None


def test_a_renamed_snapshot_is_refused(tmp_path: Path) -> None:
    """Its name and its header must agree on the position."""
    snapshots = SnapshotDir(tmp_path, 0)
    path = snapshots.save(arrays(1), {"position": 10})
    assert path is not None
    path.rename(path.with_name(path.name.replace("10.", "11.")))
    assert snapshots.load_newest(11) is None


def test_a_task_that_lost_its_partition_leaves_no_snapshot(tmp_path: Path) -> None:
    """Asked after the writing, before the name; drafts of the dead are swept."""
    snapshots = SnapshotDir(tmp_path, 0)
    assert snapshots.save(arrays(1), {"position": 10}, confirm=lambda: False) is None
    (snapshots.directory / "00000000000000000011.1.draft").write_bytes(b"half")
    assert snapshots.load_newest(100) is None
    assert list(snapshots.directory.iterdir()) == []


def test_objects_are_not_saved(tmp_path: Path) -> None:
    """No pickle, ever."""
    with pytest.raises(SnapshotError, match="plain numbers"):
        SnapshotDir(tmp_path, 0).save({"x": np.array([{}])}, {"position": 1})
    assert SnapshotDir(tmp_path, 0).positions() == []
