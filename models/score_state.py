"""What is remembered of a meter: 64 bytes, and how numbers are kept in one byte each.

    histogram   32   8 positions × 8 symbols × 4 bits: how often each symbol was seen there
    mean, var    8+8 of each position's log load on the meter's scale
    scale        2   log of the mean Wh a slot
    level        8   var of the day's log energy and log mean; mean, var of its lowest slot, its
                     widest segment, its mean width
    own          2   mean, var of the meter's own scores
    days         1   closed days learnt from, up to 127; the highest bit: yesterday had no life
    word         3   yesterday's symbols, 3 bits each

A mean moves by less than the step of its byte. So what is stored is rounded up or down by a
fixed sequence in the day's number (golden ratio): right on average, the same bits always.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

POSITIONS: Final = 8
SYMBOLS: Final = 8
STATE: Final = np.dtype(
    [
        ("histogram", np.uint8, (POSITIONS, SYMBOLS // 2)),
        ("mean", np.uint8, POSITIONS),
        ("var", np.uint8, POSITIONS),
        ("scale", "<u2"),
        ("level", np.uint8, 8),
        ("own", np.uint8, 2),
        ("days", np.uint8),
        ("word", np.uint8, 3),
    ]
)
STATE_BYTES: Final = STATE.itemsize
MEAN, VAR, SCALE, LEVEL, OWN, DAYS, WORD = 32, 40, 48, 50, 58, 60, 61
"""Where each begins in the 64 bytes."""

MAX_DAYS: Final = 127
LIFELESS: Final = 128
SCALE_STEP: Final = 14.0 / 65535
"""ln Wh a slot: up to 1.2 GWh."""
MEAN_LOW, MEAN_STEP = -2.8, 0.025
"""ln(load / scale + OFFSET): -2.66 without load, 3.575 at 35 times the mean."""
OWN_LOW, OWN_STEP = -12.0, 0.1
OFFSET: Final = 0.07
VAR_LOW, VAR_HIGH = 0.01, 20.0
VAR_STEP: Final = float(np.log(VAR_HIGH / VAR_LOW) / 255)
VARIANCES: Final = VAR_LOW * np.exp(VAR_STEP * np.arange(256))
GOLDEN: Final = 0.6180339887498949
SHARE: Final = 0.7548776662466927

States = npt.NDArray[np.uint8]
"""uint8[meters, 64]; `states.view(STATE)[:, 0]` names the fields."""


def new_states(meters: int) -> States:
    """Meters that nothing is known of: all zeros."""
    return np.zeros((meters, STATE_BYTES), np.uint8)


def fields(states: States) -> npt.NDArray[np.void]:
    """The states as records of `STATE`, the same memory."""
    return states.view(STATE)[:, 0]
