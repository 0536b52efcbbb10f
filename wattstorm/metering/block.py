"""The block: the unit on the wire, in the log, and in one call of the kernels.

A block is a 64-byte header and columns, one partition and one channel each.
Two shapes share it: *readings* (meter, slot, Wh, version, quality) and
*curves* (meters x consecutive slots), because head-ends often deliver a day
at once. `docs/adr/0001-block.md` has the layout byte by byte and the reasons.

Decoding copies nothing: every column is a view on the bytes that came in.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from wattstorm.errors import BlockError
from wattstorm.metering import ascending

SCHEMA: Final = 2  # of a block whose meters are a bitmap; of others 1, which all versions read
MAX_READINGS: Final = 1 << 20
"""Readings in one block at most, so that no decoder can be made to allocate more."""
MAX_WIDTH: Final = 400
"""Slots in one curve at most: two local days of 10-minute slots and a clock change."""

_MAGIC: Final = b"WB"
_HEADER: Final = struct.Struct("<2sBBIBBBxIH2x5s3xQ16sIII")
_CRC: Final = struct.Struct("<I")
_PRODUCER: Final = re.compile(r"[A-Za-z0-9_.\-]{1,16}")
_CODES: Final = {
    code: np.dtype(name) for code, name in enumerate(("<i4", "u1", "<u2", "<u4", "<i4", "u1"))
}
_CONSTANT, _ASCENDING = 0, 5
_ALLOWED: Final = (  # the codes that each column may have, in the order they are stored
    ("meter", (3, _ASCENDING)),
    ("slot", (0, 4)),
    ("wh", (2, 4)),
    ("version", (0, 2)),
    ("quality", (0, 1)),
)
_DTYPE_CODE: Final = {"uint8": 1, "uint16": 2, "uint32": 3, "int32": 4}

ABSENT_U16: Final = 0xFFFF
ABSENT_I32: Final = -(1 << 31)
"""In a curve, the value that says: no reading for this meter in this slot."""


class Channel(IntEnum):
    """What a register of the meter counts."""

    IMPORT = 0
    EXPORT = 1


class Quality(IntEnum):
    """How a value came about; of two values of one version, the lower code wins."""

    MEASURED = 0
    ESTIMATED = 1
    SUBSTITUTED = 2


class Shape(IntEnum):
    READINGS = 0
    CURVES = 1


def rank_of(version: npt.ArrayLike, quality: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Order of two readings of one key: higher rank replaces lower.

    version: int[n], 0 to 65535; quality: int[n], `Quality`. Returns int32[n].
    The version decides, then the quality (measured beats estimated): both are
    fields of the reading, so the winner never depends on arrival.
    """
    return np.asarray(version, np.int32) * 4 + (3 - np.asarray(quality, np.int32))


BASE_RANK: Final = int(rank_of(0, Quality.MEASURED))
"""Rank of a first, measured value: nearly all readings, and the kernels' fast path."""


class Columns(NamedTuple):
    """A block's readings, flat. n readings; slot and rank may be one value for all.

    meter: uint32[n], dense index; slot: int32[n] or [1]; wh: uint16[n] or
    int32[n], Wh; rank: int32[n] or [1], see `rank_of`.
    """

    meter: npt.NDArray[np.uint32]
    slot: npt.NDArray[np.int32]
    wh: npt.NDArray[np.uint16] | npt.NDArray[np.int32]
    rank: npt.NDArray[np.int32]

    def take(self, index: npt.NDArray[np.intp]) -> Columns:
        """The readings at `index`, int[k]."""
        pick = [c if c.size == 1 else c[index] for c in (self.slot, self.rank)]
        return Columns(self.meter[index], pick[0], self.wh[index], pick[1])


@dataclass(frozen=True, slots=True)
class Block:
    """One block. Columns are arrays; slot, version and quality are [1] when constant.

    meter: uint32[n]; slot: int32[n] or [1] (curves: the first slot, [1]);
    wh: uint16 or int32, [n] (curves: [n, width]); version: uint16[n] or [1];
    quality: uint8[n] or [1] (curves: one a curve, or [1]).
    producer, number: who made it and its running number there, from 1.
    """

    shape: Shape
    partition: int
    channel: int
    slot_minutes: int
    producer: str
    number: int
    meter: npt.NDArray[np.uint32]
    slot: npt.NDArray[np.int32]
    wh: npt.NDArray[np.uint16] | npt.NDArray[np.int32]
    version: npt.NDArray[np.uint16]
    quality: npt.NDArray[np.uint8]

    @property
    def columns(self) -> Columns:
        """The readings of either shape, flat; a curve's absent values are left out."""
        rank = rank_of(self.version, self.quality).astype(np.int32, copy=False)
        if self.shape is Shape.READINGS:
            return Columns(self.meter, self.slot, self.wh, rank)
        return _flatten(self, rank)


