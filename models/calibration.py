"""Scores → p-values: how often a day without anything wrong would score as high.

The tail comes from real homes (`score_weights.REFERENCE_*`): what is alarmed at p < 0.001 must be
known far into the tail, and the days that a running system sees are polluted with what it is
looking for. A cohort (tariff, power class) brings its own middle, out of counts of its closed
days: the median, which a few per cent of anomalies hardly move. (Its width would be moved: with
6 % of anomalies a width by quartiles understates p by a factor of two and more.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.score import Scores
from models.score_weights import REFERENCE_P, REFERENCE_VALUE

Floats = npt.NDArray[np.float64]
LOW, STEP, BINS = -24.0, 0.05, 960
MIN_VALUES: Final = 2000
"""Values a cohort needs before it has a middle of its own."""
_LOG_P: Final = np.log(REFERENCE_P)


def p_values(value: npt.ArrayLike) -> Floats:
    """float64[n] in (0, 1]: the reference's share of usual days at or above each value.

    Between the table's points log p is linear; beyond the last it falls as it did before, never
    below 1e-9. NaN, which is no score, gives 1.
    """
    x = np.asarray(value, np.float64)
    inside = np.interp(x, REFERENCE_VALUE, _LOG_P)
    slope = (_LOG_P[-1] - _LOG_P[-4]) / (REFERENCE_VALUE[-1] - REFERENCE_VALUE[-4])
    beyond = _LOG_P[-1] + slope * (x - REFERENCE_VALUE[-1])
    p = np.exp(np.where(x > REFERENCE_VALUE[-1], beyond, inside))
    return np.where(np.isnan(x), 1.0, np.maximum(p, 1e-9))


def quantile_of_reference(tail: float) -> float:
    """The value that this share of usual days reaches."""
    return float(np.interp(-np.log(tail), -_LOG_P, REFERENCE_VALUE))


@dataclass
class Cohorts:
    """Counts of scores by cohort: int64[cohorts, BINS]. They add up in any order."""

    counts: npt.NDArray[np.int64]

    @classmethod
    def none(cls, cohorts: int) -> Cohorts:
        return cls(np.zeros((cohorts, BINS), np.int64))

    def add(self, scores: Scores, cohort: npt.ArrayLike) -> None:
        """Count a closed day's scores of meters in cohorts int[meters]; cold ones are left out."""
        use = ~np.isnan(scores.value) & ~scores.cold
        bins = np.clip(((scores.value[use] - LOW) / STEP).astype(np.int64), 0, BINS - 1)
        flat = np.asarray(cohort, np.int64)[use] * BINS + bins
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)

    def fade(self) -> None:
        """Forget an eighth: called as each day begins, it leaves a memory of about a week."""
        self.counts -= self.counts >> 3

    def shifts(self) -> Floats:
        """float64[cohorts], how far each cohort's median lies above the reference's."""
        out = np.zeros(len(self.counts))
        total = self.counts.sum(axis=1)
        edges = LOW + STEP * np.arange(1, BINS + 1)
        for c in np.flatnonzero(total >= MIN_VALUES):
            below = np.cumsum(self.counts[c]) / total[c]
            out[c] = float(np.interp(0.5, below, edges)) - quantile_of_reference(0.5)
        return out

    def p_values(self, scores: Scores, cohort: npt.ArrayLike) -> Floats:
        """float64[meters], p-values among each meter's peers; 1 for meters still cold."""
        shift = self.shifts()[np.asarray(cohort, np.int64)]
        return np.where(scores.cold, 1.0, p_values(scores.value - shift))


def meter_p_values(scores: Scores) -> Floats:
    """float64[meters], p-values by the meter's own scale alone; 1 for meters still cold."""
    return np.where(scores.cold, 1.0, p_values(scores.value))
