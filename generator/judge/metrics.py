"""What curves are judged by: features of days and weeks, and distances between two sets.

The features are those of `generator_sax.md`, section 4: 61 of a day, 70 of a week.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def day_features(wh: Floats) -> npt.NDArray[np.float32]:
    """float32[n, slots + 13] of days float[n, slots] in Wh."""
    x = np.asarray(wh, np.float32)
    step = np.diff(x, axis=1)
    order = np.sort(x, axis=1)
    slots = x.shape[1]
    mean, sd = x.mean(axis=1), x.std(axis=1)
    high = order[:, -1]
    centred = x - mean[:, None]
    same = (centred[:, 1:] * centred[:, :-1]).mean(axis=1) / np.maximum(sd**2, 1e-6)
    extra = [
        mean * slots,
        high,
        x.argmax(axis=1),
        mean / np.maximum(high, 1e-6),
        step.max(axis=1),
        step.min(axis=1),
        np.abs(step).mean(axis=1),
        sd,
        order[:, 0],
        order[:, slots // 10],
        order[:, slots // 2],
        np.median(np.abs(step), axis=1),
        same,
    ]
    return np.column_stack([x, *extra]).astype(np.float32)


def week_features(wh: Floats) -> npt.NDArray[np.float32]:
    """float32[n, 70] of weeks float[n, 7, slots] (Monday first) in Wh."""
    x = np.asarray(wh, np.float32)
    n, _, slots = x.shape
    energy, peak, low = x.sum(axis=2), x.max(axis=2), np.sort(x, axis=2)[:, :, slots // 10]
    centred = x - x.mean(axis=2, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=2)) + 1e-6
    near = (centred[:, 1:] * centred[:, :-1]).sum(axis=2) / (norm[:, 1:] * norm[:, :-1])
    shape = x.mean(axis=1).reshape(n, 24, -1).sum(axis=2)
    spread = x.std(axis=1).reshape(n, 12, -1).mean(axis=2)
    flat = x.reshape(n, -1)
    extra = [
        energy.std(axis=1) / (energy.mean(axis=1) + 1e-6),
        peak.std(axis=1),
        low.std(axis=1),
        np.abs(np.diff(energy, axis=1)).mean(axis=1),
        energy[:, 5:].mean(axis=1) / (energy[:, :5].mean(axis=1) + 1e-6),
        flat.max(axis=1),
        _same(flat, 1),
    ]
    return np.column_stack(
        [
            *(energy, peak, low, near, shape[:, ::2] + shape[:, 1::2], spread),
            *(_same(flat, slots), *extra),
        ]
    ).astype(np.float32)


def _same(flat: Floats, lag: int) -> npt.NDArray[np.float32]:
    c = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray((c[:, lag:] * c[:, :-lag]).mean(axis=1) / ((c**2).mean(axis=1) + 1e-6))


def autocorrelation(wh: Floats, lag: int) -> npt.NDArray[np.float64]:
    """float64[homes] at `lag` slots of float[homes, days, slots]; NaN days left out."""
    flat = np.asarray(wh, np.float64).reshape(len(wh), -1)
    mean = np.nanmean(flat, axis=1, keepdims=True)
    c = flat - mean
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nanmean(c[:, lag:] * c[:, :-lag], axis=1) / np.nanmean(c**2, axis=1))


def ks(a: Floats, b: Floats) -> float:
    """Kolmogorov and Smirnov's distance of two samples."""
    a, b = np.sort(np.ravel(a)), np.sort(np.ravel(b))
    both = np.concatenate([a, b])
    gap = np.searchsorted(a, both, "right") / a.size - np.searchsorted(b, both, "right") / b.size
    return float(np.abs(gap).max())


def coincidence(
    wh: Floats, sizes: tuple[int, ...] = (1, 10, 50, 200), draws: int = 40, seed: int = 0
) -> dict[int, float]:
    """N → highest mean load of N homes drawn together, over their mean (averaged over draws).

    wh: float[homes, days, slots], NaN days ignored. "After-diversity maximum demand" of N homes.
    """
    rng = np.random.default_rng(seed)
    out = {}
    for n in sizes:
        if n > len(wh):
            continue
        found = []
        for _ in range(draws):
            some = wh[rng.choice(len(wh), n, replace=False)]
            with np.errstate(invalid="ignore"):
                total = some.sum(axis=0)
            total = total[~np.isnan(total[:, 0])]
            if total.size and total.mean() > 0:
                found.append(float(total.max() / total.mean()))
        if found:
            out[n] = float(np.mean(found))
    return out


def lively(days: Floats) -> Floats:
    """Days that are not nearly constant: distances between flat days say nothing."""
    moves: npt.NDArray[np.bool_] = days.std(axis=1) > 0.2 * np.maximum(days.mean(axis=1), 1e-6)
    return days[moves]


def closest_day(train: Floats, asked: Floats, most: int = 1500, seed: int = 0) -> float:
    """5 % quantile of the distance (Wh) from days asked to the closest training day."""
    known = lively(np.asarray(train, np.float32))
    some = lively(np.asarray(asked, np.float32))
    some = some[np.random.default_rng(seed).permutation(len(some))[:most]]
    square = (known**2).sum(axis=1)
    nearest = []
    for at in range(0, len(some), 250):
        x = some[at : at + 250]
        gap = square[None] - 2 * x @ known.T + (x**2).sum(axis=1)[:, None]
        nearest.append(np.sqrt(np.maximum(gap.min(axis=1), 0)))
    return float(np.quantile(np.concatenate(nearest), 0.05))


def days_in(wh: Floats) -> Floats:
    """float[n, slots], the days there are of float[homes, days, slots]."""
    return wh[~np.isnan(wh[:, :, 0])]


def weeks_in(wh: Floats, days: npt.NDArray[np.int32]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """(float[n, 7, slots] whole weeks from Monday on, int64[n] their homes)."""
    found, homes = [], []
    for i in np.flatnonzero((days.astype(np.int64) + 3) % 7 == 0):
        if i + 6 < len(days) and days[i + 6] - days[i] == 6:
            whole = np.flatnonzero(~np.isnan(wh[:, i : i + 7, 0]).any(axis=1))
            found.append(wh[whole, i : i + 7])
            homes.append(whole)
    if not found:
        return np.empty((0, 7, wh.shape[2]), wh.dtype), np.empty(0, np.int64)
    return np.concatenate(found), np.concatenate(homes)
