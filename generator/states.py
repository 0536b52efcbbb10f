"""Day states: how a home's day differs from its other days, and how that moves from day to day.

A day is described by its PARTS: mean rank of each three hours, and the base (mean rank of
the lowest quarter of the slots). As normal scores they are, per home, a Gaussian vector
z = mixing @ x, whose components x are independent of each other (principal
components; the first is how full the day is). Each component is a sum of

    weeks   a walk: a line between two draws a fortnight apart
    days    a Markov step from day to day, of which half is kept
    alone   the day's own draw

and the first one follows, besides, a driver common to all homes (season, weather, date).
The step forgets after DAYS_BACK days and the walk knows two draws, so a state is known from a
bounded look-back: any day can be drawn alone (docs/adr/0005-generator.md).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from generator.noise import draw, mix, normal

Floats = npt.NDArray[np.floating]

DAYS_BACK: Final = 6
FADE: Final = 0.5
WALK_DAYS: Final = 14
_FAST_NORM: Final = float(1 / np.sqrt(sum(FADE ** (2 * j) for j in range(DAYS_BACK))))
# purposes of draws, see `noise.draw`; slots of a day use those below 256
WALK, FAST, ALONE = 300, 350, 400
COMPONENT, SEAM, OFF, DRIVER = 20, 3, 7, 9
PARTS: Final = 9

PHI_SIZE: Final = 1024
PHI_REACH: Final = 4.0
PHI: Final = np.array(
    [NormalDist().cdf((i + 0.5) / PHI_SIZE * 8 - 4) for i in range(PHI_SIZE)], np.float64
)
"""Φ at PHI_SIZE points from -4 to 4: fixed numbers, the same bits on every machine."""


@njit(cache=True, inline="always")
def phi(z):  # type: ignore[no-untyped-def]
    """Φ(z), the rank of a normal score."""
    at = np.int64((z + PHI_REACH) * (PHI_SIZE / 8.0))
    return PHI[min(max(at, 0), PHI_SIZE - 1)]


@njit(cache=True, inline="always")
def _walk(key, day, which):  # type: ignore[no-untyped-def]
    at = day + np.int64(mix(key + np.uint64(which)) % np.uint64(WALK_DAYS))
    knot, place = at // WALK_DAYS, (at % WALK_DAYS) / WALK_DAYS
    a, b = normal(draw(key, knot, WALK + which)), normal(draw(key, knot + 1, WALK + which))
    return ((1.0 - place) * a + place * b) / np.sqrt((1.0 - place) ** 2 + place**2)


@njit(cache=True)
def own_part(key, day, which, weeks, days):  # type: ignore[no-untyped-def]
    """Component `which` of a meter's day: variance 1, of it `weeks` and `days` remembered."""
    total = np.sqrt(max(1.0 - weeks - days, 0.0)) * normal(draw(key, day, ALONE + which))
    if weeks > 0:
        total += np.sqrt(weeks) * _walk(key, day, which)
    if days > 0:
        fast, fade = 0.0, 1.0
        for j in range(DAYS_BACK):
            fast += fade * normal(draw(key, day - j, FAST + which))
            fade *= FADE
        total += np.sqrt(days) * fast * _FAST_NORM
    return total


def scores(ranks: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Normal scores Φ⁻¹ of ranks in (0, 1)."""
    grid = np.linspace(-3.5, 3.5, 1401)
    cdf = np.array([NormalDist().cdf(z) for z in grid])
    return np.asarray(np.interp(np.asarray(ranks, float), cdf, grid))


def score_within(values: Floats) -> npt.NDArray[np.float64]:
    """Normal scores of values among themselves; NaN stays NaN."""
    out = np.full(values.shape, np.nan)
    have = ~np.isnan(values)
    n = int(have.sum())
    if n:
        order = values[have].argsort(kind="stable").argsort(kind="stable")
        out[have] = scores((order + 0.5) / n)
    return out


def shapes(lags: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64[2, lags]: autocorrelations of the walk (over all phases) and of the fast part."""
    place = (np.arange(WALK_DAYS) + 0.0) / WALK_DAYS
    weights = {}
    for i, p in enumerate(place):
        norm = np.hypot(1 - p, p)
        weights[i] = ((1 - p) / norm, p / norm)
    walk = []
    for lag in lags:
        total = 0.0
        for i in range(WALK_DAYS):
            j, k = (i + int(lag)) % WALK_DAYS, (i + int(lag)) // WALK_DAYS
            a, b = weights[i], weights[j]
            for x in range(2):
                for y in range(2):
                    total += a[x] * b[y] * (x == y + k)
        walk.append(total / WALK_DAYS)
    fade = FADE ** np.arange(DAYS_BACK)
    fast = [
        (fade[int(k) :] * fade[: max(DAYS_BACK - int(k), 0)]).sum() / (fade**2).sum() for k in lags
    ]
    return np.array([walk, fast])


def fit_shares(score: Floats) -> tuple[float, float]:
    """(weeks, days): shares of a state's variance, from its autocorrelation at some lags.

    score: float[..., days], normal scores, NaN where there is none; rows are put together.
    """
    rows = np.atleast_2d(score)
    found, weight = [], []
    for lag in _LAGS:
        product = rows[:, lag:] * rows[:, :-lag]
        n = int((~np.isnan(product)).sum())
        found.append(float(np.nanmean(product)) if n else 0.0)
        weight.append(np.sqrt(n))
    basis = _SHAPES.T * np.array(weight)[:, None]
    error = ((_SHARES @ basis.T - np.array(found) * np.array(weight)) ** 2).sum(axis=1)
    weeks, days = _SHARES[int(error.argmin())]
    return float(weeks), float(days)


_LAGS: Final = range(1, 15)
_SHAPES: Final = shapes(np.array(_LAGS))
_SHARES: Final = np.array([(a, b) for a in np.arange(19) / 20 for b in np.arange(19) / 20 if a + b <= 0.9])
