"""One file of a snapshot: what it says, the small arrays, and where the rows are.

    magic, schema, length and CRC of the header (20 bytes) | header: JSON |
    arrays, raw or deflated, each at a multiple of 64, with its CRC in the header

The header says of each row of cells in which file its bytes lie: see `segments`. Schema 2 has
no such rows; all its arrays are in the file itself.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import SnapshotError
from wattstorm.store.segments import Row, Rows

SCHEMA: Final = 3
_READ: Final = (2, 3)
_MAGIC: Final = b"WSNAPSHT"
_START: Final = struct.Struct("<8sIII")
_ALIGN: Final = 64
_HEADER_LIMIT: Final = 64 << 20

Arrays = dict[str, npt.NDArray[Any]]


def write(
    file: IO[bytes],
    arrays: Mapping[str, npt.NDArray[Any]],
    header: Mapping[str, Any],
    rows: Mapping[str, Row],
) -> None:
    listed: list[dict[str, Any]] = []
    stored: list[memoryview | bytes] = []
    at = 0
    for name, array in arrays.items():
        flat = np.ascontiguousarray(array)
        flat = flat.astype(flat.dtype.newbyteorder("<"), copy=False)
        if flat.dtype.hasobject or flat.dtype.names:
            raise SnapshotError(f"array {name} has dtype {flat.dtype}, only plain numbers are kept")
        bits = flat.reshape(-1).view(np.uint8)
        small = zlib.compress(bits.data, 1)  # sums of the open days are mostly zeros
        stored.append(small if 2 * len(small) <= bits.nbytes else bits.data)
        listed.append(
            {
                "name": name,
                "dtype": flat.dtype.str,
                "shape": np.shape(array),
                "at": at,
                "bytes": bits.nbytes,
                "stored": len(stored[-1]),
                "crc": zlib.crc32(stored[-1]),
            }
        )
        at += len(stored[-1]) + -len(stored[-1]) % _ALIGN
    card = {"header": dict(header), "arrays": listed, "rows": dict(rows)}
    text = json.dumps(card, allow_nan=False).encode()
    text += b" " * (-(_START.size + len(text)) % _ALIGN)
    file.write(_START.pack(_MAGIC, SCHEMA, len(text), zlib.crc32(text)) + text)
    for part in stored:
        file.write(part)
        file.write(bytes(-len(part) % _ALIGN))


def read(file: IO[bytes]) -> tuple[Arrays, dict[str, Any], Rows]:
    """(arrays, header, where the rows are), or SnapshotError."""
    card, base, size = _card(file)
    arrays = {entry["name"]: _array(file, size, base, entry) for entry in card["arrays"]}
    return arrays, card["header"], _rows(card)


def rows_of(path: Path) -> Rows:
    """Where the rows of a snapshot are, by its header alone; of one that is damaged, none."""
    try:
        with path.open("rb") as file:
            return _rows(_card(file)[0])
    except (OSError, SnapshotError, LookupError, TypeError, ValueError):
        return {}


def _rows(card: dict[str, Any]) -> Rows:
    return {name: Row.of(row) for name, row in card.get("rows", {}).items()}


def _card(file: IO[bytes]) -> tuple[dict[str, Any], int, int]:
    """(the JSON, where the arrays begin, bytes of the file)."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(_START.size)
    if len(start) < _START.size:
        raise SnapshotError(f"{size} bytes are no snapshot")
    magic, schema, length, crc = _START.unpack(start)
    if magic != _MAGIC:
        raise SnapshotError(f"it starts with {magic!r}, a snapshot with {_MAGIC!r}")
    if schema not in _READ:
        raise SnapshotError(
            f"it has schema {schema}, this wattstorm reads {min(_READ)} to {SCHEMA}"
        )
    if length > min(size, _HEADER_LIMIT):
        raise SnapshotError(f"it is cut off: {size} bytes, its header alone has {length}")
    text = file.read(length)
    if len(text) != length or zlib.crc32(text) != crc:
        raise SnapshotError("its header is damaged")
    return json.loads(text), _START.size + length, size


def _array(file: IO[bytes], size: int, base: int, entry: dict[str, Any]) -> npt.NDArray[Any]:
    begin, stored = base + entry["at"], entry.get("stored", entry["bytes"])
    if begin + stored > size:
        raise SnapshotError(f"it is cut off: {size} bytes, array {entry['name']} ends after them")
    bits = np.empty(stored, np.uint8)
    file.seek(begin)
    if file.readinto(bits.data) != bits.nbytes or zlib.crc32(bits.data) != entry["crc"]:  # type: ignore[attr-defined]
        raise SnapshotError(f"array {entry['name']} is damaged")
    if stored != entry["bytes"]:
        plain = zlib.decompressobj().decompress(bits.data, entry["bytes"])
        bits = np.frombuffer(bytearray(plain), np.uint8)
    array: npt.NDArray[Any] = bits.view(np.dtype(entry["dtype"])).reshape(entry["shape"])
    return array
