"""Our score through polluted days, day by day as a stream would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.calibration import Cohorts, meter_p_values
from models.score import Segments, learn, score
from models.score_state import new_states
from models.score_weights import FEATURES

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """float64[homes, days]: value, its p-value by meter and among peers; features beside."""

    value: Floats
    p_meter: Floats
    p_cohort: Floats
    features: Floats


def play(wh: Floats) -> Played:
    """All homes are one cohort. wh: float64[homes, days, slots], NaN: no day."""
    homes, days, _ = wh.shape
    states, cohorts = new_states(homes), Cohorts.none(1)
    peers = np.zeros(homes, np.int64)
    value, meter, cohort = (np.full((homes, days), np.nan) for _ in range(3))
    features = np.full((homes, days, FEATURES), np.nan)
    for d in range(days):
        segments = Segments.of_curves(d, wh[:, d])
        scores = score(states, segments)
        known = ~np.isnan(scores.value)
        value[:, d], features[:, d] = scores.value, scores.features
        meter[known, d] = meter_p_values(scores)[known]
        cohort[known, d] = cohorts.p_values(scores, peers)[known]
        if d % 7 == 0 and cohorts.counts.sum() > 30_000:
            cohorts.fade()
        cohorts.add(scores, peers)
        learn(states, segments, scores)
    return Played(value, meter, cohort, features)
