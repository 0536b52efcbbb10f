"""Rows of snapshots: each written once, and again only as far as it changed.

A row is the cells of one slot of a partition, a megabyte of a large one; nearly all of a
snapshot is rows. A slot that is over changes little: some late and corrected readings. So
what a save writes goes into one file, and its snapshot (the manifest) says of each row
where its bytes lie, in that file or in an older one:

    <position>.<nonce>.rows     magic (8 bytes), zeros up to 64 | parts, each at a multiple of 64

    base     the row's values, raw; or none: all zero
    change   the places that differ from the base (uint32[k]), then their values

Each part has its CRC in the manifest. A file stays as long as a manifest that is kept names it.
Numbers are little-endian.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from wattstorm.errors import SnapshotError
from wattstorm.private_files import open_private

SUFFIX: Final = ".rows"
_MAGIC: Final = b"WSROWS\0\1"
_ALIGN: Final = 64
_REWRITE: Final = 4
"""A row whose changes would take more than one part in so many of its bytes is written anew."""

Array = npt.NDArray[Any]


class Part(NamedTuple):
    """Bytes in a file of rows."""

    file: str
    at: int
    size: int
    crc: int


class Row(NamedTuple):
    """Where a row is. dtype: of numpy; n: values; base: None for zeros; change: None for none."""

    dtype: str
    n: int
    base: Part | None
    change: Part | None

    @classmethod
    def of(cls, card: Any) -> Row:
        """As JSON has it."""
        dtype, n, *parts = card
        base, change = (part and Part(*part) for part in parts)
        return cls(str(dtype), int(n), base, change)

    @property
    def files(self) -> set[str]:
        return {part.file for part in (self.base, self.change) if part is not None}


Rows = dict[str, Row]


def files_of(rows: Mapping[str, Row]) -> set[str]:
    """Names of the files that hold `rows`."""
    return {name for row in rows.values() for name in row.files}


@dataclass
class Segments:
    """The rows of one partition's snapshots. last: where each was put by the last save, or
    found by the last load; `forget` makes the next save write all of them."""

    directory: Path
    last: Rows = field(default_factory=dict)

    def forget(self) -> None:
        self.last = {}

    def write(self, name: str, rows: Mapping[str, Array | None]) -> Rows:
        """Put rows into the file called `name`, on disk when this returns; where they are now.

        None stands for a row that is as `last` says. Nothing to write, no file.
        """
        placed: Rows = {}
        writer = _Writer(self.directory / name)
        try:
            for row, values in rows.items():
                known = self.last.get(row)
                if values is None:
                    assert known is not None
                    placed[row] = known
                    continue
                placed[row] = self._place(writer, _plain(row, values), known)
            writer.close()
        except BaseException:
            writer.give_up()
            raise
        return placed

    def read(self, rows: Mapping[str, Row]) -> dict[str, Array]:
        """The values of rows, or SnapshotError."""
        return {name: self._values(name, row) for name, row in rows.items()}

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            (self.directory / name).unlink(missing_ok=True)

    def _place(self, writer: _Writer, values: Array, known: Row | None) -> Row:
        base = self._base(values, known)
        at = np.flatnonzero(values if base is None else values != base)
        if at.size * (4 + values.itemsize) * _REWRITE > values.nbytes:
            return Row(values.dtype.str, values.size, writer.put(values), None)
        kept = known.base if known is not None and base is not None else None
        change = writer.put(at.astype("<u4"), values[at]) if at.size else None
        return Row(values.dtype.str, values.size, kept, change)

    def _base(self, values: Array, known: Row | None) -> Array | None:
        """The base that `values` may differ from, if there is one and it is sound."""
        if known is None or known.base is None:
            return None
        if (known.dtype, known.n) != (values.dtype.str, values.size):
            return None
        try:
            return self._part("", known.base).view(values.dtype)
        except (SnapshotError, OSError):
            return None

    def _values(self, name: str, row: Row) -> Array:
        dtype = np.dtype(row.dtype)
        if row.base is None:
            values: Array = np.zeros(row.n, dtype)
        else:
            values = self._part(name, row.base).view(dtype)
        if values.size != row.n:
            raise SnapshotError(f"row {name} has {values.size} values of {row.n}")
        if row.change is not None:
            bits = self._part(name, row.change)
            count = bits.size // (4 + dtype.itemsize)
            at = bits[: 4 * count].view("<u4")
            if count and int(at.max()) >= row.n:
                raise SnapshotError(f"row {name} has a change beyond its {row.n} values")
            values[at] = bits[4 * count :].view(dtype)
        return values

    def _part(self, name: str, part: Part) -> npt.NDArray[np.uint8]:
        bits = np.empty(part.size, np.uint8)
        with (self.directory / part.file).open("rb") as file:
            file.seek(part.at)
            got = file.readinto(bits.data)
        if got != part.size or zlib.crc32(bits.data) != part.crc:
            raise SnapshotError(f"row {name} is damaged, in {part.file}")
        return bits


class _Writer:
    """One file of rows, made when there is something to put into it."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, _ALIGN
        self.file: IO[bytes] | None = None

    def put(self, *arrays: Array) -> Part:
        if self.file is None:
            self.file = open_private(self.path)
            self.file.write(_MAGIC.ljust(_ALIGN, b"\0"))
        begin, crc, size = self.at, 0, 0
        for array in arrays:
            bits = array.view(np.uint8)
            self.file.write(bits.data)
            crc, size = zlib.crc32(bits.data, crc), size + bits.nbytes
        self.file.write(bytes(-size % _ALIGN))
        self.at += size + -size % _ALIGN
        return Part(self.path.name, begin, size, crc)

    def close(self) -> None:
        """All of it is on disk then."""
        if self.file is not None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()

    def give_up(self) -> None:
        if self.file is not None:
            self.file.close()
            self.path.unlink(missing_ok=True)


def _plain(name: str, values: Array) -> Array:
    """Contiguous, little-endian, whole numbers in one dimension."""
    if values.dtype.kind not in "iu" or values.ndim != 1:
        raise SnapshotError(f"row {name} has dtype {values.dtype} and shape {values.shape}")
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
