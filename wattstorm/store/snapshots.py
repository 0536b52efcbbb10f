"""Snapshots: a partition's arrays and the log position that they reflect, in a directory.

    <state_dir>/p<partition>/<position>.snap

    magic, schema, length and CRC of the header (20 bytes) | header: JSON |
    arrays, raw, each at a multiple of 64, with its CRC in the header

A file appears under its name only when it is whole and on disk; what is
damaged, cut off or of another version is refused with a message, and the next
older one is taken. Which may go, only their owner knows: `save` removes what it
is told to.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import SnapshotError
from wattstorm.private_files import make_private, open_private

SCHEMA: Final = 1
_MAGIC: Final = b"WSNAPSHT"
_START: Final = struct.Struct("<8sIII")
_ALIGN: Final = 64
_SUFFIX: Final = ".snap"
_HEADER_LIMIT: Final = 64 << 20
_log = logging.getLogger(__name__)

Arrays = dict[str, npt.NDArray[Any]]


class SnapshotDir:
    """The snapshots of one partition; `refused` holds why some were passed over."""

    def __init__(self, state_dir: str | Path, partition: int) -> None:
        self.directory = Path(state_dir) / f"p{partition}"
        self.partition = partition
        self.refused: list[SnapshotError] = []

    def positions(self) -> list[int]:
        """Positions that have a file, ascending; whether it is sound only loading tells."""
        stems = (path.stem for path in self.directory.glob(f"*{_SUFFIX}"))
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    def save(
        self,
        arrays: Mapping[str, npt.NDArray[Any]],
        header: Mapping[str, Any],
        *,
        confirm: Callable[[], bool] | None = None,
        remove: Sequence[int] = (),
    ) -> Path | None:
        """Write a snapshot at `header["position"]`, then remove those at `remove`.

        confirm: asked when the file is on disk, before it gets its name; where
        it says no (the partition has another owner) nothing is kept: None.
        """
        path = self._path(int(header["position"]))
        make_private(make_private(self.directory.parent) / self.directory.name)
        draft = path.with_suffix(f".{os.getpid()}.draft")
        try:
            with open_private(draft) as file:
                _write(file, arrays, header)
                file.flush()
                os.fsync(file.fileno())
            if confirm is not None and not confirm():
                return None
            draft.replace(path)
            self._sync()
        except OSError as error:
            raise SnapshotError(
                f"partition {self.partition}: {path} cannot be written: {error}",
                "free its disk; the stream goes on, but the log cannot be trimmed meanwhile",
            ) from error
        finally:
            draft.unlink(missing_ok=True)
        for position in remove:
            self._path(position).unlink(missing_ok=True)
        return path

    def load_newest(self, at_or_below: int) -> tuple[Arrays, dict[str, Any]] | None:
        """The newest sound snapshot at or below the fence `at_or_below`, or None.

        Those above it are removed: the store went back, and their positions will be given
        to other content. So only the partition's owner may call this, with its fence.
        """
        self._clean(at_or_below)
        for position in reversed(self.positions()):
            try:
                arrays, header = self.load(position)
            except SnapshotError as error:
                _log.warning("%s", error)
                self.refused.append(error)
                if not isinstance(error.__cause__, OSError):
                    self._set_aside(position)
            else:
                return arrays, header
        return None

    def load(self, position: int) -> tuple[Arrays, dict[str, Any]]:
        """The snapshot at exactly `position`, or SnapshotError."""
        path = self._path(position)
        try:
            with path.open("rb") as file:
                arrays, header = _read(file, os.fstat(file.fileno()).st_size)
        except (OSError, SnapshotError) as error:
            what = error.what if isinstance(error, SnapshotError) else str(error)
            raise SnapshotError(
                f"partition {self.partition}: snapshot {path} is refused: {what}",
                "an older one is taken, and the rest is rebuilt from the log",
            ) from error
        if header.get("position") != position:
            raise SnapshotError(f"{path} is refused: it is of position {header.get('position')}")
        return arrays, header

    def _path(self, position: int) -> Path:
        return self.directory / f"{position:020d}{_SUFFIX}"

    def _clean(self, fence: int) -> None:
        """Remove what must not be loaded: snapshots above the fence, drafts of the dead."""
        for position in self.positions():
            if position > fence:
                _log.warning(
                    "partition %d: snapshot at %d is above the fence %d and is removed",
                    self.partition, position, fence,
                )  # fmt: skip
                self._path(position).unlink(missing_ok=True)
        for draft in self.directory.glob("*.draft"):
            draft.unlink(missing_ok=True)

    def _set_aside(self, position: int) -> None:
        """No longer a base, nor one of the two; the last such file stays for who wants to look."""
        path = self._path(position)
        for older in self.directory.glob("*.refused"):
            older.unlink(missing_ok=True)
        path.replace(path.with_suffix(".refused"))

    def _sync(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
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
