"""Figures of merit. y, point: float64[days, S]; quantiles: float64[L, days, S]; NaN is left out."""

from __future__ import annotations

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.intervals import LEVELS

WORST = 30
"""Days in a row of the worst window."""


def mape(y: Floats, point: Floats) -> float:
    """Mean absolute percentage error, in %; slots without load are left out."""
    share = np.abs(point - y)[y > 0] / y[y > 0]
    return 100 * float(np.nanmean(share))


def rmse(y: Floats, point: Floats) -> float:
    return float(np.sqrt(np.nanmean((point - y) ** 2)))


def bias(y: Floats, point: Floats) -> float:
    """Mean of forecast less load: above 0 is too high."""
    return float(np.nanmean(point - y))


def absolute_share(y: Floats, point: Floats) -> float:
    """Sum of absolute errors over the sum of loads, in %: for small groups, where a MAPE lies."""
    there = np.isfinite(y) & np.isfinite(point)
    return 100 * float(np.abs(point - y)[there].sum() / y[there].sum())


def pinball(y: Floats, quantiles: Floats) -> float:
    """Mean pinball loss over the nine levels, in % of the mean load."""
    over = y - quantiles
    loss = np.maximum(LEVELS[:, None, None] * over, (LEVELS[:, None, None] - 1) * over)
    return 100 * float(np.nanmean(loss) / np.nanmean(y))


def crps(y: Floats, quantiles: Floats) -> float:
    """Continuous ranked probability score, in % of the mean load: twice the integral of the pinball
    loss over the level, by the trapezoid between the nine levels, flat beyond them."""
    over = y - quantiles
    loss = np.maximum(LEVELS[:, None, None] * over, (LEVELS[:, None, None] - 1) * over)
    mean = np.nanmean(loss.reshape(len(LEVELS), -1), axis=1)
    whole = np.trapezoid(mean, LEVELS) + LEVELS[0] * mean[0] + (1 - LEVELS[-1]) * mean[-1]
    return 200 * float(whole / np.nanmean(y))


def covered(y: Floats, quantiles: Floats, share: float) -> Floats:
    """[days, S]: 1 where the load is in the central interval of `share`, 0 where not, NaN."""
    low, high = interval(quantiles, share)
    inside = ((y >= low) & (y <= high)).astype(np.float64)
    return np.where(np.isfinite(y) & np.isfinite(low), inside, np.nan)


def interval(quantiles: Floats, share: float) -> tuple[Floats, Floats]:
    """The quantiles that bound the central interval of 0.5, 0.8, 0.9 or 0.95."""
    low = int(np.argmin(np.abs(LEVELS - (1 - share) / 2)))
    return quantiles[low], quantiles[len(LEVELS) - 1 - low]


def coverage(y: Floats, quantiles: Floats, share: float) -> tuple[float, float]:
    """% covered over all days, and over the worst WORST days in a row."""
    inside = covered(y, quantiles, share)
    day = np.nanmean(inside, axis=1)
    day = day[np.isfinite(day)]
    window = np.convolve(day, np.ones(WORST) / WORST, "valid") if len(day) >= WORST else day
    return 100 * float(np.nanmean(inside)), 100 * float(window.min())


def width(y: Floats, quantiles: Floats, share: float) -> float:
    """Mean width of the central interval, in % of the mean load."""
    low, high = interval(quantiles, share)
    there = np.isfinite(y) & np.isfinite(low)
    return 100 * float((high - low)[there].mean() / y[there].mean())
