"""Meters' ids of any form as uint64 keys: digits as their number, any other text as a hash.

A number of up to 18 digits without leading zeros is its own key, below 10^18: what such ids cost is
what it was before there were others. Other ids (letters, leading zeros, up to 40 characters)
have keys from 2^62 on: 62 bits of a hash that takes eight bytes at a time through the finaliser of
splitmix64 (see `idindex`), one to one for each eight. A register refuses two ids of one key when it
is built; an id that is not in it is taken for one that is with a chance of meters / 2^62, one
in 10^11 for 35 million.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

MAX_DIGITS: Final = 18
MAX_NUMBER: Final = 10**MAX_DIGITS - 1
MAX_TEXT: Final = 40
WORDS: Final = MAX_TEXT // 8
FIRST_TEXT: Final = 1 << 62
TEXT: Final = np.dtype(f"S{MAX_TEXT}")
_MARK, _BITS = np.uint64(FIRST_TEXT), np.uint64(FIRST_TEXT - 1)
_BLANK, _ZERO, _NINE, _DELETE = (np.uint8(code) for code in (0x20, 0x30, 0x39, 0x7F))
_SEED = np.uint64(0x9E3779B97F4A7C15)


def text_keys(
    texts: npt.NDArray[np.bytes_],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """(keys uint64[n], bool[n]: whether it is an id at all) of texts, S40[n].

    Blanks around an id are no part of it, and those inside it make it none.

    >>> keys, fine = text_keys(np.array([b" 12", b"012", b"NMI0123456", b"1 2", b""], TEXT))
    >>> int(keys[0]), (keys[1:3] >= FIRST_TEXT).tolist(), fine.tolist()
    (12, [True, True], [True, True, True, False, False])
    """
    letters = np.ascontiguousarray(texts, TEXT).view(np.uint8).reshape(-1, MAX_TEXT)
    out, fine = np.zeros(len(letters), np.uint64), np.zeros(len(letters), np.bool_)
    _keys(letters, out, fine)
    return out, fine


@njit(cache=True, nogil=True)
def _keys(letters, out, fine):  # type: ignore[no-untyped-def]
    for i in range(len(letters)):
        first, stop = 0, MAX_TEXT
        while stop > 0 and letters[i, stop - 1] <= _BLANK:
            stop -= 1
        while first < stop and letters[i, first] <= _BLANK:
            first += 1
        if first == stop:
            continue
        number = np.uint64(0)
        digits = stop - first <= MAX_DIGITS and (letters[i, first] != _ZERO or stop - first == 1)
        whole = True
        for j in range(first, stop):
            letter = letters[i, j]
            digits = digits and _ZERO <= letter <= _NINE
            whole = whole and _BLANK < letter < _DELETE
            number = number * np.uint64(10) + np.uint64(letter) - np.uint64(_ZERO)
        fine[i] = whole
        out[i] = number if digits else _MARK | (_hash(letters[i], first, stop) & _BITS)


@njit(cache=True, inline="always")
def _hash(letters, first, stop):  # type: ignore[no-untyped-def]
    h = _SEED
    for at in range(first, stop, 8):
        word = np.uint64(0)
        for j in range(min(8, stop - at)):
            word |= np.uint64(letters[at + j]) << np.uint64(8 * j)
        x = h ^ word
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h = (x ^ (x >> np.uint64(31))) + _SEED
    return h
