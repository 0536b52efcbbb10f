"""Moves of the engine `chain`: from slot to slot, between states of rank.

A state is one of STATES equal stretches of rank; the next one is drawn given the
state now and the habit level of the slot: the day's own mean of those three hours
(see `states`) with the home's habit of that slot inside them. One set of odds for each class
of homes that move alike, drawn from by the alias method (Walker 1977; Vose 1991).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from generator.model import states
from generator.model.habits import Habits, kind_of

STATES: Final = 24
HABITS: Final = 16
CLASSES: Final = 6
_PRIOR: Final = 6.0


def classes(features: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """int32[homes], class of movement: equal shares of the homes in order of their persistence."""
    count = min(CLASSES, max(1, len(features) // 8))
    place = features[:, 0].argsort(kind="stable").argsort(kind="stable")
    return (place * count // len(features)).astype(np.int32)


def odds(
    habits: Habits, numbers: npt.NDArray[np.int32], move_class: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """float32[classes, HABITS, STATES, STATES], odds of the next state (last axis)."""
    count = np.zeros((int(move_class.max()) + 1, HABITS, STATES, STATES))
    slots = habits.ranks.shape[2]
    row_by_day, kind = habits.row_by_day(numbers), kind_of(numbers)
    for h, c in enumerate(move_class):
        have = np.flatnonzero(~np.isnan(habits.ranks[h, :, 0]))
        if not have.size:
            continue
        state = np.minimum((habits.ranks[h, have] * STATES).astype(int), STATES - 1)
        mean = np.repeat(habits.parts[h, have, :-1], slots // (states.PARTS - 1), axis=1)
        level = mean + habits.habit[row_by_day[h, have], kind[have]]
        level = np.clip((level * HABITS).astype(int), 0, HABITS - 1)
        np.add.at(count[c], (level[:, 1:].ravel(), state[:, :-1].ravel(), state[:, 1:].ravel()), 1)
    # Back-off: rare contexts lean on all classes together, and those on the habit level alone.
    whole = count.sum(axis=0) + 0.05
    by_level = whole.sum(axis=1, keepdims=True)
    general = whole + _PRIOR * by_level / by_level.sum(axis=2, keepdims=True)
    general /= general.sum(axis=2, keepdims=True)
    found = count + _PRIOR * general
    return np.asarray(found / found.sum(axis=3, keepdims=True), np.float32)


def alias(odds: npt.NDArray[np.floating]) -> npt.NDArray[np.uint32]:
    """uint32[..., STATES]: place i is kept with probability (entry >> 8) / 2^24, else entry & 255.

    Vose's construction, over all tables at once in plain loops (a few thousand tables).
    """
    flat = np.asarray(odds, np.float64).reshape(-1, odds.shape[-1])
    out = np.empty(flat.shape, np.uint32)
    n = flat.shape[1]
    for t, p in enumerate(flat):
        scaled = (p / p.sum() * n).tolist()
        keep, other = [1.0] * n, list(range(n))
        small = [i for i in range(n) if scaled[i] < 1]
        large = [i for i in range(n) if scaled[i] >= 1]
        while small and large:
            a, b = small.pop(), large[-1]
            keep[a], other[a] = scaled[a], b
            scaled[b] -= 1 - scaled[a]
            if scaled[b] < 1:
                small.append(large.pop())
        part = np.minimum(np.round(np.array(keep) * 2**24), 2**24 - 1).astype(np.uint32)
        out[t] = (part << np.uint32(8)) | np.array(other, np.uint32)
    return out.reshape(odds.shape)
