"""Homes that are easy to know: a steady shape with noise, each at its own level."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.score import Segments, learn, score
from models.score_state import States, new_states

Floats = npt.NDArray[np.float64]


def some_days(homes: int = 40, days: int = 60, seed: int = 0, noise: float = 0.25) -> Floats:
    """float64[homes, days, 48] Wh: a base, a morning and an evening, whole numbers."""
    rng = np.random.default_rng(seed)
    hour = np.arange(48) / 2
    shape = 0.3 + np.exp(-((hour - 7.5) ** 2) / 2) + 1.6 * np.exp(-((hour - 19) ** 2) / 5)
    level = np.geomspace(60, 900, homes)[:, None, None]
    wh = level * shape * np.exp(rng.normal(0, noise, (homes, days, 48)))
    return np.rint(wh)


def known_homes(wh: Floats, kernel: Any = None, first: int = 19_000) -> States:
    """States that have seen these days."""
    states = new_states(len(wh))
    options = {} if kernel is None else {"kernel": kernel}
    for d in range(wh.shape[1]):
        segments = Segments.of_curves(first + d, wh[:, d])
        learn(states, segments, score(states, segments, **options), **options)
    return states
