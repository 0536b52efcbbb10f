"""Readings that are sent beside the curves: late, doubled, corrected, and what becomes of each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


class Beside(NamedTuple):
    """Readings sent beside the curves, each [k]: due is the slot after which they are sent.

    All int64 but kind and outcome, uint8. true: Wh that the meter should have sent.
    """

    due: Ints
    slot: Ints
    meter: Ints
    wh: Ints
    version: Ints
    true: Ints
    kind: npt.NDArray[np.uint8]
    outcome: npt.NDArray[np.uint8]

    def take(self, index: Any) -> Beside:
        return Beside(*(column[index] for column in self))

    def in_order(self) -> Beside:
        return self.take(np.lexsort((self.meter, self.slot, self.due)))


def none_beside() -> Beside:
    empty = np.zeros(0, np.int64)
    codes = empty.astype(np.uint8)
    return Beside(empty, empty, empty, empty, empty, empty, codes, codes)


def joined(a: Beside, b: Beside) -> Beside:
    columns: list[Any] = [np.concatenate([x, y]) for x, y in zip(a, b, strict=True)]
    return Beside(*columns)


def split(all_: Beside, stop: int) -> tuple[Beside, Beside]:
    """(due before slot `stop`, due later)."""
    now = all_.due < stop
    return all_.take(now), all_.take(~now)
