"""Randomness by counter: what is drawn depends on (seed, meter, day, purpose) alone.

The mixing function is splitmix64's (Steele, Lea, Flood 2014, "Fast splittable
pseudorandom number generators"). No generator state exists, so any meter and
any day can be drawn alone, in any order, on any machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

_GOLD: Final = np.uint64(0x9E3779B97F4A7C15)
_M1: Final = np.uint64(0xBF58476D1CE4E5B9)
_M2: Final = np.uint64(0x94D049BB133111EB)
_DAY: Final = np.uint64(0xD1B54A32D192ED03)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)
_16, _MASK16 = np.uint64(16), np.uint64(0xFFFF)
_11: Final = np.uint64(11)
_IRWIN_HALL: Final = 1.0 / (65536.0 * np.sqrt(4.0 / 12.0))


@njit(cache=True, inline="always")
def mix(x):  # type: ignore[no-untyped-def]
    """uint64 → uint64, a bijection whose output bits look independent of the input's."""
    x = (x ^ (x >> _30)) * _M1
    x = (x ^ (x >> _27)) * _M2
    return x ^ (x >> _31)


@njit(cache=True, inline="always")
def meter_key(seed, meter):  # type: ignore[no-untyped-def]
    return mix(mix(np.uint64(seed) + _GOLD) ^ (np.uint64(meter) * _GOLD))


@njit(cache=True, inline="always")
def draw(key, day, purpose):  # type: ignore[no-untyped-def]
    """64 bits for one purpose of one day of the meter that `key` belongs to."""
    return mix(key + np.uint64(day) * _DAY + np.uint64(purpose) * _GOLD)


@njit(cache=True, inline="always")
def uniform(bits):  # type: ignore[no-untyped-def]
    """float64 in [0, 1)."""
    return np.float64(bits >> _11) * (1.0 / 9007199254740992.0)


@njit(cache=True, inline="always")
def normal(bits):  # type: ignore[no-untyped-def]
    """Nearly standard normal: the sum of four 16-bit uniforms (Irwin, Hall 1927), |z| < 3.5.

    Integer sum and one product: the same bits on every machine.
    """
    total = (
        (bits & _MASK16)
        + ((bits >> _16) & _MASK16)
        + ((bits >> np.uint64(32)) & _MASK16)
        + (bits >> np.uint64(48))
    )
    return (np.float64(total) - 131070.0) * _IRWIN_HALL
