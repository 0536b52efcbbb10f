"""SAX as the literature has it: curves → words, and distances between words.

Lin, Keogh, Lonardi, Chiu, "A symbolic representation of time series" (2003): z-normalise each
curve, average it over equal segments (PAA), name each average by the stretch of the normal
distribution it falls in. With tslearn's and pyts's conventions where they agree: deviation over
n, a constant curve is all zeros. Where they differ: a value on a breakpoint belongs above it
(tslearn), a slot on the edge of two segments is shared (Keogh et al. 2001; both others move
the edge). NaN is no reading: means are of what there is, a segment without any has no symbol.

    >>> day = np.repeat([[100, 100, 900, 100]], 12, axis=1)
    >>> [spelt(w, 4) for w in words(day.astype(np.uint16), segments=4, alphabet=4)]
    ['bbdb']
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from models import sax_kernels
from models.alphabet import gaussian_breakpoints
from models.sax_kernels import MISSING
from wattstorm.errors import UsageError

Words = npt.NDArray[np.uint64]
MAX_SEGMENTS: Final = 16
_WHOLE_SLOTS: Final = 256
"""Slots up to which sums of uint16 are exact in float32."""


def words(
    curves: npt.ArrayLike,
    segments: int = 12,
    alphabet: int = 8,
    *,
    breakpoints: npt.ArrayLike | None = None,
    kernel: Any = sax_kernels,
) -> Words:
    """uint64[n], the word of each curve, z-normalised by itself; see `symbols`, `spelt`.

    curves: uint16[n, slots], the fast way, or anything that float64 holds, NaN: no reading.
    breakpoints: instead of Gaussian ones (`learned_breakpoints`), float64[alphabet - 1].
    """
    x, edges = _curves(curves), _breakpoints(breakpoints, alphabet)
    check_segments(segments)
    out = np.empty(len(x), np.uint64)
    slots = x.shape[1]
    if x.dtype == np.uint16 and slots % segments == 0 and slots <= _WHOLE_SLOTS:
        kernel.words_whole(x, edges, segments, out)
    else:
        whole = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
        kernel.words_any(whole, edges, segments, out)
    return out


def words_of_means(
    means: npt.ArrayLike,
    scale: npt.ArrayLike,
    breakpoints: npt.ArrayLike,
    *,
    kernel: Any = sax_kernels,
) -> Words:
    """uint64[n], words of segments' means float[n, segments] on scales float[n, 2].

    scale: mean and deviation of each; a deviation of 0 is taken as 1.
    """
    known = np.ascontiguousarray(means, np.float64)
    check_segments(known.shape[1])
    base = np.array(np.broadcast_to(np.asarray(scale, np.float64), (len(known), 2)))
    base[:, 1] = np.where(base[:, 1] > 0, base[:, 1], 1.0)
    out = np.empty(len(known), np.uint64)
    kernel.words_of_means(known, base, _breakpoints(breakpoints, 0), out)
    return out


def paa(curves: npt.ArrayLike, segments: int) -> npt.NDArray[np.float64]:
    """float64[n, segments], means over equal segments, NaN where a segment has no reading.

    >>> paa([[1.0, 2.0, 3.0]], 2).round(3).tolist()  # the 2 is half in each
    [[1.333, 2.667]]
    """
    from models.sax_numpy import segment_means

    return segment_means(_curves(curves).astype(np.float64), check_segments(segments))


def symbols(of: npt.ArrayLike, segments: int) -> npt.NDArray[np.uint8]:
    """uint8[n, segments], the symbols of words; 15 where a segment had no reading."""
    shift = 4 * np.arange(segments, dtype=np.uint64)[::-1]
    return ((np.asarray(of, np.uint64)[:, None] >> shift) & np.uint64(15)).astype(np.uint8)


def packed(of: npt.ArrayLike) -> Words:
    """uint64[n], the words of symbols uint8[n, segments]."""
    known = np.asarray(of, np.uint64)
    shift = 4 * np.arange(known.shape[1], dtype=np.uint64)[::-1]
    return np.asarray(np.bitwise_or.reduce((known & np.uint64(15)) << shift, axis=1))


def spelt(word: int, segments: int) -> str:
    """The word in letters, a the lowest, a point where there is no symbol."""
    return "".join("abcdefghijklmno."[int(s)] for s in symbols([word], segments)[0])


def mindist(
    a: npt.ArrayLike, b: npt.ArrayLike, slots: int, segments: int, breakpoints: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """float64[...], MINDIST of words (broadcast), a lower bound of the curves' distance.

    The Euclidean distance of the z-normalised curves of `slots` values, each without gaps, is
    never less. Equal and neighbouring symbols count nothing, nor does a missing one.
    """
    edges = _breakpoints(breakpoints, 0)
    x, y = np.broadcast_arrays(np.asarray(a, np.uint64), np.asarray(b, np.uint64))
    low = np.minimum(_apart(x, segments), _apart(y, segments))
    high = np.maximum(_apart(x, segments), _apart(y, segments))
    size = len(edges)
    gap = edges[np.clip(high.astype(int) - 1, 0, size - 1)] - edges[np.clip(low, 0, size - 1)]
    gap = np.where((high.astype(int) - low > 1) & (high != MISSING), gap, 0.0)
    return np.asarray(np.sqrt((gap**2).sum(axis=-1) * (slots / segments)))


def _apart(x: Words, segments: int) -> npt.NDArray[np.uint8]:
    return symbols(x.ravel(), segments).reshape((*x.shape, segments))


def check_segments(segments: int) -> int:
    if not 1 <= segments <= MAX_SEGMENTS:
        raise UsageError(f"words of {segments} segments", f"take 1 to {MAX_SEGMENTS}")
    return segments


def _curves(curves: npt.ArrayLike) -> npt.NDArray[Any]:
    x = np.ascontiguousarray(curves)
    if x.ndim != 2 or not x.shape[1] or x.dtype.kind not in "iufb":
        raise UsageError(
            f"curves of shape {x.shape} and type {x.dtype}", "give numbers [curves, slots]"
        )
    return x


def _breakpoints(breakpoints: npt.ArrayLike | None, alphabet: int) -> npt.NDArray[np.float64]:
    if breakpoints is None:
        return gaussian_breakpoints(alphabet)
    edges = np.asarray(breakpoints, np.float64)
    if edges.ndim != 1 or not 1 <= len(edges) <= MISSING - 1 or not np.all(np.diff(edges) >= 0):
        raise UsageError(f"breakpoints {edges}", "give 1 to 14 numbers in rising order")
    if alphabet and len(edges) != alphabet - 1:
        raise UsageError(f"{len(edges)} breakpoints for {alphabet} symbols", f"give {alphabet - 1}")
    return edges
