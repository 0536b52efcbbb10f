"""Rows of snapshots: written once, then only what changed of them; damage is seen."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from wattstorm.errors import SnapshotError
from wattstorm.store.segments import Row, Rows, Segments, files_of

N = 10_000


def row(seed: int) -> npt.NDArray[Any]:
    return np.random.default_rng(seed).integers(1, 4000, N).astype(np.uint16)


def written(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def through_json(rows: Rows) -> Rows:
    return {name: Row.of(card) for name, card in json.loads(json.dumps(rows)).items()}


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    """Full, empty, half empty, of other types; where they lie goes through JSON."""
    half = row(2)
    half[: N // 2] = 0
    rows = {
        "full": row(1),
        "half": half,
        "empty": np.zeros(N, np.uint16),
        "none": np.zeros(0, np.uint16),
        "wide": row(3).astype(np.int64) - 2000,
    }
    segments = Segments(tmp_path)
    placed = through_json(segments.write("1.a.rows", rows))
    found = Segments(tmp_path).read(placed)
    for name, values in rows.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype


def test_a_row_that_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    """Nothing changed, no file; one of 48 changed, the bytes of one."""
    segments = Segments(tmp_path)
    rows: dict[str, Any] = {f"cells.{i}": row(i) for i in range(48)}
    segments.last = segments.write("1.a.rows", rows)
    first = written(tmp_path)
    assert first < 48 * 2 * N * 1.01 + 4096
    segments.last = segments.write("2.b.rows", dict.fromkeys(rows))
    assert written(tmp_path) == first
    rows["cells.47"] = row(99)
    segments.last = segments.write("3.c.rows", dict.fromkeys(rows) | {"cells.47": row(99)})
    assert 2 * N <= written(tmp_path) - first < 2 * N + 256
    for name, values in Segments(tmp_path).read(segments.last).items():
        np.testing.assert_array_equal(values, rows[name])
    assert files_of(segments.last) == {"1.a.rows", "3.c.rows"}


def test_of_a_row_that_changed_a_little_only_that_is_written(tmp_path: Path) -> None:
    """Six bytes a late reading; changes add up against the first writing, until it pays to
    write the row anew."""
    segments, values, rng = Segments(tmp_path), row(1), np.random.default_rng(5)
    segments.last = segments.write("0.a.rows", {"r": values})
    before = written(tmp_path)
    for step in range(1, 60):
        values = values.copy()
        values[rng.integers(0, N, 20)] = 65_535
        segments.last = segments.write(f"{step}.a.rows", {"r": values})
        now = written(tmp_path)
        assert now - before < (20 * 6 * step + 192 if step < 35 else 2 * N + 192)
        before = now
        np.testing.assert_array_equal(Segments(tmp_path).read(segments.last)["r"], values)
    assert len(files_of(segments.last)) <= 2


def test_a_row_that_has_just_begun_takes_what_it_holds(tmp_path: Path) -> None:
    """Of a slot that is being reported most is zero."""
    values = np.zeros(N, np.uint16)
    values[100:300] = 7
    segments = Segments(tmp_path)
    segments.last = segments.write("1.a.rows", {"r": values})
    assert written(tmp_path) < 200 * 6 + 192
    np.testing.assert_array_equal(segments.read(segments.last)["r"], values)


def test_a_register_that_grew_has_longer_rows(tmp_path: Path) -> None:
    """No change against a base of another length."""
    segments = Segments(tmp_path)
    segments.last = segments.write("1.a.rows", {"r": row(1)})
    longer = np.concatenate([row(1), [5]]).astype(np.uint16)
    segments.last = segments.write("2.a.rows", {"r": longer})
    np.testing.assert_array_equal(segments.read(segments.last)["r"], longer)


@pytest.mark.parametrize("how", ["a bit", "cut off", "missing", "another row's bytes"])
def test_damage_is_refused_and_never_built_upon(tmp_path: Path, how: str) -> None:
    """Read: refused. Saved upon: a base that is not sound is written anew, in full."""
    segments = Segments(tmp_path)
    values = row(1)
    segments.last = segments.write("1.a.rows", {"r": values, "s": row(2)})
    path = tmp_path / "1.a.rows"
    data = bytearray(path.read_bytes())
    if how == "a bit":
        data[1000] ^= 4
    elif how == "cut off":
        del data[1000:]
    elif how == "another row's bytes":
        data[64 : 64 + 2 * N] = row(2).tobytes()
    path.write_bytes(data)
    if how == "missing":
        path.unlink()
    with pytest.raises((SnapshotError, FileNotFoundError)):
        segments.read(segments.last)
    values = values.copy()
    values[5] = 1
    segments.last = segments.write("2.a.rows", {"r": values})
    np.testing.assert_array_equal(segments.read(segments.last)["r"], values)
    assert files_of(segments.last) == {"2.a.rows"}


def test_a_disk_that_is_full_leaves_no_file(tmp_path: Path) -> None:
    """Half a file of rows is of no use to anybody."""
    segments = Segments(tmp_path)
    with pytest.raises(SnapshotError, match="dtype"):
        segments.write("1.a.rows", {"r": row(1), "s": np.zeros(3)})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("n", [N - 1, N + 1, 0])
def test_a_row_that_is_not_as_long_as_its_manifest_says_is_refused(tmp_path: Path, n: int) -> None:
    """Each part may be sound, and yet not what was meant."""
    segments = Segments(tmp_path)
    placed = segments.write("1.a.rows", {"cells.0": row(1)})
    with pytest.raises(SnapshotError, match=f"has {N} values of {n}"):
        segments.read({"cells.0": placed["cells.0"]._replace(n=n)})
