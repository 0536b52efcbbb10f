"""What the generator has to beat: models that are no part of it, fitted on the same homes.

    chain_1, chain_16   the classical chain: states of Wh, one transition matrix a slot, for all
                        homes or for each of 16 clusters of homes; days independent
    shuffled            each home's own days, drawn again: no model at all
    copula              Gaussian copula of each home's slots, with one correlation matrix for all
                        and an autoregressive day level

Each takes training homes and days, and returns float32[homes, days, slots], Wh.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from generator.model.habits import kind_of, season_of
from generator.model.homes import Homes
from generator.model.states import score_within, scores

Floats = npt.NDArray[np.float32]
Days = npt.NDArray[np.int32]

STATES: Final = 32


def shuffled(homes: Homes, days: Days, seed: int = 0) -> Floats:
    """Own days of the same kind and season, or of the same kind, or any."""
    rng = np.random.default_rng(seed)
    present, kind, season = homes.present(), kind_of(homes.days), season_of(homes.days)
    out = np.empty((len(homes.ids), len(days), homes.wh.shape[2]), np.float32)
    for d, (k, s) in enumerate(zip(kind_of(days), season_of(days), strict=True)):
        for h in range(len(out)):
            for mask in ((kind == k) & (season == s), kind == k, kind >= 0):
                own = np.flatnonzero(present[h] & mask)
                if own.size:
                    break
            out[h, d] = homes.wh[h, rng.choice(own)]
    return out


def clusters(homes: Homes, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """int64[homes], k-means (Lloyd) on the mean curve of working days and weekends, in logs."""
    kind = kind_of(homes.days)
    mean = [np.nanmean(homes.wh[:, kind == k], axis=1) for k in (0, 1) if (kind == k).any()]
    x = np.log1p(np.nan_to_num(np.concatenate(mean, axis=1)))
    rng = np.random.default_rng(seed)
    centres = x[rng.choice(len(x), min(count, len(x)), replace=False)]
    label = np.zeros(len(x), np.int64)
    for _ in range(30):
        gap = ((x[:, None] - centres[None]) ** 2).sum(axis=2)
        label = gap.argmin(axis=1)
        for c in np.unique(label):
            centres[c] = x[label == c].mean(axis=0)
    return label


def classical(homes: Homes, days: Days, count: int, seed: int = 0) -> Floats:
    """The classical chain with `count` clusters."""
    rng = np.random.default_rng(seed)
    label = clusters(homes, count, seed)
    out = np.empty((len(label), len(days), homes.wh.shape[2]), np.float32)
    for c in np.unique(label):
        own = np.flatnonzero(label == c)
        wh = homes.wh[own][homes.present()[own]]
        out[own] = _walk(wh, own.size * len(days), rng).reshape(own.size, len(days), -1)
    return out


def _walk(wh: Floats, count: int, rng: np.random.Generator) -> Floats:
    """`count` days of a chain fitted on days float32[n, slots]."""
    slots = wh.shape[1]
    edges = np.quantile(wh, np.linspace(0, 1, STATES + 1), axis=0)  # [STATES + 1, slots]
    state = np.empty(wh.shape, np.int64)
    for s in range(slots):
        state[:, s] = np.clip(np.searchsorted(edges[1:-1, s], wh[:, s], "right"), 0, STATES - 1)
    now = rng.choice(state[:, 0], count)
    out = np.empty((count, slots), np.float32)
    for s in range(slots):
        if s:
            move = np.full((STATES, STATES), 0.01)
            np.add.at(move, (state[:, s - 1], state[:, s]), 1)
            upto = np.cumsum(move / move.sum(axis=1, keepdims=True), axis=1)
            now = np.minimum((upto[now] < rng.random(count)[:, None]).sum(axis=1), STATES - 1)
        low, high = edges[now, s], edges[now + 1, s]
        out[:, s] = low + rng.random(count) * (high - low)
    return out


def copula(homes: Homes, days: Days, seed: int = 0) -> Floats:
    """Gaussian copula on each home's slot ranks, with an autoregressive day level."""
    rng = np.random.default_rng(seed)
    present, kind, wanted = homes.present(), kind_of(homes.days), kind_of(days)
    slots = homes.wh.shape[2]
    score = np.full(homes.wh.shape, np.nan)
    for h in range(len(score)):
        for k in (0, 1):
            own = np.flatnonzero(present[h] & (kind == k))
            for s in range(slots):
                score[h, own, s] = score_within(homes.wh[h, own, s].astype(float))
    flat = score[present]
    matrix = np.corrcoef(flat.T)
    level = np.nanmean(score, axis=2)
    pair = level[:, 1:] * level[:, :-1]
    rho = float(np.clip(np.nanmean(pair) / np.nanmean(level**2), 0, 0.95))
    root = np.linalg.cholesky(matrix + 1e-6 * np.eye(slots))
    direction = matrix.mean(axis=0) / np.sqrt(matrix.mean())  # a day's level moves all its slots
    grid = np.linspace(0.0005, 0.9995, 500)
    out = np.empty((len(score), len(days), slots), np.float32)
    for h in range(len(score)):
        z = rng.standard_normal((len(days), slots)) @ root.T
        own_level = z.mean(axis=1) / np.sqrt(matrix.mean())
        steady, now = np.empty(len(days)), rng.standard_normal()
        for d in range(len(days)):
            now = rho * now + np.sqrt(1 - rho**2) * rng.standard_normal()
            steady[d] = now
        z += (steady - own_level)[:, None] * direction
        rank = np.interp(z, scores(grid), grid)
        for k in (0, 1):
            own = np.flatnonzero(present[h] & (kind == k))
            own = own if own.size else np.flatnonzero(present[h])
            here = np.flatnonzero(wanted == k)
            ordered = np.sort(homes.wh[h, own], axis=0)
            at = np.clip((rank[here] * own.size).astype(int), 0, own.size - 1)
            out[h, here] = np.take_along_axis(ordered, at, axis=0)
    return out


BASELINES: Final[dict[str, Callable[[Homes, Days, int], Floats]]] = {
    "chain_1": lambda homes, days, seed: classical(homes, days, 1, seed),
    "chain_16": lambda homes, days, seed: classical(homes, days, 16, seed),
    "shuffled": shuffled,
    "copula": copula,
}
