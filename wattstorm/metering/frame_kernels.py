"""Loops of segment frames: one slot of a day store added to a stretch, and whole numbers packed.

Packed are groups of 128 numbers: the least of them (8 bytes), the bits that each needs above it
(1 byte), then those bits, the first number's lowest bits first, in whole bytes. Loads of homes take
8 to 13 bits; by zlib they would take a fifth less, and twelve times as long.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from wattstorm.metering.kernels import BESIDE, _find

GROUP: Final = 128
HEAD: Final = 9
"""Bytes before a group's bits."""
MOST_BITS: Final = 48


@njit(cache=True, nogil=True)
def add_slot(cells, first, slot, size, keys, beside_wh, energy, seen, low, high):  # type: ignore[no-untyped-def]
    """Add one slot of meters first … first + len(energy) - 1 of a partition.

    cells: uint16[meters], the slot's row; size: the stride of the table beside; energy, low, high:
    int64[n] Wh; seen: int64[n] slots that hold a value. All of them 0 before the first slot.
    """
    for i in range(min(len(energy), len(cells) - first)):
        cell = cells[first + i]
        if cell == 0:
            continue
        wh = np.int64(cell) - 1
        if cell == BESIDE:
            at = _find(keys, slot * size + first + i)
            if keys[at] < 0:
                continue
            wh = np.int64(beside_wh[at])
        low[i] = wh if seen[i] == 0 else min(low[i], wh)
        high[i] = wh if seen[i] == 0 else max(high[i], wh)
        energy[i] += wh
        seen[i] += 1


@njit(cache=True, nogil=True)
def pack(values, out):  # type: ignore[no-untyped-def]
    """int64[n] into uint8[...]; how many bytes. A group's span must be below 2**MOST_BITS."""
    at, n = 0, len(values)
    for begin in range(0, n, GROUP):
        stop = min(begin + GROUP, n)
        low, high = values[begin], values[begin]
        for i in range(begin + 1, stop):
            low, high = min(low, values[i]), max(high, values[i])
        bits, span = 0, high - low
        while span >> bits > 0:
            bits += 1
        for b in range(8):
            out[at + b] = np.uint8((low >> (8 * b)) & 255)
        out[at + 8] = np.uint8(bits)
        at += HEAD
        held, have = np.int64(0), 0
        for i in range(begin, stop):
            held |= (values[i] - low) << have
            have += bits
            while have >= 8:
                out[at] = np.uint8(held & 255)
                held >>= 8
                have -= 8
                at += 1
        if have:
            out[at] = np.uint8(held & 255)
            at += 1
    return at


@njit(cache=True, nogil=True)
def unpack(data, out):  # type: ignore[no-untyped-def]
    """Inverse of `pack`: fills int64[n], returns the bytes read; -1 if there are too few, or they
    are none of `pack`."""
    at, n = 0, len(out)
    for begin in range(0, n, GROUP):
        stop = min(begin + GROUP, n)
        if at + HEAD > len(data):
            return -1
        low, bits = np.int64(0), np.int64(data[at + 8])
        for b in range(8):
            low |= np.int64(data[at + b]) << (8 * b)
        at += HEAD
        if bits > MOST_BITS or at + ((stop - begin) * bits + 7) // 8 > len(data):
            return -1
        mask = (np.int64(1) << bits) - 1
        held, have = np.int64(0), np.int64(0)
        for i in range(begin, stop):
            while have < bits:
                held |= np.int64(data[at]) << have
                have += 8
                at += 1
            out[i] = low + (held & mask)
            held >>= bits
            have -= bits
    return at
