"""Blocks: quarters of real days, as ranks, that the engine `block` strings together.

A block's marks are what it is chosen by, all as ranks in 8 bits:

    0, 1   mean of its first and of its second half
    2      the slot before it
    3      base of its day (mean of the lowest quarter of the slots)
    4      its last slot
    5      period of its day, see `habits.period_of`

Of each home's day the first and third or the second and fourth quarter are kept, by chance:
never two that follow each other, so no curve of more than a quarter day is in
the artefact, and nothing to join blocks of different days by.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from generator.model import states
from generator.model.artefact import BLOCKS
from generator.model.habits import Habits

Ints = npt.NDArray[np.int64]

MARKS: Final = 6
NEAR: Final = 8
ENOUGH: Final = 16
"""Blocks of a kind and quarter from which a home needs no other home's."""
_PER_HOME: Final = 1500  # working-day and weekend blocks kept of a home, at most


def likeness(habits: Habits, wh: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """float64[homes, features], scaled so that Euclidean distance says how alike homes move."""
    score = np.full(habits.ranks.shape, np.nan)
    have = ~np.isnan(habits.ranks)
    score[have] = states.scores(np.clip(habits.ranks[have], 0.001, 0.999))
    columns = []
    for h in range(len(score)):
        z, r = score[h][~np.isnan(score[h, :, 0])], habits.ranks[h]
        r = r[~np.isnan(r[:, 0])]
        x = wh[h][~np.isnan(wh[h, :, 0])]
        if len(z) < 2:
            columns.append(np.zeros(11 + wh.shape[2]))
            continue
        step = np.abs(np.diff(z, axis=1))
        low = step[r[:, 1:] < 0.4]
        mean = max(float(x.mean()), 1e-6)
        moves = [
            (z[:, 1:] * z[:, :-1]).mean(),
            (z[:, 2:] * z[:, :-2]).mean(),
            np.median(np.abs(np.diff(r, axis=1))),
            low.mean() if low.size else 0.0,
            z.mean(axis=1).std(),
        ]
        scale = np.log1p(np.quantile(x, (0.1, 0.25, 0.5, 0.75, 0.95, 0.99)) / mean)
        columns.append(np.r_[moves, scale, z.mean(axis=0)])
    features = np.array(columns)
    moves_scale = features[:, :11]
    spread = moves_scale.std(axis=0) + 1e-9
    moves_scale = (moves_scale - moves_scale.mean(axis=0)) / spread
    habit = features[:, 11:]
    habit = habit / (np.sqrt((habit**2).mean()) + 1e-9) * np.sqrt(12 / habit.shape[1])
    return np.column_stack([moves_scale[:, :5], 0.6 * moves_scale[:, 5:], habit])


def neighbours(features: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """int32[homes, NEAR], the homes most alike, nearest first."""
    square = (features**2).sum(axis=1)
    gap = square[:, None] + square[None] - 2 * features @ features.T
    np.fill_diagonal(gap, np.inf)
    near = np.argsort(gap, axis=1, kind="stable")[:, :NEAR]
    if near.shape[1] < NEAR:
        near = np.take(near, np.arange(NEAR) % near.shape[1], axis=1)
    return near.astype(np.int32)


def cut(
    habits: Habits, kind: Ints, period: Ints, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """(blocks, marks, block_list) as in `Model`; within a list in order of their mean."""
    rng = np.random.default_rng(seed)
    homes, days, slots = habits.ranks.shape
    length = slots // BLOCKS
    level = np.clip(habits.ranks * 256, 0, 255)
    part = np.clip(habits.parts * 255, 0, 255)
    before = np.full((homes, days), np.nan)
    before[:, 1:] = level[:, :-1, -1]
    first = rng.integers(0, 2, (homes, days))
    blocks, marks, starts = [], [], np.zeros((homes, 2, BLOCKS, 2), np.int32)
    total = 0
    for h in range(homes):
        for k in (0, 1):
            for b in range(BLOCKS):
                entry = before[h] if b == 0 else level[h, :, b * length - 1]
                use = np.flatnonzero((kind == k) & (first[h] == b % 2) & ~np.isnan(level[h, :, 0]))
                most = _PER_HOME // 8
                use = np.sort(rng.permutation(use)[:most])
                curve = level[h, use, b * length : (b + 1) * length]
                known = np.where(np.isnan(entry[use]), curve[:, 0], entry[use])
                mark = np.column_stack(
                    [
                        *(part[h, use, 2 * b], part[h, use, 2 * b + 1], known, part[h, use, -1]),
                        *(curve[:, -1], period[use]),
                    ]
                ).astype(np.uint8)
                order = np.argsort(mark[:, 0].astype(int) + mark[:, 1], kind="stable")
                blocks.append(curve[order].astype(np.uint8))
                marks.append(mark[order])
                starts[h, k, b] = total, total + len(use)
                total += len(use)
    return np.concatenate(blocks), np.concatenate(marks), starts


def lenders(
    block_list: npt.NDArray[np.int32], near: npt.NDArray[np.int32]
) -> npt.NDArray[np.int32]:
    """int32[homes], how many neighbours lend blocks, so that each list has ENOUGH."""
    size = (block_list[..., 1] - block_list[..., 0]).astype(np.int64)
    upto = size[:, None] + np.cumsum(size[near], axis=1)  # own and so many lenders
    enough = np.concatenate([size[:, None], upto], axis=1).min(axis=(2, 3)) >= ENOUGH
    needed = np.where(enough.any(axis=1), enough.argmax(axis=1), near.shape[1])
    return np.asarray(needed, np.int32)


def lists(
    block_list: npt.NDArray[np.int32],
    marks: npt.NDArray[np.uint8],
    near: npt.NDArray[np.int32],
    donors: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """What the kernel searches: (list bounds as `block_list`, marks in their order, block numbers).

    A home's list holds its own blocks and those of its lenders, in order of their mean.
    """
    bounds = np.zeros_like(block_list)
    parts, total = [], 0
    mean = marks[:, 0].astype(np.int64) + marks[:, 1]
    for h in range(len(block_list)):
        of = [h, *near[h, : donors[h]].tolist()]
        for k in (0, 1):
            for b in range(BLOCKS):
                numbers = np.concatenate([np.arange(*block_list[o, k, b]) for o in of])
                if len(of) > 1:
                    numbers = numbers[np.argsort(mean[numbers], kind="stable")]
                parts.append(numbers)
                bounds[h, k, b] = total, total + len(numbers)
                total += len(numbers)
    number = np.concatenate(parts).astype(np.int32)
    return bounds, np.ascontiguousarray(marks[number]), number
