"""Words on the household's own scale: what z-normalising each day hides, its level, stays.

A day's segments are compared with all segments of the home, in log(W + a tenth of the home's
mean): a day without load spells a row of a's, one of treble load leans to the end of the
alphabet. For energy this is what counts (Miller, Nagy, Schlueter, "Automated daily pattern
filtering", 2015, leave the day's normalisation out for the same reason).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models import sax_kernels
from models.alphabet import gaussian_breakpoints, learned_breakpoints
from models.sax import Words, check_segments, paa, words_of_means

OFFSET = 0.1
"""Of the home's mean: below it differences of load count little."""
LEAST = 1.0
"""Wh a slot taken as a home's mean at least: a dead home's scale."""


@dataclass(frozen=True)
class HouseholdScale:
    """Scales of homes, and the breakpoints they share.

    level: float64[homes], mean Wh a slot. base: float64[homes, 2], mean and deviation of the log
    of the home's segments. breakpoints: float64[alphabet - 1].
    """

    level: npt.NDArray[np.float64]
    base: npt.NDArray[np.float64]
    breakpoints: npt.NDArray[np.float64]

    @classmethod
    def learn(
        cls,
        curves: npt.ArrayLike,
        home: npt.ArrayLike,
        segments: int = 12,
        alphabet: int = 8,
        *,
        learned: bool = True,
    ) -> HouseholdScale:
        """Scales from whole or gappy days float[n, slots], home int[n] saying whose each is.

        learned: breakpoints are quantiles over all homes, so that symbols are equally frequent;
        else Gaussian. A home without any reading has the scale (0, 1) at `LEAST`.
        """
        means, whose = paa(curves, check_segments(segments)), np.asarray(home)
        homes = int(whose.max()) + 1 if whose.size else 0
        level = np.maximum(_mean_by(means, whose, homes), LEAST)
        logs = _logs(means, level[whose])
        mean = _mean_by(logs, whose, homes)
        sd = np.sqrt(_mean_by((logs - mean[whose, None]) ** 2, whose, homes))
        base = np.column_stack([mean, np.where(sd > 0, sd, 1.0)])
        z = (logs - base[whose, :1]) / base[whose, 1:]
        edges = learned_breakpoints(z, alphabet) if learned else gaussian_breakpoints(alphabet)
        return cls(level, base, edges)

    def words(
        self, curves: npt.ArrayLike, home: npt.ArrayLike, segments: int, kernel: Any = sax_kernels
    ) -> Words:
        """uint64[n], the words of days float[n, slots] of homes int[n]."""
        whose = np.asarray(home)
        logs = _logs(paa(curves, segments), self.level[whose])
        return words_of_means(logs, self.base[whose], self.breakpoints, kernel=kernel)


def _logs(
    means: npt.NDArray[np.float64], level: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return np.log(np.maximum(means, 0.0) + OFFSET * level[:, None])


def _mean_by(
    values: npt.NDArray[np.float64], whose: npt.NDArray[Any], homes: int
) -> npt.NDArray[np.float64]:
    """Mean by home of float64[n, segments], NaN left out; 0 where a home has nothing."""
    known = ~np.isnan(values)
    total = np.bincount(whose, np.where(known, values, 0.0).sum(axis=1), minlength=homes)
    count = np.bincount(whose, known.sum(axis=1), minlength=homes)
    return total / np.maximum(count, 1)
