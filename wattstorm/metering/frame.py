"""The segment frame: what some meters of a partition used in stretches of a local day.

An eighth of the wall clock is a stretch (3 h). Of each a frame has its energy, the slots seen,
the smallest and the largest slot, by meter; a *final* frame has a whole closed day, and the class
(tariff and region) that each meter had on it. In the log `segments` it stands as

    header (40 bytes, with its schema and a CRC of all the rest) |
    slots, low, high - low, energy - slots * low (each a length, then `frame_kernels.pack`) |
    final: classes

one stretch after the other within a column. A frame has at most `MAX_METERS` meters, so an entry
has a few MB at most; a partition's stretch is as many frames as that takes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import FrameError
from wattstorm.metering.frame_kernels import (
    GROUP,
    HEAD,
    MOST_BITS,
    add_slot,
    pack,
    unpack,
)
from wattstorm.metering.parts import MAX_METERS

SCHEMA: Final = 1
STRETCHES: Final = 8
_MAGIC: Final = b"WF"
_HEADER: Final = struct.Struct("<2sBBIiIIBB2x8sII")
_CRC: Final = struct.Struct("<I")
_LENGTH: Final = struct.Struct("<I")
_COLUMNS: Final = 4
_LIMIT: Final = (1 << 31) - 1

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SegmentFrame:
    """See the module. n meters, k stretches.

    partition; day: of the local day, days since the epoch; first: the first meter's place in the
    partition; start: the first stretch; full: uint8[8], slots that each stretch of this day has;
    energy, slots, low, high: int64[k, n], in Wh but for the slots seen; where none was seen all
    are 0. classes: uint16[n] of a final frame, else None.
    """

    partition: int
    day: int
    first: int
    start: int
    full: npt.NDArray[np.uint8]
    energy: Ints
    slots: Ints
    low: Ints
    high: Ints
    classes: npt.NDArray[np.uint16] | None = None

    @property
    def final(self) -> bool:
        return self.classes is not None

    @property
    def meters(self) -> int:
        return int(self.energy.shape[1])

    @property
    def stretches(self) -> range:
        return range(self.start, self.start + len(self.energy))


def encode(frame: SegmentFrame) -> bytes:
    """The frame's bytes."""
    columns = [
        frame.slots,
        frame.low,
        frame.high - frame.low,
        frame.energy - frame.slots * frame.low,
    ]
    if frame.classes is not None:
        columns.append(frame.classes.astype(np.int64))
    body = b"".join(_packed(column) for column in columns)
    head = (SCHEMA, int(frame.final), frame.partition, frame.day, frame.first, frame.meters)
    shape = frame.start, len(frame.energy), frame.full.tobytes(), len(body)
    bare = _HEADER.pack(_MAGIC, *head, *shape, 0)[: -_CRC.size]
    return bare + _CRC.pack(zlib.crc32(body, zlib.crc32(bare))) + body


def decode(data: bytes) -> SegmentFrame:
    """The frame in `data`; FrameError, and nothing else, for any bytes that are none."""
    if len(data) < _HEADER.size:
        raise FrameError("truncated", f"{len(data)} bytes, a header has {_HEADER.size}")
    magic, schema, final, *rest = _HEADER.unpack_from(data)
    partition, day, first, n, start, k, full, length, crc = rest
    if magic != _MAGIC:
        raise FrameError("magic", f"starts with {data[:2]!r}, a frame with {_MAGIC!r}")
    if schema != SCHEMA:
        raise FrameError("schema", f"schema {schema}, this wattstorm reads {SCHEMA}")
    body = memoryview(data)[_HEADER.size :]
    bare = memoryview(data)[: _HEADER.size - _CRC.size]
    if len(body) != length or zlib.crc32(body, zlib.crc32(bare)) != crc:
        raise FrameError("checksum", "the bytes are not the ones that were written")
    whole = not final or (start, k) == (0, STRETCHES)
    if not (0 < n <= MAX_METERS and k and start + k <= STRETCHES and final < 2 and whole):
        raise FrameError("shape", f"{n} meters, stretches {start} to {start + k - 1}")
    columns, at = [], 0
    for i in range(_COLUMNS + final):
        column, size = _unpacked(body[at:], n if i == _COLUMNS else n * k)
        columns.append(column)
        at += size
    if at != len(body):
        raise FrameError("size", f"{len(body)} bytes of columns, {at} are named")
    slots, low, wider, above = (column.reshape(k, n) for column in columns[:_COLUMNS])
    classes = columns[_COLUMNS].astype(np.uint16) if final else None
    energy, high = above + slots * low, low + wider
    held = np.frombuffer(full, np.uint8)
    return SegmentFrame(partition, day, first, start, held, energy, slots, low, high, classes)


def warm_up() -> None:
    """Kernels compiled, or loaded, before the first frame."""
    row, table, none = np.ones(1, np.uint16), np.full(1, -1, np.int64), np.zeros(1, np.int32)
    columns = np.zeros((4, 1, 1), np.int64)
    add_slot(row, 0, 0, 1, table, none, *columns[:, 0])
    energy, slots, low, high = columns
    full = np.ones(STRETCHES, np.uint8)
    decode(encode(SegmentFrame(0, 0, 0, 0, full, energy, slots, low, high)))


def clip(energy: Ints) -> None:
    """Hold it within what a frame can say: 31 bits of Wh and their sign."""
    np.clip(energy, -_LIMIT, _LIMIT, out=energy)


def _packed(column: Ints) -> bytes:
    flat = np.ascontiguousarray(column).reshape(-1)
    groups = -(-flat.size // GROUP)
    out = np.empty(groups * HEAD + flat.size * MOST_BITS // 8 + 8, np.uint8)
    size = int(pack(flat, out))
    return _LENGTH.pack(size) + out[:size].tobytes()


def _unpacked(body: memoryview, n: int) -> tuple[npt.NDArray[Any], int]:
    """(int64[n], bytes read)."""
    if len(body) < _LENGTH.size:
        raise FrameError("truncated", "a column has no length")
    (size,) = _LENGTH.unpack_from(body)
    if size > len(body) - _LENGTH.size or n > size // HEAD * GROUP:
        raise FrameError("truncated", f"a column of {size} bytes for {n} numbers")
    out = np.empty(n, np.int64)
    if unpack(np.frombuffer(body, np.uint8, size, _LENGTH.size), out) != size:
        raise FrameError("column", f"{size} bytes do not hold {n} numbers")
    return out, _LENGTH.size + size