def readings(
    partition: int,
    meter: npt.ArrayLike,
    slot: npt.ArrayLike,
    wh: npt.ArrayLike,
    *,
    version: npt.ArrayLike = 0,
    quality: npt.ArrayLike = Quality.MEASURED,
    channel: int = Channel.IMPORT,
    slot_minutes: int = 30,
    producer: str = "local",
    number: int = 1,
) -> Block:
    """A block of single readings; slot, version and quality may be one value for all."""
    return Block(
        Shape.READINGS,
        partition,
        channel,
        slot_minutes,
        producer,
        number,
        np.ascontiguousarray(meter, np.uint32),
        _column(slot, np.int32),
        _narrow(wh),
        _column(version, np.uint16),
        _column(quality, np.uint8),
    )


def curves(
    partition: int,
    meter: npt.ArrayLike,
    first_slot: int,
    wh: npt.ArrayLike,
    *,
    version: npt.ArrayLike = 0,
    quality: npt.ArrayLike = Quality.MEASURED,
    channel: int = Channel.IMPORT,
    slot_minutes: int = 30,
    producer: str = "local",
    number: int = 1,
) -> Block:
    """A block of curves: wh is [n, width], slots first_slot .. first_slot + width - 1."""
    return Block(
        Shape.CURVES,
        partition,
        channel,
        slot_minutes,
        producer,
        number,
        np.ascontiguousarray(meter, np.uint32),
        _column(first_slot, np.int32),
        np.ascontiguousarray(wh) if np.asarray(wh).dtype == np.uint16 else _int32(wh),
        _column(version, np.uint16),
        _column(quality, np.uint8),
    )


def encode(block: Block) -> bytes:
    """The block's bytes, checksum included. Raises BlockError where a decoder would refuse."""
    width = block.wh.shape[1] if block.shape is Shape.CURVES else 1
    parts: list[bytes | memoryview] = []
    codes = bytearray()
    bitmap = ascending.packed(block.meter)
    for (name, allowed), column in zip(_ALLOWED, _stored(block), strict=True):
        if name == "meter" and bitmap is not None:
            codes, parts = bytearray((_ASCENDING,)), [bitmap, bytes(-len(bitmap) % 8)]
            continue
        constant = _CONSTANT in allowed and column.size == 1
        codes.append(_CONSTANT if constant else _DTYPE_CODE[column.dtype.name])
        parts.append(_bytes(column.astype("<i4") if constant else column))
        parts.append(bytes(-column.nbytes % 8 if not constant else 4))
        if codes[-1] not in allowed:
            raise BlockError("column", f"{name} has dtype {column.dtype}", "see Block")
    if not _PRODUCER.fullmatch(block.producer):
        raise BlockError("producer", f"{block.producer!r}", "1 to 16 letters, digits, _ . -")
    _check_size(len(block.meter), width, BlockError)
    _check_slots(block.slot, width)
    length = sum(len(p) if isinstance(p, bytes) else p.nbytes for p in parts)
    head = _HEADER.pack(
        _MAGIC,
        SCHEMA if bitmap else 1,
        block.shape,
        block.partition,
        block.channel,
        0,
        block.slot_minutes,
        len(block.meter),
        width,
        bytes(codes),
        block.number,
        block.producer.encode(),
        length,
        0,
        0,
    )[: -_CRC.size]
    crc = zlib.crc32(head)
    for part in parts:
        crc = zlib.crc32(part, crc)
    return b"".join([head, _CRC.pack(crc), *parts])


def decode(data: bytes | memoryview) -> Block:
    """The block in `data`, columns as views on it.

    Raises BlockError, and nothing else, for any bytes that are no block this
    version knows. Allocates nothing that grows with what the header claims.
    """
    if len(data) < _HEADER.size:
        raise BlockError("truncated", f"{len(data)} bytes, a header has {_HEADER.size}")
    (
        magic,
        schema,
        shape,
        partition,
        channel,
        unit,
        minutes,
        count,
        width,
        codes,
        number,
        producer,
        length,
        reserved,
        crc,
    ) = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise BlockError("magic", f"starts with {bytes(data[:2])!r}, a block with {_MAGIC!r}")
    if not 1 <= schema <= SCHEMA:
        raise BlockError(
            "schema", f"schema {schema}, this wattstorm reads 1 to {SCHEMA}", "upgrade the reader"
        )
    body = memoryview(data)[_HEADER.size :]
    if len(body) != length:
        raise BlockError("truncated", f"{len(body)} bytes of columns, the header says {length}")
    if zlib.crc32(body, zlib.crc32(memoryview(data)[: _HEADER.size - _CRC.size])) != crc:
        raise BlockError("checksum", "the bytes are not the ones that were sent")
    _check_header(shape, channel, unit, minutes, reserved)
    _check_size(count, width, BlockError)
    if shape == Shape.READINGS and width != 1:
        raise BlockError("shape", f"single readings {width} slots wide", "send them as curves")
    columns = _split(body, codes, count, width, Shape(shape))
    _check_slots(columns[1], width)
    return Block(Shape(shape), partition, channel, minutes, _producer(producer), number, *columns)


