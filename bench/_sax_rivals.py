"""Scores to compare with: each sees a home's past only, and learns from polluted days."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from models import sax
from models.alphabet import gaussian_breakpoints

Floats = npt.NDArray[np.float64]
MEMORY: Final = 1 / 28
_SEGMENTS, _ALPHABET, _WORDS, _DAYS = 8, 8, 14, 28


def over_days(wh: Floats, step: Callable[[int, npt.NDArray[np.bool_]], Floats]) -> Floats:
    """float64[homes, days]: step(day, which homes have it) for each day in order."""
    out = np.full(wh.shape[:2], np.nan)
    for d in range(wh.shape[1]):
        there = ~np.isnan(wh[:, d, 0])
        if there.any():
            out[there, d] = step(d, there)[there]
    return out


class _Gaussian:
    """Exponentially weighted mean and variance of columns."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean, self.var, self.n = np.zeros(shape), np.full(shape, 0.3), np.zeros(shape[0])

    def surprise(self, x: Floats, there: npt.NDArray[np.bool_]) -> Floats:
        """Half squared deviations plus log deviations, summed; then learn."""
        v = self.var + 0.02
        out = (0.5 * (x - self.mean) ** 2 / v + 0.5 * np.log(v)).sum(axis=1)
        self.n += there
        w = (np.maximum(MEMORY, 1 / np.maximum(self.n, 1)) * there)[:, None]
        first = (there & (self.n == 1))[:, None]
        e = np.where(first, 0.0, np.where(there[:, None], x, self.mean) - self.mean)
        self.mean = np.where(first, x, self.mean + w * e)
        self.var = np.where(first, 0.3, self.var + w * ((1 - w) * e * e - self.var))
        return np.asarray(out)


def energy_z(wh: Floats) -> Floats:
    """Squared deviation of the log of the day's energy."""
    stats = _Gaussian((len(wh), 1))
    logs = np.log(np.nan_to_num(wh).sum(axis=2) + 10.0)
    return over_days(wh, lambda d, there: stats.surprise(logs[:, d : d + 1], there))


def diagonal_gaussian(wh: Floats) -> Floats:
    """Independent normals for the log of each of eight segments' means."""
    homes, days, _ = wh.shape
    means = np.nan_to_num(wh).reshape(homes, days, _SEGMENTS, -1).mean(axis=3)
    level = np.nanmean(wh, axis=(1, 2))
    logs = np.log(means + 0.1 * level[:, None, None])
    stats = _Gaussian((homes, _SEGMENTS))
    return over_days(wh, lambda d, there: stats.surprise(logs[:, d], there))


def nearest_raw(wh: Floats) -> Floats:
    """Distance to the nearest of the last 28 days, in log W."""
    logs = np.log(np.nan_to_num(wh) + 0.1 * np.nanmean(wh, axis=(1, 2))[:, None, None])
    past = np.full((len(wh), _DAYS, wh.shape[2]), np.nan)

    def step(d: int, there: npt.NDArray[np.bool_]) -> Floats:
        gap = ((past - logs[:, d, None]) ** 2).sum(axis=2)
        out = np.sqrt(np.nanmin(np.where(np.isnan(gap), np.inf, gap), axis=1))
        past[there] = np.concatenate([past[there, 1:], logs[there, d, None]], axis=1)
        return np.where(np.isfinite(out), out, np.nan)

    return over_days(wh, step)


def textbook_sax(wh: Floats) -> Floats:
    """MINDIST to the nearest of the last 14 words, each day z-normalised by itself."""
    homes, days, slots = wh.shape
    flat = sax.words(np.nan_to_num(wh).reshape(-1, slots), _SEGMENTS, _ALPHABET)
    words, edges = flat.reshape(homes, days), gaussian_breakpoints(_ALPHABET)
    past = np.zeros((homes, _WORDS), np.uint64)
    known = np.zeros((homes, _WORDS), bool)

    def step(d: int, there: npt.NDArray[np.bool_]) -> Floats:
        far = sax.mindist(words[:, d, None], past, slots, _SEGMENTS, edges)
        out = np.where(known, far, np.inf).min(axis=1)
        past[there] = np.column_stack([past[there, 1:], words[there, d]])
        known[there] = np.column_stack([known[there, 1:], np.ones(there.sum(), bool)])
        return np.where(np.isfinite(out), out, np.nan)

    return over_days(wh, step)


RIVALS: Final = {
    "textbook SAX, MINDIST": textbook_sax,
    "energy of the day": energy_z,
    "nearest of 28 raw days": nearest_raw,
    "diagonal Gaussian": diagonal_gaussian,
}
