"""Snapshots: a partition's arrays and the log position that they reflect, in a directory.

    <state_dir>/p<partition>/<lineage>/<position>.<nonce>.snap

    magic, schema, length and CRC of the header (20 bytes) | header: JSON |
    arrays, raw, each at a multiple of 64, with its CRC in the header

A file appears under its name only when it is whole and on disk, and only once the
store knows its nonce. Who takes a partition starts from the newest one that the
store knows and that can be restored. What the store does not know is another
history's (a store that went back, a backup that was restored, another store's with
the same directory): it is never read. Each store has its own lineage, and so its
own directories; a few of others' are left for the day when they come back.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError, SnapshotError
from wattstorm.private_files import make_private, open_private

SCHEMA: Final = 2
UNKNOWN_KEPT: Final = 2
"""Files of one partition that its store does not know (any more), the newest."""
FOREIGN_KEPT: Final = 3
"""Other stores' directories of one partition, the newest."""
_MAGIC: Final = b"WSNAPSHT"
_START: Final = struct.Struct("<8sIII")
_ALIGN: Final = 64
_SUFFIX: Final = ".snap"
_HEADER_LIMIT: Final = 64 << 20
_log = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]
T = TypeVar("T")


class Mark(NamedTuple):
    """Which snapshot: the log position that it reflects, and a random text of its own."""

    position: int
    nonce: str


class SnapshotDir:
    """The snapshots of one partition of one store.

    refused: why some were passed over; unreadable: those of them whose file is there, or
    should be, but cannot be read.
    """

    def __init__(self, state_dir: str | Path, partition: int, lineage: str) -> None:
        self.directory = Path(state_dir) / f"p{partition}" / lineage
        self.partition, self.lineage = partition, lineage
        self.refused: list[Exception] = []
        self.unreadable: list[SnapshotError] = []

    def marks(self) -> list[Mark]:
        """All that have a file, ascending; whether it is sound only loading tells."""
        parts = [path.name.split(".") for path in self.directory.glob(f"*{_SUFFIX}")]
        return sorted(Mark(int(p[0]), p[1]) for p in parts if len(p) == 3 and p[0].isdecimal())

    def save(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        header: Mapping[str, Any],
        nonce: str,
        *,
        confirm: Callable[[], bool] | None = None,
        remove: Sequence[Mark] = (),
    ) -> Path | None:
        """Write a snapshot at `header["position"]`, then remove those named by `remove`.

        confirm: asked when the file is on disk, before it gets its name; where
        it says no (the partition has another owner) nothing is kept: None.
        """
        path = self._path(Mark(int(header["position"]), nonce))
        draft = path.with_suffix(f".{os.getpid()}.draft")
        try:
            self._make_directory()
            self.write(draft, arrays, {**header, "lineage": self.lineage, "nonce": nonce})
            if confirm is not None and not confirm():
                return None
            self.name(draft, path)
        except OSError as error:
            raise SnapshotError(
                f"partition {self.partition}: {path} cannot be written: {error}",
                "free its disk; the stream goes on, but the log cannot be trimmed meanwhile",
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        for mark in remove:
            self._path(mark).unlink(missing_ok=True)
        return path

    def write(
        self, draft: Path, arrays: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]
    ) -> None:
        """The whole file, on disk, under a name that nobody reads."""
        with open_private(draft) as file:
            _write(file, arrays, header)
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
                return restore(*self.load(mark)), mark
            except (MemoryError, RegisterError):
                raise  # not this snapshot's fault
            except Exception as error:
                self._refuse(mark, error)
        return None

    def load(self, mark: Mark) -> tuple[Arrays, dict[str, Any]]:
        """One snapshot, or SnapshotError."""
        path = self._path(mark)
        try:
            with path.open("rb") as file:
                arrays, header = _read(file, os.fstat(file.fileno()).st_size)
            found = header.get("position"), header.get("nonce"), header.get("lineage")
            if found != (*mark, self.lineage):
                raise SnapshotError(f"it is of position, nonce and lineage {found}")
        except (OSError, SnapshotError, LookupError, TypeError, ValueError) as error:
            what = error.what if isinstance(error, SnapshotError) else repr(error)
            raise SnapshotError(
                f"partition {self.partition}: snapshot {path} is refused: {what}",
                "an older one is taken, and the rest is rebuilt from the log",
            ) from error
        return arrays, header

    def sweep(self, known: Collection[Mark]) -> None:
        """Remove drafts of the dead, and what is left of other histories beyond the newest few.

        Only the partition's owner may call this, with what its store knows.
        """
        for draft in self.directory.glob("*.draft"):
            draft.unlink(missing_ok=True)
        unknown = [self._path(mark) for mark in self.marks() if mark not in known]
        if unknown:
            _log.warning(
                "partition %d: %d snapshots in %s are of a history that its store does not know; "
                "they are not used",
                self.partition, len(unknown), self.directory,
            )  # fmt: skip
        for path in _newest_first(unknown)[UNKNOWN_KEPT:]:
            path.unlink(missing_ok=True)
        beside = self.directory.parent.glob("*/") if self.directory.parent.is_dir() else ()
        foreign = [path for path in beside if path.name != self.lineage]
        if foreign and not self.directory.is_dir():
            _log.warning(
                "partition %d: the snapshots in %s are of other stores and are not used",
                self.partition, self.directory.parent,
            )  # fmt: skip
        for path in _newest_first(foreign)[FOREIGN_KEPT:]:
            shutil.rmtree(path, ignore_errors=True)

    def _path(self, mark: Mark) -> Path:
        return self.directory / f"{mark.position:020d}.{mark.nonce}{_SUFFIX}"

    def _refuse(self, mark: Mark, error: Exception) -> None:
        self.refused.append(error)
        if not isinstance(error, SnapshotError):
            _log.warning(
                "partition %d: snapshot %s cannot be restored: %r",
                self.partition, self._path(mark), error, exc_info=error,
            )  # fmt: skip
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
        for older in self.directory.glob("*.refused"):
            older.unlink(missing_ok=True)
        path.replace(path.with_suffix(".refused"))

    def _make_directory(self) -> None:
        if not self.directory.is_dir():
            of_partition = self.directory.parent
            make_private(
                make_private(make_private(of_partition.parent) / of_partition.name) / self.lineage
            )
            for parent in (of_partition, of_partition.parent):
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


