"""What a source of readings hands over, and who hears how it gets on meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt


class Cell(IntFlag):
    """What of a row could not be used, as bits: its cells, or the row as a whole.

    BEYOND: more cells than the header has names; INCOMPLETE: of parts that were to be added up
    to a slot not each is there once.
    """

    METER = 1
    TIME = 2
    ENERGY = 4
    VERSION = 8
    BEYOND = 16
    INCOMPLETE = 32


@dataclass(frozen=True)
class Readings:
    """Rows as a source gave them, in its order; n of them.

    ids: uint64[n], external ids; at: int64[n], starts of the slots in µs since the epoch;
    wh: int64[n]; version: uint16[n], 0 where there is none; unreadable: uint8[n], bits of
    `Cell` (0: all could be read); what stands in an unreadable cell does not matter.
    """

    ids: npt.NDArray[np.uint64]
    at: npt.NDArray[np.int64]
    wh: npt.NDArray[np.int64]
    version: npt.NDArray[np.uint16]
    unreadable: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ids)


Origins: TypeAlias = Callable[[Sequence[int]], Iterable[tuple[str, str]]]
"""Rows of a `Readings` (from 0) → where each came from, and its cells as they stood."""


class Listener(Protocol):
    """Whoever wants to hear how a source gets on: a terminal, a log, nobody."""

    def say(self, message: str) -> None:
        """One sentence for a person."""

    def progress(self, done: int, total: int) -> None:
        """Rows dealt with so far, of how many."""


class Silence:
    """A listener that hears nothing."""

    def say(self, message: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass
