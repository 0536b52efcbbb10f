"""What a meter's 64 bytes say about its household: formulas, at a reader's request.

base load     (exp(m) - 0.07) × scale, m the remembered mean of ln(lowest slot / scale + 0.07): what
              the home takes when nothing runs, at night as a rule (geometric, about three weeks)
usual day     sum over the eight stretches of (exp(u) - 0.07) × scale × their slots
change        energy of the stretches that came today, over what is usual in them, less one; own
              memory is about three weeks (1/20 a day), not four
percentile    share of peers with a smaller scale (mean Wh a slot); peers are the meters of the same
              class (tariff and region) in the same partition with three weeks of days

What would need a temperature by region, a heating-like anomaly, is not among them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.explain import usual_wh
from models.score import MIN_DAYS, Segments
from models.score_state import (
    LEVEL,
    MAX_DAYS,
    MEAN_LOW,
    MEAN_STEP,
    OFFSET,
    POSITIONS,
    SCALE_STEP,
    States,
    fields,
)

LETTERS = "abcdefgh"


@dataclass(frozen=True)
class Insights:
    """Of one meter. base_wh: Wh a slot; usual_wh: float64[8], of a day without clock change;
    percentile: 0 to 1 among `peers` meters, None with fewer than ten; change: of today's energy
    so far, None where nothing came."""

    days: int
    base_wh: float
    usual_wh: npt.NDArray[np.float64]
    percentile: float | None
    peers: int
    change: float | None
    usual_word: str
    last_word: str


def insights(
    states: States, classes: npt.NDArray[np.uint16], meter: int, today: Segments | None = None
) -> Insights:
    """states, classes: of a partition; today: segments of that one meter, uint8[1, 8]."""
    one = states[meter : meter + 1]
    known = fields(one)[0]
    scale = float(np.exp(SCALE_STEP * float(known["scale"])))
    lowest = MEAN_LOW + MEAN_STEP * float(one[0, LEVEL + 2])
    per_stretch = 48 // POSITIONS if today is None else int(np.median(today.full))
    usual = usual_wh(one, np.full((1, POSITIONS), per_stretch))[0]
    of = fields(states)
    peer = (classes == classes[meter]) & ((of["days"] & MAX_DAYS) >= MIN_DAYS)
    peer[meter] = False
    peers = int(peer.sum())
    share = float((of["scale"][peer] < known["scale"]).mean()) if peers >= 10 else None
    change = None
    if today is not None and today.slots.any():
        expected = float(usual_wh(one, today.slots)[0].sum())
        change = float(today.energy.sum()) / expected - 1 if expected > 0 else None
    counts = np.repeat(known["histogram"], 2, axis=1) >> np.array([0, 4] * 4) & 15
    word = sum(int(byte) << (8 * i) for i, byte in enumerate(known["word"]))
    return Insights(
        int(known["days"] & MAX_DAYS),
        max(0.0, float(np.exp(lowest) - OFFSET)) * scale,
        usual,
        share,
        peers,
        change,
        "".join(LETTERS[k] for k in counts.argmax(axis=1)),
        "".join(LETTERS[word >> (3 * p) & 7] for p in range(POSITIONS)),
    )
