"""Judges that learn: a classifier that tells synthetic from real, and a forecaster.

scikit-learn is needed here only, and imported where it is used.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from generator.judge import metrics
from wattstorm.errors import UsageError

Floats = npt.NDArray[np.floating]
Mask = npt.NDArray[np.bool_]
Days = npt.NDArray[np.int32]

TREES: Final = 150
MOST: Final = 12_000
_FORECAST_ROWS: Final = 60_000


def _boosting() -> Any:
    try:
        from sklearn import ensemble
    except ImportError as error:
        raise UsageError(
            "validation needs scikit-learn, which is not installed",
            "pip install -r requirements/dev.txt",
        ) from error
    return ensemble


def auc(real: tuple[Floats, Floats], other: tuple[Floats, Floats], seed: int) -> float:
    """Area under the ROC curve of a classifier; each pair is (to learn from, to be tested on)."""
    rng = np.random.default_rng(seed)
    a, c = (x[rng.permutation(len(x))[:MOST]] for x in real)
    b, d = (x[rng.permutation(len(x))[:MOST]] for x in other)
    if min(len(a), len(b), len(c), len(d)) < 20:
        return float("nan")
    model = _boosting().HistGradientBoostingClassifier(max_iter=TREES, random_state=0)
    model.fit(np.r_[a, b], np.r_[np.zeros(len(a)), np.ones(len(b))])
    score = model.predict_proba(np.r_[c, d])[:, 1]
    return rank_auc(score[: len(c)], score[len(c) :])


def rank_auc(low: Floats, high: Floats) -> float:
    """Probability that a value of `high` is above one of `low` (Mann, Whitney 1947).

    >>> rank_auc(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.875
    """
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, "left") + np.searchsorted(ordered, high, "right")
    return float(below.mean() / 2 / len(low))


def two_samples(
    real: Floats, learn: Mask, other: Floats, theirs: Mask, days: Days, other_days: Days, seed: int
) -> dict[str, float]:
    """c2st_day and c2st_week: how well synthetic is told from real (0.5: not at all).

    real, other: float[homes, days, slots]; learn, theirs: homes that the classifier learns from.
    """
    out = {}
    parts = [
        [metrics.day_features(metrics.days_in(x[m])) for m in (mask, ~mask)]
        for x, mask in ((real, learn), (other, theirs))
    ]
    out["c2st_day"] = auc((parts[0][0], parts[0][1]), (parts[1][0], parts[1][1]), seed)
    weeks = [
        [metrics.week_features(metrics.weeks_in(x[m], d)[0]) for m in (mask, ~mask)]
        for x, mask, d in ((real, learn, days), (other, theirs, other_days))
    ]
    out["c2st_week"] = auc((weeks[0][0], weeks[0][1]), (weeks[1][0], weeks[1][1]), seed)
    return out


def forecast_error(train: Floats, test: Floats, train_days: Days, test_days: Days) -> float:
    """Mean absolute error, Wh, of a next-day forecaster learnt on `train`, on real homes `test`."""
    x, y = _pairs(train, train_days)
    model = _boosting().HistGradientBoostingRegressor(
        loss="absolute_error", max_iter=80, random_state=0
    )
    model.fit(x, y)
    x, y = _pairs(test, test_days)
    return float(np.abs(model.predict(x) - y).mean())


def _pairs(wh: Floats, days: Days) -> tuple[Floats, Floats]:
    """(features, tomorrow's value): today's same slot and its neighbours, today's mean, clock."""
    together = np.flatnonzero(np.diff(days) == 1)
    today, tomorrow = wh[:, together], wh[:, together + 1]
    homes, at = np.nonzero(~np.isnan(today[:, :, 0]) & ~np.isnan(tomorrow[:, :, 0]))
    rng = np.random.default_rng(0)
    slots = wh.shape[2]
    some = rng.integers(0, max(len(homes), 1), _FORECAST_ROWS)
    slot = rng.integers(0, slots, _FORECAST_ROWS)
    homes, at = homes[some], at[some]
    curve = today[homes, at]
    row = np.arange(len(slot))
    weekday = (days[together + 1][at].astype(np.int64) + 3) % 7
    x = np.column_stack(
        [
            *(curve[row, slot], curve[row, slot - 1], curve[row, (slot + 1) % slots]),
            *(curve.mean(axis=1), curve.max(axis=1), curve.min(axis=1), slot, weekday),
        ]
    )
    return x, tomorrow[homes, at, slot]