def _check_header(shape: int, channel: int, unit: int, minutes: int, reserved: int) -> None:
    if shape not in (0, 1):
        raise BlockError("shape", f"shape {shape} is neither readings (0) nor curves (1)")
    if channel not in (0, 1):
        raise BlockError("channel", f"channel {channel} is neither import (0) nor export (1)")
    if unit != 0:
        raise BlockError("unit", f"unit {unit} is not Wh (0)", "convert before sending")
    if minutes not in (10, 15, 30, 60):
        raise BlockError("slot_length", f"slots of {minutes} minutes, not 10, 15, 30 or 60")
    if reserved != 0:
        raise BlockError("header", f"reserved field holds {reserved}, not 0")


def _check_size(count: int, width: int, error: type[BlockError]) -> None:
    if not 1 <= width <= MAX_WIDTH:
        raise error("size", f"{width} slots a curve, 1 to {MAX_WIDTH} are allowed")
    if not 1 <= count * width <= MAX_READINGS:
        raise error("size", f"{count * width} readings, 1 to {MAX_READINGS} a block are allowed")


def _check_slots(slot: npt.NDArray[Any], width: int) -> None:
    last = int(slot[0]) + width - 1
    if width > 1 and last >= 1 << 31:
        raise BlockError("slot", f"a curve ends in slot {last}, slots have 32 bits")


def _split(
    body: memoryview, codes: bytes, count: int, width: int, shape: Shape
) -> list[npt.NDArray[Any]]:
    columns: list[npt.NDArray[Any]] = []
    at = 0
    for (name, allowed), code in zip(_ALLOWED, codes, strict=True):
        if code not in allowed or (shape is Shape.CURVES and name == "slot" and code != _CONSTANT):
            raise BlockError("column", f"column {name} has encoding {code}, not one of {allowed}")
        dtype = _CODES[code]
        n = 1 if code == _CONSTANT else count * (width if name == "wh" else 1)
        if code == _ASCENDING:
            column, size = ascending.unpacked(body, at, count)
        elif at + n * dtype.itemsize > len(body):
            raise BlockError("truncated", f"column {name} ends past the block's bytes")
        else:
            column, size = np.frombuffer(body, dtype, n, at), n * dtype.itemsize
        at += size + -size % 8
        columns.append(column)
    if at != len(body):
        raise BlockError("size", f"{len(body)} bytes of columns, {at} are named in the header")
    if shape is Shape.CURVES:
        columns[2] = columns[2].reshape(count, width)
    columns[3] = _in_range("version", columns[3], 0xFFFF, np.uint16)
    columns[4] = _in_range("quality", columns[4], max(Quality), np.uint8)
    return columns


def _in_range(
    name: str, column: npt.NDArray[Any], limit: int, dtype: type[np.generic]
) -> npt.NDArray[Any]:
    low = high = int(column[0])
    if column.size > 1:
        low, high = int(column.min()), int(column.max())
    if low < 0 or high > limit:
        raise BlockError("column", f"{name} holds {low if low < 0 else high}, limit 0 to {limit}")
    return column.astype(dtype, copy=False)


def _producer(raw: bytes) -> str:
    name = raw.rstrip(b"\0").decode("ascii", "replace")
    if not _PRODUCER.fullmatch(name):
        raise BlockError("producer", f"producer {raw!r}", "1 to 16 letters, digits, _ . -")
    return name


def _stored(block: Block) -> tuple[npt.NDArray[Any], ...]:
    return (block.meter, block.slot, block.wh, block.version, block.quality)


def _bytes(column: npt.NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(column).reshape(-1).view(np.uint8).data


def _column(values: npt.ArrayLike, dtype: type[np.generic]) -> npt.NDArray[Any]:
    return np.atleast_1d(np.ascontiguousarray(values, dtype))


def _int32(values: npt.ArrayLike) -> npt.NDArray[np.int32]:
    wide = np.asarray(values)
    if wide.size and (int(wide.max()) >= 1 << 31 or int(wide.min()) < ABSENT_I32):
        raise BlockError("column", "an energy does not fit 32 bits of Wh", "check the unit")
    return np.ascontiguousarray(wide, np.int32)


def _narrow(values: npt.ArrayLike) -> npt.NDArray[np.uint16] | npt.NDArray[np.int32]:
    """uint16 where all values fit, to halve the wire; int32 otherwise."""
    array = np.asarray(values)
    if array.dtype == np.uint16:
        return np.ascontiguousarray(array)
    wide = _int32(array)
    if wide.size and int(wide.min()) >= 0 and int(wide.max()) < ABSENT_U16:
        return wide.astype(np.uint16)
    return wide


def _flatten(block: Block, rank: npt.NDArray[np.int32]) -> Columns:
    """Curves, slot by slot; a producer has no use for the compiler that this takes."""
    from wattstorm.metering.flattening import flattened

    absent = ABSENT_U16 if block.wh.dtype == np.uint16 else ABSENT_I32
    return Columns(*flattened(block.wh, block.meter, int(block.slot[0]), rank, absent))
