"""How far a channel of a partition has come: what moves the watermark, and what is held back.

Event time only, and only readings that are accepted: the watermark closes days, and
nothing opens them again. Three rules keep one wrong date from closing history:

- strays: one reading in `STRAY_SHARE` of a block may run ahead without moving it;
- within the next local day (`rules.OpenDays.stop`) any block of accepted readings moves it;
- a jump beyond needs more: a block with two readings or more of one meter in `JUMP_SHARE`
  of the partition's (`JUMP_METERS` at least, or all where there are fewer), or `JUMP_BLOCKS`
  blocks that agree. The first ones are a *claim*, and refused as FUTURE.

So of a feed that goes on after a gap of days at most one block is lost to it, and none
where it holds a hundredth of the meters; a row dated wrong is refused, alone in its
block or not. Blocks agree if one lies in the days that would be open had the other been
believed; one that has neither a later slot nor another meter is the same one again. A
claim is forgotten once the watermark enters another local day by itself: then the stream
went on where it was. A later claim elsewhere takes the place of the earlier.

`generator/feed/deliveries.py` foretells the same for the ledger: change both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.metering.rules import OpenDays, Rules

STRAY_SHARE: Final = 100
"""One reading in so many may run ahead of its block without moving the watermark."""
JUMP_SHARE: Final = 100
"""One meter in so many of the partition's, in one block, makes the watermark jump over days."""
JUMP_METERS: Final = 2
"""Meters that this takes at least, where the partition has as many."""
JUMP_BLOCKS: Final = 2
"""Blocks that agree make it jump whatever they hold."""
Slots = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """What was held back: slot, the newest; blocks that agree; meters, dense indices in them."""

    slot: int
    blocks: int
    meters: frozenset[int]

    def joined(self, other: Claim, rules: Rules) -> Claim:
        """This claim and a later one: together, or the later alone where they disagree."""
        days = rules.open_around(self.slot)
        if not days.low <= other.slot < days.stop:
            return other
        if other.slot <= self.slot and other.meters <= self.meters:
            return self
        return Claim(
            max(self.slot, other.slot), self.blocks + other.blocks, self.meters | other.meters
        )


@dataclass(frozen=True, slots=True)
class Watermark:
    """mark: newest slot that more than stray readings reached; days: open around it."""

    mark: int
    days: OpenDays
    claim: Claim | None = None

    @classmethod
    def at(cls, mark: int, rules: Rules, claim: Claim | None = None) -> Watermark:
        return cls(mark, rules.open_around(mark), claim)

    def moved(self, mark: int, rules: Rules) -> Watermark:
        """On to a later slot; a claim does not outlive the local day."""
        if mark < self.days.tomorrow:
            return Watermark(mark, self.days, self.claim)
        return Watermark.at(mark, rules)


def advanced(
    held: Watermark | None, slots: Slots, meters: Slots, n: int, size: int, rules: Rules
) -> Watermark | None:
    """The watermark after a block. held: before it, None before any.

    slots, meters: int[k], those of the block's n readings that lie beyond it and are
    accepted; size: meters of the partition.
    """
    strays = n // STRAY_SHARE if held else slots.size // STRAY_SHARE
    newest = _newest(slots, strays)
    if newest is None:
        return held
    if held is None:
        return Watermark.at(newest, rules)
    if newest < held.days.stop:
        return held.moved(newest, rules)
    far = slots >= held.days.stop
    who = np.unique(meters[far])
    if not _believed(who.size, int(far.sum()), size):
        claim = Claim(newest, 1, frozenset(who.tolist()))
        claim = held.claim.joined(claim, rules) if held.claim else claim
        if claim.blocks < JUMP_BLOCKS:
            inside = _newest(slots[~far], strays)
            here = held if inside is None else held.moved(inside, rules)
            return Watermark(here.mark, here.days, claim)
    return Watermark.at(newest, rules)


def _believed(meters: int, readings: int, size: int) -> bool:
    """Whether one block says it for enough of the partition's meters."""
    return readings >= 2 and meters >= min(max(JUMP_METERS, -(-size // JUMP_SHARE)), size)


def _newest(slots: Slots, strays: int) -> int | None:
    """The newest slot that more than `strays` readings have reached."""
    at = slots.size - 1 - strays
    return int(np.partition(slots, at)[at]) if at >= 0 else None
