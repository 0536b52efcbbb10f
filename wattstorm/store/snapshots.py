"""Snapshots: a partition's arrays and the log position that they reflect, in a directory.

    <state_dir>/<log>/<consumer>/p<partition>/<lineage>/<position>.<nonce>.snap    `snapshot_file`
                                                        <position>.<nonce>.rows    `segments`

A .snap appears under its name only when it is whole and on disk, and only once the
store knows its nonce. Who takes a partition starts from the newest one that the
store knows and that can be restored. What the store does not know is another
history's (a store that went back, a backup that was restored, another store's with
the same directory): it is never read. Each store has its own lineage, and so its
own directories; a few of others' are left for the day when they come back.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy.typing as npt

from wattstorm.errors import RegisterError, SnapshotError
from wattstorm.private_files import make_private, open_private
from wattstorm.store import segments, snapshot_file
from wattstorm.store.keys import READINGS, SUMS
from wattstorm.store.segments import Rows, Segments, files_of
from wattstorm.store.snapshot_file import Arrays as Arrays

UNKNOWN_KEPT: Final = 2
"""Files of one partition that its store does not know (any more), the newest."""
FOREIGN_KEPT: Final = 3
"""Other stores' directories of one partition, the newest."""
_SUFFIX: Final = ".snap"
_log = logging.getLogger(__name__)

T = TypeVar("T")


class Mark(NamedTuple):
    """Which snapshot: the log position that it reflects, and a random text of its own."""

    position: int
    nonce: str


