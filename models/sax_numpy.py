"""SAX words without a compiler: what `sax_kernels` is tested against, for reading."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models.sax_kernels import MISSING

Array = npt.NDArray[Any]
_EPS = float(np.finfo(np.float64).eps)


def segment_means(x: Array, segments: int) -> Array:
    """float64[n, segments]; weights are the slots' shares in a segment, times `segments`."""
    slots = x.shape[1]
    at, part = np.arange(slots), np.arange(segments)[:, None]
    share = np.minimum((part + 1) * slots, (at + 1) * segments)
    share = np.maximum(share - np.maximum(part * slots, at * segments), 0)
    known = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        means: npt.NDArray[Any] = (np.where(known, x, 0.0) @ share.T.astype(float)) / (
            known @ share.T
        )
    return means


def curve_scale(x: Array) -> Array:
    """float64[n, 2], mean and deviation of each curve; 1 for that of a constant one."""
    known = ~np.isnan(x)
    n = known.sum(axis=1)
    mean = np.where(known, x, 0.0).sum(axis=1) / np.maximum(n, 1)
    var = (np.where(known, x - mean[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(n, 1)
    constant = var <= n * _EPS * var + (n * mean * _EPS) ** 2
    return np.column_stack([mean, np.where(constant, 1.0, np.sqrt(var))])


def words_of_means(means: Array, scale: Array, breakpoints: Array, out: Array) -> None:
    z = (means - scale[:, :1]) / scale[:, 1:]
    with np.errstate(invalid="ignore"):
        symbol = (z[:, :, None] >= np.asarray(breakpoints)).sum(axis=2).astype(np.uint64)
    symbol[np.isnan(means)] = MISSING
    shift = 4 * np.arange(means.shape[1], dtype=np.uint64)[::-1]
    out[:] = np.bitwise_or.reduce(symbol << shift, axis=1)


def words_any(x: Array, breakpoints: Array, segments: int, out: Array) -> None:
    wide = x.astype(np.float64)
    words_of_means(segment_means(wide, segments), curve_scale(wide), breakpoints, out)


words_whole = words_any
