"""Scores of meters' days: a pure state machine, states in, states and scores out.

`score` is a function of states and of a day's segments, whole or so far: it changes nothing.
`learn` closes a day: the only way that states move. See docs/sax.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models import score_kernels
from models.score_state import DAYS, MAX_DAYS, POSITIONS, STATE_BYTES, SYMBOLS, States
from models.score_weights import BIAS, FEATURES, WEIGHTS
from wattstorm.errors import UsageError

Floats = npt.NDArray[np.float64]
MIN_DAYS: Final = 21
"""Closed days before a meter is alarmed: until then its p-value is 1."""


@dataclass(frozen=True)
class Segments:
    """A day of meters by stretches of the wall clock (3 h each), as far as it is known.

    energy: int32[meters, 8] Wh; slots: uint8[meters, 8] readings seen; low, high: int32[meters, 8]
    Wh, the smallest and largest slot. full: uint8[8], slots that each stretch has on this day
    (6 half hours; 4 or 8 where the clocks change). A stretch with fewer than half counts for
    nothing. day: its number since the epoch.
    """

    day: int
    energy: npt.NDArray[np.int32]
    slots: npt.NDArray[np.uint8]
    low: npt.NDArray[np.int32]
    high: npt.NDArray[np.int32]
    full: npt.NDArray[np.uint8]

    @classmethod
    def of_curves(
        cls, day: int, wh: npt.ArrayLike, places: npt.ArrayLike | None = None
    ) -> Segments:
        """Segments of curves number[meters, slots of the local day] in Wh, NaN: no reading.

        places: which slot of the wall clock each is (`metering.slots.clock_places`); None: a day
        without a clock change.
        """
        x = np.asarray(wh, np.float64)
        per_day = x.shape[1] if places is None else _per_day(x.shape[1])
        at = np.arange(x.shape[1]) if places is None else np.asarray(places, np.int64)
        if per_day % POSITIONS or len(at) != x.shape[1]:
            raise UsageError(
                f"days of {x.shape[1]} slots, {len(at)} places",
                f"give slots that {POSITIONS} stretches divide, and a place for each",
            )
        part = at * POSITIONS // per_day
        known = ~np.isnan(x)
        shape = (len(x), POSITIONS)
        energy, slots = np.zeros(shape, np.int32), np.zeros(shape, np.uint8)
        low, high = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        for p in range(POSITIONS):
            some, there = x[:, part == p], known[:, part == p]
            slots[:, p] = there.sum(axis=1)
            energy[:, p] = np.rint(np.where(there, some, 0.0)).sum(axis=1)
            low[:, p] = np.rint(np.where(there, some, np.inf).min(axis=1, initial=2**30))
            high[:, p] = np.rint(np.where(there, some, -np.inf).max(axis=1, initial=-(2**30)))
        gap = slots == 0
        low[gap] = high[gap] = 0
        full = np.bincount(part, minlength=POSITIONS).astype(np.uint8)
        return cls(day, energy, slots, low, high, full)

    @property
    def columns(self) -> Any:
        """As the kernels take them."""
        return self.energy, self.slots, self.low, self.high

    @property
    def number(self) -> float:
        """What a day's roundings depend on."""
        return float(self.day % 100_000)

    def take(self, meters: npt.ArrayLike | slice) -> Segments:
        """Some of the meters, by index, mask or slice."""
        at: Any = meters
        return Segments(
            self.day, self.energy[at], self.slots[at], self.low[at], self.high[at], self.full
        )


@dataclass(frozen=True)
class Scores:
    """Scores of a day, before calibration, and what they are made of.

    value: float64[meters], on the meter's own scale, NaN where nothing can be said; raw: before
    that scale. parts: float64[meters, 3], log odds of the alternatives level, moved, raised.
    weigh: float64[meters, 8], what each stretch adds. features: float64[meters, FEATURES]. cold:
    bool[meters], fewer than MIN_DAYS days known. rules: uint8[meters], bits of `explain.RULES`.
    """

    value: Floats
    raw: Floats
    parts: Floats
    weigh: Floats
    features: Floats
    cold: npt.NDArray[np.bool_]
    rules: npt.NDArray[np.uint8]


def score(states: States, segments: Segments, *, kernel: Any = score_kernels) -> Scores:
    """Scores of a day, whole or as far as it has come; the states stay as they are."""
    scores = _empty(states)
    kernel.score_days(
        states, segments.columns, segments.full, scratch(), (WEIGHTS, BIAS), *_columns(scores)
    )
    return scores


def close(states: States, segments: Segments) -> Scores:
    """`score`, then `learn`, at once: the same scores and states in two thirds of the time."""
    scores = _empty(states)
    score_kernels.close_days(
        states,
        segments.number,
        segments.columns,
        segments.full,
        scratch(),
        (WEIGHTS, BIAS),
        *_columns(scores),
    )
    return scores


def _empty(states: States) -> Scores:
    n = len(states)
    return Scores(
        np.empty(n),
        np.empty(n),
        np.full((n, 3), np.nan),
        np.zeros((n, POSITIONS)),
        np.full((n, FEATURES), np.nan),
        (states[:, DAYS] & MAX_DAYS) < MIN_DAYS,
        np.zeros(n, np.uint8),
    )


def _columns(scores: Scores) -> Any:
    s = scores
    return s.value, s.raw, s.parts, s.weigh, s.features, s.rules


def learn(
    states: States, segments: Segments, scores: Scores | None = None, *, kernel: Any = score_kernels
) -> None:
    """Close the day: move the states by its final segments.

    scores: those of the same states and segments, if they are at hand.
    """
    raw = (scores or score(states, segments, kernel=kernel)).raw
    kernel.learn_days(states, segments.number, segments.columns, segments.full, raw, scratch())


def scratch() -> Any:
    """Memory that the kernels work in."""
    p, k = POSITIONS, SYMBOLS
    inner = (
        np.zeros(p),
        np.zeros(p),
        np.zeros((p, k), np.int64),
        np.zeros(p, np.int64),
        np.zeros(p, np.int64),
        np.zeros(5),
        np.zeros((2, p)),
        np.zeros(STATE_BYTES),
    )
    return inner, np.zeros(p, np.bool_), np.zeros(p)


def _per_day(slots: int) -> int:
    """Slots of the wall clock, given those of a day whose clocks may have changed."""
    return int(min((24, 48, 96, 144), key=lambda n: abs(n - slots)))
