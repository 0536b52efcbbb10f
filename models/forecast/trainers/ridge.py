"""Fits the ridge on random features: numpy alone, its penalty by cross-validation per slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.ridge import CLAMP, Ridge, inputs
from wattstorm.errors import TrainingError

FEATURES = 150
SPREAD = 0.1
"""Deviation of the random weights: near 0 the features are straight lines."""
FEWEST = 60
"""Days of a slot: with fewer, cross-validation chooses among noise."""
PENALTIES = 10.0 ** np.arange(-1, 3.1, 0.5)
CAUTION = 1.4
"""What a parameter counts in generalised cross-validation; above 1 against overfitting."""


def solve(h: Floats, y: Floats) -> tuple[Floats, float]:
    """Weights of centred h float64[n, k], and the residuals' deviation at the penalty that
    generalised cross-validation (Golub, Heath, Wahba, 1979) likes best."""
    values, vectors = np.linalg.eigh(h.T @ h)
    values = np.maximum(values, 0.0)
    onto = vectors.T @ (h.T @ y)
    seen = h @ vectors
    best = (np.inf, np.zeros(h.shape[1]), 0.0)
    for penalty in PENALTIES:
        used = CAUTION * float((values / (values + penalty)).sum()) / len(y)
        rest = y - seen @ (onto / (values + penalty))
        score = float(rest @ rest) / (1 - used) ** 2 if used < 1 else np.inf
        if score < best[0]:
            best = (score, vectors @ (onto / (values + penalty)), float(rest.std()))
    if not np.isfinite(best[0]):
        what = f"{len(y)} days are too few for a ridge on {h.shape[1]} features"
        raise TrainingError(what, "give a longer period")
    return best[1], best[2]


def train(
    names: tuple[str, ...],
    values: Mapping[str, Floats],
    load: Floats,
    seed: int,
    tell: Callable[[int], Any] = lambda slot: None,
) -> tuple[Ridge, dict[str, Floats]]:
    """Fit on float64[days, slots]; also the reference rows. `names`: the covariates it reads."""
    names = (*names, "toy", "day_type")
    x = np.stack([values[n] for n in names], axis=-1)
    raw = inputs(names, x)
    known = np.isfinite(raw).all(axis=-1) & np.isfinite(load)
    few = int(known.sum(axis=0).argmin())
    if known[:, few].sum() < FEWEST:
        what = f"slot {few} has {known[:, few].sum()} days with everything known, a ridge needs "
        raise TrainingError(f"{what}{FEWEST}", "give a longer period, or other columns")
    centre = raw[known].mean(axis=0)
    scale = raw[known].std(axis=0) + 1e-9
    mute = [names.index("toy"), names.index("day_type")]  # they enter as waves and indicators
    scale[mute] = 1e12
    random = np.random.default_rng(seed)
    weights = random.normal(size=(raw.shape[-1], FEATURES)) * SPREAD
    bias = random.normal(size=FEATURES)
    z = np.clip((raw - centre) / scale, -CLAMP, CLAMP)
    slots = load.shape[1]
    beta, constant, sd = (
        np.zeros((slots, raw.shape[-1] + FEATURES)),
        np.zeros(slots),
        np.zeros(slots),
    )
    for slot in range(slots):
        rows = known[:, slot]
        h = np.concatenate([z[rows, slot], np.tanh(z[rows, slot] @ weights + bias)], axis=-1)
        middle, level = h.mean(axis=0), load[rows, slot].mean()
        beta[slot], sd[slot] = solve(h - middle, load[rows, slot] - level)
        constant[slot] = level - middle @ beta[slot]
        tell(slot)
    one = np.zeros((slots, 1))
    model = Ridge(names, centre, scale, weights, bias, beta, constant, one, one + 1, sd)
    effect = np.where(known[..., None], model.effects(x), np.nan)
    fitted = Ridge(
        *(names, centre, scale, weights, bias, beta, constant),
        np.nanmean(effect, axis=0),
        np.nanstd(effect, axis=0),
        sd,
    )
    asked = np.array([np.flatnonzero(known[:, s])[[0, -1]] for s in range(slots)])
    rows_x = x[asked, np.arange(slots)[:, None]]
    expected = np.stack([fitted.predict(rows_x[:, i]) for i in range(2)], axis=1)
    return fitted, {"x": rows_x, "expected": expected}
