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

from generator.noise import draw, normal

Floats = npt.NDArray[np.floating]

DAYS_BACK: Final = 5
FADE: Final = 0.5
WALK_DAYS: Final = 14
_FADES: Final = FADE ** np.arange(DAYS_BACK) / np.sqrt((FADE ** (2.0 * np.arange(DAYS_BACK))).sum())
_PLACE: Final = np.arange(WALK_DAYS) / WALK_DAYS
_WALK_FROM: Final = (1 - _PLACE) / np.hypot(1 - _PLACE, _PLACE)
_WALK_TO: Final = _PLACE / np.hypot(1 - _PLACE, _PLACE)
_20, _1023 = np.uint64(20), np.uint64(1023)
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
    return PHI[min(max(at, 0), PHI_SIZE - 1)]  # type: ignore[index]


@njit(cache=True, inline="always")
def walk(key, day, which):  # type: ignore[no-untyped-def]
    """A line between two draws a fortnight apart, of variance 1 on every day."""
    at = day + np.int64((key >> _20) & _1023) + 97 * which
    knot = at // WALK_DAYS
    a, b = normal(draw(key, knot, WALK + which)), normal(draw(key, knot + 1, WALK + which))
    place = at - knot * WALK_DAYS
    return _WALK_FROM[place] * a + _WALK_TO[place] * b


@njit(cache=True, inline="always")
def fast(key, day, which):  # type: ignore[no-untyped-def]
    """The Markov step from day to day, of variance 1; forgets after DAYS_BACK days."""
    total = 0.0
    for j in range(DAYS_BACK):
        total += _FADES[j] * normal(draw(key, day - j, FAST + which))
    return total


@njit(cache=True, inline="always")
def own_part(key, day, which, weigh):  # type: ignore[no-untyped-def]
    """Component `which` of a meter's day, variance 1. weigh: float64[3], see `weights`."""
    total = weigh[2] * normal(draw(key, day, ALONE + which))
    if weigh[0] > 0:
        total += weigh[0] * walk(key, day, which)
    if weigh[1] > 0:
        total += weigh[1] * fast(key, day, which)
    return total


@njit(cache=True, inline="always")
def three_days(key, day, which, weigh):  # type: ignore[no-untyped-def]
    """`own_part` of the day before, the day, and the day after; draws are shared."""
    a = weigh[2] * normal(draw(key, day - 1, ALONE + which))
    b = weigh[2] * normal(draw(key, day, ALONE + which))
    c = weigh[2] * normal(draw(key, day + 1, ALONE + which))
    if weigh[0] > 0:
        a += weigh[0] * walk(key, day - 1, which)
        b += weigh[0] * walk(key, day, which)
        c += weigh[0] * walk(key, day + 1, which)
    if weigh[1] > 0:
        x, y, z = 0.0, 0.0, 0.0
        newest = normal(draw(key, day + 1, FAST + which))
        new = normal(draw(key, day, FAST + which))
        for j in range(DAYS_BACK):
            old = normal(draw(key, day - 1 - j, FAST + which))
            x += _FADES[j] * old
            y += _FADES[j] * new
            z += _FADES[j] * newest
            newest, new = new, old
        a += weigh[1] * x
        b += weigh[1] * y
        c += weigh[1] * z
    return a, b, c


def weights(shares: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """float64[..., 3]: factors of walk, fast and alone, of shares [..., 2] of the variance."""
    given = np.asarray(shares, np.float64)
    alone = np.maximum(1 - given.sum(axis=-1, keepdims=True), 0)
    return np.asarray(np.sqrt(np.concatenate([given, alone], axis=-1)))


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
    ends = [(float(a), float(b)) for a, b in zip(_WALK_FROM, _WALK_TO, strict=True)]
    slow = []
    for lag in lags:
        total = 0.0
        for i in range(WALK_DAYS):
            j, k = (i + int(lag)) % WALK_DAYS, (i + int(lag)) // WALK_DAYS
            a, b = ends[i], ends[j]
            for x in range(2):
                for y in range(2):
                    total += a[x] * b[y] * (x == y + k)
        slow.append(total / WALK_DAYS)
    fade = FADE ** np.arange(DAYS_BACK)
    steps = [
        (fade[int(k) :] * fade[: max(DAYS_BACK - int(k), 0)]).sum() / (fade**2).sum() for k in lags
    ]
    return np.array([slow, steps])


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
_SHARES: Final = np.array(
    [(a, b) for a in np.arange(19) / 20 for b in np.arange(19) / 20 if a + b <= 0.9]
)