class SnapshotDir:
    """A consumer's snapshots of one partition of a log of one store.

    refused: why some were passed over; unreadable: those of them whose file is there, or
    should be, but cannot be read; segments: the rows of cells, most of what is written.
    """

    def __init__(
        self,
        state_dir: str | Path,
        partition: int,
        lineage: str,
        *,
        log: str = READINGS,
        consumer: str = SUMS,
    ) -> None:
        self._root = Path(state_dir)
        self.directory = self._root / log / consumer / f"p{partition}" / lineage
        self.partition, self.lineage = partition, lineage
        self.segments = Segments(self.directory)
        self.refused: list[Exception] = []
        self.unreadable: list[SnapshotError] = []

    def marks(self) -> list[Mark]:
        """All that have a file, ascending; whether it is sound only loading tells."""
        parts = [path.name.split(".") for path in self._files(_SUFFIX)]
        return sorted(Mark(int(p[0]), p[1]) for p in parts if len(p) == 3 and p[0].isdecimal())

    def save(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        header: Mapping[str, Any],
        nonce: str,
        *,
        rows: Mapping[str, npt.NDArray[Any] | None] | None = None,
        confirm: Callable[[], bool] | None = None,
        remove: Sequence[Mark] = (),
    ) -> Path | None:
        """Write a snapshot at `header["position"]`, then remove those named by `remove`.

        rows: of cells; None for one that is as `segments.last` has it. confirm: asked when all
        is on disk, before it gets its name; where it says no (the partition has another owner)
        nothing is kept: None.
        """
        path = self._path(Mark(int(header["position"]), nonce))
        draft = path.with_suffix(f".{os.getpid()}.draft")
        beside = path.with_suffix(segments.SUFFIX)
        placed: Rows | None = None
        try:
            self._make_directory()
            written = self.segments.write(beside.name, rows or {})
            self.write(draft, arrays, {**header, "lineage": self.lineage, "nonce": nonce}, written)
            if confirm is not None and not confirm():
                return None
            self.name(draft, path)
            placed = written
        except OSError as error:
            raise SnapshotError(
                f"partition {self.partition}: {path} cannot be written: {error}",
                "free its disk; the stream goes on, but the log cannot be trimmed meanwhile",
            ) from error
        finally:
            draft.unlink(missing_ok=True)
            if placed is None:
                beside.unlink(missing_ok=True)
            self.segments.last = placed or {}
        self._remove(remove)
        return path

    def write(
        self,
        draft: Path,
        arrays: Mapping[str, npt.NDArray[Any]],
        header: Mapping[str, Any],
        rows: Rows,
    ) -> None:
        """The whole file, on disk, under a name that nobody reads; its rows are on disk."""
        with open_private(draft) as file:
            snapshot_file.write(file, arrays, header, rows)
            file.flush()
            os.fsync(file.fileno())

    def name(self, draft: Path, path: Path) -> None:
        draft.replace(path)
        _sync(self.directory)

    def newest(
        self, known: Collection[Mark], restore: Callable[[Arrays, dict[str, Any]], T]
    ) -> tuple[T, Mark] | None:
        """`restore` of the newest snapshot among `known` with which it succeeds.

        Whatever is wrong with one (damage, another version, an error in restoring it), it
        is refused with the reason, and the next older one is taken.
        """
        for mark in sorted(known, reverse=True):
            try:
                arrays, header, rows = self._load(mark)
                state = restore(arrays, header)
                self.segments.last = rows
                return state, mark
            except (MemoryError, RegisterError):
                raise  # not this snapshot's fault
            except Exception as error:
                self._refuse(mark, error)
        return None

    def load(self, mark: Mark) -> tuple[Arrays, dict[str, Any]]:
        """One snapshot, or SnapshotError."""
        return self._load(mark)[:2]

    def _load(self, mark: Mark) -> tuple[Arrays, dict[str, Any], Rows]:
        path = self._path(mark)
        try:
            with path.open("rb") as file:
                arrays, header, rows = snapshot_file.read(file)
            found = header.get("position"), header.get("nonce"), header.get("lineage")
            if found != (*mark, self.lineage):
                raise SnapshotError(f"it is of position, nonce and lineage {found}")
            arrays |= self.segments.read(rows)
        except (OSError, SnapshotError, LookupError, TypeError, ValueError) as error:
            what = error.what if isinstance(error, SnapshotError) else repr(error)
            raise SnapshotError(
                f"partition {self.partition}: snapshot {path} is refused: {what}",
                "an older one is taken, and the rest is rebuilt from the log",
            ) from error
        return arrays, header, rows

    def sweep(self, known: Collection[Mark]) -> None:
        """Remove drafts of the dead, rows that no snapshot names, and what is left of other
        histories beyond the newest few.

        Only the partition's owner may call this, with what its store knows.
        """
        for draft in self._files(".draft"):
            draft.unlink(missing_ok=True)
        unknown = [self._path(mark) for mark in self.marks() if mark not in known]
        if unknown:
            _log.warning(
                "partition %d: %d snapshots in %s are of a history that its store does not know; "
                "they are not used",
                self.partition,
                len(unknown),
                self.directory,
            )
        for path in _newest_first(unknown)[UNKNOWN_KEPT:]:
            path.unlink(missing_ok=True)
        named = self._named(self.marks())
        for path in self._files(segments.SUFFIX):
            if path.name not in named:
                path.unlink(missing_ok=True)
        beside = self.directory.parent.glob("*/") if self.directory.parent.is_dir() else ()
        foreign = [path for path in beside if path.name != self.lineage]
        if foreign and not self.directory.is_dir():
            _log.warning(
                "partition %d: the snapshots in %s are of other stores and are not used",
                self.partition,
                self.directory.parent,
            )
        for path in _newest_first(foreign)[FOREIGN_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)

    def _files(self, suffix: str) -> list[Path]:
        """Those of this lineage; a tenth of the time that a glob takes."""
        try:
            names = os.listdir(self.directory)
        except (FileNotFoundError, PermissionError):
            return []
        return [self.directory / name for name in names if name.endswith(suffix)]

    def _path(self, mark: Mark) -> Path:
        return self.directory / f"{mark.position:020d}.{mark.nonce}{_SUFFIX}"

    def _remove(self, marks: Sequence[Mark]) -> None:
        """Snapshots, and the rows that only they name: never a file that this task does not know,
        for the partition may have another by now."""
        files = self._named(marks)
        for mark in marks:
            self._path(mark).unlink(missing_ok=True)
        self.segments.remove(files - self._named(self.marks()) - files_of(self.segments.last))

    def _named(self, marks: Sequence[Mark]) -> set[str]:
        """Files of rows that snapshots name."""
        return {
            name for mark in marks for name in files_of(snapshot_file.rows_of(self._path(mark)))
        }

    def _refuse(self, mark: Mark, error: Exception) -> None:
        self.refused.append(error)
        if not isinstance(error, SnapshotError):
            _log.warning(
                "partition %d: snapshot %s cannot be restored: %r",
                self.partition,
                self._path(mark),
                error,
                exc_info=error,
            )
            return
        _log.warning("%s", error)
        cause = error.__cause__
        if isinstance(cause, OSError):
            if not isinstance(cause, FileNotFoundError):
                self.unreadable.append(error)
        elif cause is not None:
            self._set_aside(mark)

    def _set_aside(self, mark: Mark) -> None:
        """Damaged: no base any more; the last such file stays for who wants to look."""
        path = self._path(mark)
        for older in self._files(".refused"):
            older.unlink(missing_ok=True)
        path.replace(path.with_suffix(".refused"))

    def _make_directory(self) -> None:
        if not self.directory.is_dir():
            made = make_private(self._root)
            for name in self.directory.relative_to(self._root).parts:
                parent, made = made, make_private(made / name)
                _sync(parent)


def _newest_first(paths: Sequence[Path]) -> list[Path]:
    def changed(path: Path) -> float:
        try:
            return path.stat().st_mtime
        except OSError:
            return 0.0

    return sorted(paths, key=changed, reverse=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