def _write(
    file: IO[bytes], arrays: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]
) -> None:
    listed: list[dict[str, Any]] = []
    raw: list[npt.NDArray[Any]] = []
    at = 0
    for name, array in arrays.items():
        flat = np.ascontiguousarray(array)
        flat = flat.astype(flat.dtype.newbyteorder("<"), copy=False)
        if flat.dtype.hasobject or flat.dtype.names:
            raise SnapshotError(f"array {name} has dtype {flat.dtype}, only plain numbers are kept")
        bits = flat.reshape(-1).view(np.uint8)
        listed.append(
            {"name": name, "dtype": flat.dtype.str, "shape": np.shape(array), "at": at,
             "bytes": bits.nbytes, "crc": zlib.crc32(bits.data)}
        )  # fmt: skip
        raw.append(bits)
        at += bits.nbytes + -bits.nbytes % _ALIGN
    text = json.dumps({"header": dict(header), "arrays": listed}, allow_nan=False).encode()
    text += b" " * (-(_START.size + len(text)) % _ALIGN)
    file.write(_START.pack(_MAGIC, SCHEMA, len(text), zlib.crc32(text)) + text)
    for bits in raw:
        file.write(bits.data)
        file.write(bytes(-bits.nbytes % _ALIGN))


def _read(file: IO[bytes], size: int) -> tuple[Arrays, dict[str, Any]]:
    start = file.read(_START.size)
    if len(start) < _START.size:
        raise SnapshotError(f"{size} bytes are no snapshot")
    magic, schema, length, crc = _START.unpack(start)
    if magic != _MAGIC:
        raise SnapshotError(f"it starts with {magic!r}, a snapshot with {_MAGIC!r}")
    if schema != SCHEMA:
        raise SnapshotError(f"it has schema {schema}, this wattstorm reads {SCHEMA}")
    if length > min(size, _HEADER_LIMIT):
        raise SnapshotError(f"it is cut off: {size} bytes, its header alone has {length}")
    text = file.read(length)
    if len(text) != length or zlib.crc32(text) != crc:
        raise SnapshotError("its header is damaged")
    card = json.loads(text)
    base = _START.size + length
    return {entry["name"]: _array(file, size, base, entry) for entry in card["arrays"]}, card[
        "header"
    ]


def _array(file: IO[bytes], size: int, base: int, entry: dict[str, Any]) -> npt.NDArray[Any]:
    begin = base + entry["at"]
    if begin + entry["bytes"] > size:
        raise SnapshotError(f"it is cut off: {size} bytes, array {entry['name']} ends after them")
    bits = np.empty(entry["bytes"], np.uint8)
    file.seek(begin)
    if file.readinto(bits.data) != bits.nbytes or zlib.crc32(bits.data) != entry["crc"]:  # type: ignore[attr-defined]
        raise SnapshotError(f"array {entry['name']} is damaged")
    return bits.view(np.dtype(entry["dtype"])).reshape(entry["shape"])
