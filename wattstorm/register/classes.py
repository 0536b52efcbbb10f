"""Classes: the pairs of tariff and region that occur, numbered as they first appear.

Sums are kept by class. A register that gains pairs gains classes and never renumbers one, so
stored sums stay valid; twelve tariffs in 96 regions are 1,152 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError

_CHUNK: Final = 1 << 20
_TARIFF: Final = np.uint64(32)


class Classes:
    """The classes of a register. codes: by class, tariff code + 256 * region code.

    >>> classes = Classes([0, 257, 1])
    >>> len(classes), classes.tariff.tolist(), classes.region.tolist()
    (3, [0, 1, 1], [0, 1, 0])
    >>> classes.of(np.array([1, 0, 1]), np.array([0, 0, 1])).tolist()
    [2, 0, 1]
    """

    def __init__(self, codes: Sequence[int]) -> None:
        self.codes = np.array(codes, np.int64)
        self.tariff, self.region = self.codes & 255, self.codes >> 8
        self._number = np.full(1 << 16, -1, np.int64)
        self._number[self.codes] = np.arange(len(self.codes))

    def __len__(self) -> int:
        return len(self.codes)

    def of(
        self, tariff: npt.NDArray[np.integer], region: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.int64]:
        """Classes of pairs of codes; arrays of one shape, int64 out."""
        codes = np.asarray(tariff, np.int64) + 256 * np.asarray(region, np.int64)
        found: npt.NDArray[np.int64] = self._number[codes]
        if found.size and found.min() < 0:
            raise RegisterError(
                "a meter has a tariff and a region that the register does not count as a pair",
                "the register is damaged: build it again from its source files",
            )
        return found


def extended(known: Sequence[int], entries: npt.NDArray[np.uint64]) -> list[int]:
    """Codes of `known` classes, then those of the pairs that entries (see `arrays`) add, in the
    order of the rows.

    >>> from wattstorm.register.arrays import pack
    >>> codes = np.array([3, 3, 0, 3]), np.array([1, 1, 2, 0])
    >>> extended([256 * 2], pack(*codes, np.zeros(4), np.zeros(4, bool)))
    [512, 259, 3]
    """
    found = list(known)
    new = np.ones(1 << 16, np.bool_)
    new[found] = False
    for at in range(0, len(entries), _CHUNK):
        # Tariff and region stand side by side, 8 bits each.
        codes = (entries[at : at + _CHUNK] >> _TARIFF).astype(np.uint16)
        fresh, first = np.unique(codes[new[codes]], return_index=True)
        found += fresh[np.argsort(first)].tolist()
        new[fresh] = False
    return found


def of_card(card: dict[str, Any]) -> list[int]:
    """Codes by class of a register's card. One of schema 1 names none: its classes are all pairs
    of codes below the greater number of names, by Szudzik's pairing function (An Elegant Pairing
    Function, 2006). They stay as they are when it is extended.

    >>> of_card({"tariffs": ["a", "b"], "regions": ["x"]})
    [0, 256, 1, 257]
    """
    if "classes" in card:
        return list(card["classes"])
    n = max(len(card["tariffs"]), len(card["regions"]))
    codes = [0] * n * n
    for tariff in range(n):
        for region in range(n):
            at = region * region + tariff if tariff < region else tariff * tariff + tariff + region
            codes[at] = tariff + 256 * region
    return codes
