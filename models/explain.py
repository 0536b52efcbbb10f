"""Why a day scores high: which stretches, in which direction, by how many Wh.

The rules stand beside the score and need no threshold of it: `dead` (nothing but zeros), `flat`
(one value all day), `stuck` (one value through two stretches and more), `spike` (a slot out of
all proportion to the meter's usual widest swing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.score import Scores, Segments
from models.score_state import (
    MEAN_LOW,
    MEAN_STEP,
    OFFSET,
    POSITIONS,
    SCALE_STEP,
    States,
    fields,
)

RULES: Final = ("dead", "flat", "stuck", "spike")
"""Bit i of `Scores.rules` is RULES[i]."""
KINDS: Final = ("level", "moved", "raised")
TOP: Final = 3


@dataclass(frozen=True)
class Stretch:
    """One stretch of the day: 0 is midnight to three; direction more, less, dead or flat."""

    position: int
    direction: str
    wh: int
    """Wh above (below: negative) what is usual then."""


@dataclass(frozen=True)
class Explanation:
    """What a day's score comes from. kind: more, less, moved, dead, flat, stuck or spike."""

    kind: str
    rules: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    """The three that weigh most, the heaviest first."""
    moved_hours: int = 0
    """By how many hours later (negative: earlier) the day fits best, if it has moved."""

    def __str__(self) -> str:
        """`less: 06-09 less -1,240 Wh, 18-21 dead -900 Wh`."""
        hours = 24 // POSITIONS
        parts = [
            f"{s.position * hours:02d}-{(s.position + 1) * hours:02d} {s.direction} {s.wh:+,} Wh"
            for s in self.stretches
        ]
        by = f" by {self.moved_hours:+d} h" if self.moved_hours else ""
        return f"{self.kind}{by}: {', '.join(parts)}"


def usual_wh(states: States, full: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """float64[meters, 8], what each stretch of `full` slots usually holds."""
    known = fields(states)
    mean = MEAN_LOW + MEAN_STEP * known["mean"].astype(np.float64)
    load = np.maximum(np.exp(mean) - OFFSET, 0.0)
    size = np.exp(SCALE_STEP * known["scale"].astype(np.float64))
    return np.asarray(load * size[:, None] * np.asarray(full, np.float64))


def explain(states: States, segments: Segments, scores: Scores, meter: int) -> Explanation:
    """The reasons of one meter's score; `scores` are those of these states and segments."""
    seen = segments.slots[meter] > 0
    energy = segments.energy[meter].astype(np.float64)
    usual = usual_wh(states[meter : meter + 1], segments.slots[meter])[0]
    low, high = segments.low[meter], segments.high[meter]
    rules = tuple(r for i, r in enumerate(RULES) if scores.rules[meter] >> i & 1)
    part = KINDS[int(np.argmax(np.nan_to_num(scores.parts[meter], nan=-np.inf)))]
    rise = float(np.where(seen, energy - usual, 0.0).sum())
    kind = next(iter(rules), "")
    if not kind:
        kind = "moved" if part == "moved" else "more" if part == "raised" or rise > 0 else "less"
    order = np.argsort(-np.where(seen, scores.weigh[meter], -1.0), kind="stable")
    stretches = []
    for p in (int(i) for i in order[:TOP]):
        if not seen[p]:
            continue
        change = energy[p] - usual[p]
        direction = "more" if change > 0 else "less"
        if high[p] == low[p] and segments.slots[meter, p] > 1:
            direction = "flat" if high[p] else "dead"
        stretches.append(Stretch(p, direction, round(float(change))))
    turned = _turn(energy, usual) if kind == "moved" else 0
    return Explanation(kind, rules, tuple(stretches), turned)


def _turn(energy: npt.NDArray[np.float64], usual: npt.NDArray[np.float64]) -> int:
    """Hours by which the day lies later than it usually does, -12 < h <= 12."""
    day = np.log(energy + 1.0) - np.log(energy + 1.0).mean()
    own = np.log(usual + 1.0) - np.log(usual + 1.0).mean()
    cost = [np.abs(np.roll(day, -turn) - own).sum() for turn in range(POSITIONS)]
    turn = int(np.argmin(cost))
    return (turn if turn <= POSITIONS // 2 else turn - POSITIONS) * (24 // POSITIONS)
