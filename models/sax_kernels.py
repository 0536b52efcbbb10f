"""SAX words, compiled. `sax_numpy` has the same functions without a compiler.

A word is a uint64 with four bits a segment, the first segment in the highest of those used, so
that its hexadecimal digits read from left to right as the day does; 15 where there is no value.

Whole-number curves whose slots divide into the segments go a fast way: sums are exact, the
mean and deviation are in the thresholds instead of the values, and curves are compared in blocks,
so that the machine compares sixteen at once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

MISSING: Final = 15
BLOCK: Final = 64
_EPS: Final = float(np.finfo(np.float64).eps)
_4: Final = np.uint64(4)

hot = njit(cache=True, nogil=True)


@njit(cache=True, inline="always")
def is_constant(var, mean, n):  # type: ignore[no-untyped-def]
    """Whether a variance is but rounding: scikit-learn's rule, so pyts's."""
    return var <= n * _EPS * var + (n * mean * _EPS) ** 2


@hot
def words_whole(x, breakpoints, segments, out):  # type: ignore[no-untyped-def]
    """Words of whole-number curves (uint16[n, slots], no gaps), z-normalised each by itself."""
    n, slots = x.shape
    width = slots // segments
    sums = np.empty((segments, BLOCK), np.float32)
    low, sd = np.empty(BLOCK, np.float64), np.empty(BLOCK, np.float64)
    limit = np.empty(BLOCK, np.float32)
    symbol = np.empty((segments, BLOCK), np.uint8)
    wide = np.empty(BLOCK, np.uint64)
    for first in range(0, n, BLOCK):
        count = min(BLOCK, n - first)
        for b in range(count):
            row = x[first + b]
            square, total = np.uint64(0), np.uint32(0)
            for i in range(slots):
                v = np.uint64(row[i])
                square += v * v
            for j in range(segments):
                part = np.uint32(0)
                for i in range(j * width, j * width + width):
                    part += np.uint32(row[i])
                sums[j, b] = np.float32(part)
                total += part
            mean = np.float64(total) / slots
            # slots × the sum of squares about the mean, exact in whole numbers
            about = square * np.uint64(slots) - np.uint64(total) * np.uint64(total)
            low[b] = mean * width
            sd[b] = np.sqrt(np.float64(about)) / slots * width if about else np.float64(width)
        symbol[:] = 0
        for k in range(len(breakpoints)):
            edge = breakpoints[k]
            for b in range(BLOCK):
                # whole sums, so comparing with the next whole number above is the same
                limit[b] = np.float32(np.ceil(low[b] + edge * sd[b]))
            for j in range(segments):
                for b in range(BLOCK):
                    symbol[j, b] += np.uint8(sums[j, b] >= limit[b])
        wide[:] = 0
        for j in range(segments):
            for b in range(BLOCK):
                wide[b] = (wide[b] << _4) | np.uint64(symbol[j, b])
        for b in range(count):
            out[first + b] = wide[b]


@hot
def segment_means(row, segments, means):  # type: ignore[no-untyped-def]
    """Means over `segments` equal parts of a curve, NaN left out; a slot on an edge is shared."""
    slots = len(row)
    for j in range(segments):
        total, weight = 0.0, 0
        start, stop = j * slots, (j + 1) * slots
        for i in range(start // segments, (stop + segments - 1) // segments):
            v = np.float64(row[i])
            if not np.isnan(v):
                share = min(stop, (i + 1) * segments) - max(start, i * segments)
                total += share * v
                weight += share
        means[j] = total / weight if weight else np.nan


@hot
def words_any(x, breakpoints, segments, out):  # type: ignore[no-untyped-def]
    """Words of any curves (float[n, slots], NaN: no reading), z-normalised each by itself."""
    n, slots = x.shape
    means = np.empty(segments)
    for c in range(n):
        row = x[c]
        total, known = 0.0, 0
        for i in range(slots):
            v = np.float64(row[i])
            if not np.isnan(v):
                total += v
                known += 1
        mean = total / known if known else 0.0
        square = 0.0
        for i in range(slots):
            v = np.float64(row[i])
            if not np.isnan(v):
                square += (v - mean) * (v - mean)
        var = square / known if known else 0.0
        sd = 1.0 if is_constant(var, mean, known) else np.sqrt(var)
        segment_means(row, segments, means)
        out[c] = spell(means, mean, sd, breakpoints)


@hot
def spell(means, mean, sd, breakpoints):  # type: ignore[no-untyped-def]
    """The word of segments' means, (mean, sd) being the scale."""
    word = np.uint64(0)
    for j in range(len(means)):
        symbol = MISSING
        if not np.isnan(means[j]):
            z, symbol = (means[j] - mean) / sd, 0
            for k in range(len(breakpoints)):
                symbol += z >= breakpoints[k]
        word = (word << _4) | np.uint64(symbol)
    return word


@hot
def words_of_means(means, scale, breakpoints, out):  # type: ignore[no-untyped-def]
    """Words of segments' means float64[n, segments] on scales float64[n, 2] (mean, deviation)."""
    for c in range(means.shape[0]):
        out[c] = spell(means[c], scale[c, 0], scale[c, 1], breakpoints)
