"""What the stream makes of a partition that goes on after more than a day of silence.

Its watermark must jump, and a jump wants more than a stray reading: too few meters are
held back (FUTURE) until another block agrees. The rule is the one of
`wattstorm/metering/watermark.py`, which says why; it is told here a second time, plainly and
reading by reading, so that ledger and stream are held together: change both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from wattstorm.metering.checks import Outcome
from wattstorm.metering.watermark import JUMP_BLOCKS, JUMP_METERS, JUMP_SHARE, STRAY_SHARE

Ints = npt.NDArray[np.int64]
Span = tuple[int, int]
"""First slot that is open, first slot that is too far ahead."""
NO_CLAIM: Final = (-1, 0, frozenset[int]())


class Sent(NamedTuple):
    """One block. meter, slot: int64[k]; good: bool[k], nothing but its time can be wrong."""

    meter: Ints
    slot: Ints
    good: npt.NDArray[np.bool_]


class Follower:
    """The watermark of one partition. open_at: the span that is open at a watermark."""

    def __init__(self, meters: int, open_at: Callable[[int], Span]) -> None:
        self.enough = min(meters, max(JUMP_METERS, -(-meters // JUMP_SHARE)))
        self.open_at = open_at
        self.mark, self.claim = -1, NO_CLAIM

    def outcomes(self, blocks: Iterable[Sent]) -> Iterator[npt.NDArray[np.uint8]]:
        """Of each block's readings: FUTURE, TOO_OLD, or NEW where their time is right."""
        for block in blocks:
            self._follow(block)
            low, stop = self.open_at(self.mark)
            out = np.full(block.slot.size, Outcome.NEW, np.uint8)
            out[block.slot < low] = Outcome.TOO_OLD
            out[block.slot >= stop] = Outcome.FUTURE
            yield out

    def _follow(self, block: Sent) -> None:
        """Move on, or remember what would have moved it."""
        strays = block.slot.size // STRAY_SHARE
        stop = self.open_at(self.mark)[1]
        ahead = sorted(block.slot[block.good & (block.slot > self.mark)].tolist())
        if len(ahead) <= strays:
            return
        newest = ahead[-1 - strays]
        if newest >= stop:
            far = block.good & (block.slot >= stop)
            who = frozenset(block.meter[far].tolist())
            if (far.sum() >= 2 and len(who) >= self.enough) or self._agreed(newest, who):
                self._reach(newest)
                return
            ahead = [slot for slot in ahead if slot < stop]
            if len(ahead) <= strays:
                return
            self.mark = ahead[-1 - strays]
            return
        self._reach(newest)

    def _reach(self, mark: int) -> None:
        if self.mark < 0 or self.open_at(mark) != self.open_at(self.mark):
            self.claim = NO_CLAIM
        self.mark = mark

    def _agreed(self, newest: int, who: frozenset[int]) -> bool:
        """Whether enough blocks say so by now."""
        slot, blocks, known = self.claim
        if blocks:
            low, stop = self.open_at(slot)
            if low <= newest < stop:
                if newest > slot or who - known:
                    self.claim = max(slot, newest), blocks + 1, known | who
                return self.claim[1] >= JUMP_BLOCKS
        self.claim = newest, 1, who
        return False


def blocks_of_day(
    sent: npt.NDArray[np.bool_], slots: range, meters: Ints, chunk: int, nightly: bool, beside: Any
) -> Iterator[tuple[tuple[Any, ...] | None, Any, Sent]]:
    """The blocks of a day in the order in which they are sent: (where in `sent`, which of
    `beside`, the block). sent: bool[n, slots]; beside: sorted by due, see `beside.Beside`."""
    numbers = np.array(slots)

    def first(rows: slice, places: slice) -> Iterator[tuple[Any, Any, Sent]]:
        at, place = np.nonzero(sent[rows, places])
        if at.size:
            where = at + (rows.start or 0), place + (places.start or 0)
            right = np.ones(at.size, np.bool_)
            yield where, None, Sent(meters[where[0]], numbers[where[1]], right)

    def second(which: Any) -> Iterator[tuple[Any, Any, Sent]]:
        if which.size:
            good = beside.outcome[which] != Outcome.TOO_HIGH
            yield None, which, Sent(beside.meter[which], beside.slot[which], good)

    for part in [slice(None)] if nightly else [slice(k, k + 1) for k in range(len(slots))]:
        for at in range(0, len(sent), chunk):
            yield from first(slice(at, at + chunk), part)
        here = beside.due == slots[part.start] if not nightly else beside.due >= slots.start
        yield from second(np.flatnonzero(here))
