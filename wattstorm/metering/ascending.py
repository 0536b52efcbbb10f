"""The meters of a block in ascending order, as a bitmap: an eighth of a byte each, not four.

Who delivers in the order of the register names nearly every meter of a range, so a bit for each
meter of it says who is there:

    first meter (u32), bits n (u32), n bits, lowest first, in whole bytes; the first and the
    last bit are set
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import BlockError

_HEAD: Final = struct.Struct("<II")
SPARSEST: Final = 16
"""Bits a meter at most: beyond that the numbers themselves are nearly as small, and quicker."""


def packed(meter: npt.NDArray[np.uint32]) -> bytes | None:
    """Bytes of the bitmap; None where the order or the gaps forbid it."""
    if meter.size < 2 or not 0 < int(meter[-1]) - int(meter[0]) < SPARSEST * meter.size:
        return None
    if not (meter[1:] > meter[:-1]).all():
        return None
    there = np.zeros(int(meter[-1]) - int(meter[0]) + 1, np.uint8)
    there[meter - meter[0]] = 1
    return _HEAD.pack(int(meter[0]), there.size) + np.packbits(there, bitorder="little").tobytes()


def unpacked(body: memoryview, at: int, count: int) -> tuple[npt.NDArray[np.uint32], int]:
    """(uint32[count], bytes read) of the bitmap at `at`, or BlockError."""
    if at + _HEAD.size > len(body):
        raise BlockError("truncated", "column meter ends past the block's bytes")
    first, bits = _HEAD.unpack_from(body, at)
    size = _HEAD.size + -(-bits // 8)
    if not count <= bits <= SPARSEST * count or first + bits > 1 << 32:
        raise BlockError("column", f"meter has {bits} bits from {first} on for {count} meters")
    if at + size > len(body):
        raise BlockError("truncated", "column meter ends past the block's bytes")
    raw = np.frombuffer(body, np.uint8, size - _HEAD.size, at + _HEAD.size)
    place = np.flatnonzero(np.unpackbits(raw, count=bits, bitorder="little").view(np.bool_))
    if place.size != count or place[0] != 0 or place[-1] != bits - 1:
        raise BlockError("column", f"meter names {place.size} meters, the block has {count}")
    meter = (place + first).astype(np.uint32)
    meter.flags.writeable = False  # as all columns of a block: kernels are compiled for such ones
    return meter, size
