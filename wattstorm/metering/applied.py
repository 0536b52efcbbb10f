"""What became of one block's readings: counters, and those refused, for the dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.metering import block as blocks
from wattstorm.metering.block import Block, Columns
from wattstorm.metering.checks import COUNTERS, OUTCOMES, Outcome

Array = npt.NDArray[Any]
OUTSIDE: Final = -1
"""Day number under which readings outside the open days are counted."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one block's readings.

    tally: int64[OUTCOMES]; by_day: int64[COUNTERS] by UTC day of the slot (`OUTSIDE`
    for slots outside the open days); rejected: the readings refused, as blocks
    by reason, for the dead letters.
    """

    tally: npt.NDArray[np.int64]
    by_day: dict[int, npt.NDArray[np.int64]]
    rejected: list[tuple[Outcome, Block]]


def refused_whole(block: Block, columns: Columns, outcome: Outcome) -> Applied:
    """All for one reason: the block is the dead letter, as it came."""
    tally = np.zeros(OUTCOMES, np.int64)
    tally[outcome] = len(columns.meter)
    return Applied(tally, {OUTSIDE: padded(tally)}, [(outcome, block)])


def refused(block: Block, columns: Columns, outcome: Array) -> Applied:
    """Each for its own reason. outcome: uint8[n]."""
    tally = np.bincount(outcome, minlength=OUTCOMES).astype(np.int64)
    rejected = rejected_of(block, columns, outcome, tally)
    return Applied(tally, {OUTSIDE: padded(tally)}, rejected)


def padded(tally: Array) -> npt.NDArray[np.int64]:
    """int64[COUNTERS] of readings without an energy that counts."""
    return np.concatenate([tally, np.zeros(COUNTERS - OUTCOMES, np.int64)])


def rejected_of(
    block: Block, columns: Columns, outcome: Array, tally: Array
) -> list[tuple[Outcome, Block]]:
    """The refused readings of a block, as one block a reason."""
    out = []
    for code, n in enumerate(tally.tolist()):
        if n == 0 or code < Outcome.UNKNOWN_METER:
            continue
        part = columns.take(np.flatnonzero(outcome == code))
        version, quality = np.divmod(part.rank, 4)
        out.append(
            (
                Outcome(code),
                blocks.readings(
                    block.partition,
                    part.meter,
                    part.slot,
                    part.wh,
                    version=version,
                    quality=3 - quality,
                    channel=block.channel,
                    slot_minutes=block.slot_minutes,
                    producer=block.producer,
                    number=block.number,
                ),
            )
        )
    return out
