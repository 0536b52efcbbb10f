"""What a day says of a meter: load, symbols, deviations; compiled, for `score_kernels`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from models.score_state import (
    LEVEL,
    MEAN,
    MEAN_LOW,
    MEAN_STEP,
    OFFSET,
    POSITIONS,
    SYMBOLS,
    VAR,
    VARIANCES,
    WORD,
)
from models.score_weights import (
    EDGES,
    FLOOR,
    LEVEL_FLOOR,
    LIFT,
    PRIOR,
    TIE,
)

hot = njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
"""Without counting who holds which array: such a function cannot make one, its scratch comes from
outside (`score.scratch`)."""
inlined = njit(cache=True, inline="always")
"""Passing a dozen arrays on costs more than many of these do."""
P: Final = POSITIONS
MEANS: Final = MEAN_LOW + MEAN_STEP * np.arange(256)
USUAL: Final = np.maximum(np.exp(MEANS) - OFFSET, 0.0)
EASE: Final = np.arange(301) / 20 + PRIOR / SYMBOLS
LOG_EASE: Final = np.log(EASE)
LOG_TOTAL: Final = np.log(np.arange(121) + PRIOR)


@njit(cache=True, inline="always")
def student(z2):  # type: ignore[no-untyped-def]
    """What a squared deviation counts: Student's t with few degrees, so that one is not all."""
    return np.log(1.0 + 0.25 * z2)


@inlined
def decode(state, m, mean, var, near, total):  # type: ignore[no-untyped-def]
    """Bytes → means, variances; near[8, 8]: each count with its neighbours', in twentieths."""
    for p in range(P):
        mean[p] = MEANS[state[m, MEAN + p]]
        var[p] = VARIANCES[state[m, VAR + p]] + FLOOR
        row = np.int64(0)
        for i in range(SYMBOLS // 2):
            row |= np.int64(state[m, p * 4 + i]) << (8 * i)
        # the outermost symbols are their own neighbours
        row = (row & 15) | (row << 4) | ((row >> 28) << 36)
        counted = np.int64(0)
        for k in range(SYMBOLS):
            here = (row >> (4 * k + 4)) & 15
            near[p, k] = 14 * here + 3 * (((row >> (4 * k)) & 15) + ((row >> (4 * k + 8)) & 15))
            counted += here
        total[p] = counted


@inlined
def spell(u, seen, mean, var, symbol):  # type: ignore[no-untyped-def]
    """Symbols of segments on the meter's scale; (centre, deviation) of that scale."""
    centre = within = between = 0.0
    for p in range(P):
        centre += mean[p]
        within += var[p] - FLOOR
    centre /= P
    for p in range(P):
        between += (mean[p] - centre) * (mean[p] - centre)
    spread = np.sqrt(max((within + between) / P, 0.05))
    for p in range(P):
        symbol[p] = 0
        if seen[p]:
            z = (u[p] - centre) / spread
            for k in range(len(EDGES)):
                symbol[p] += z >= EDGES[k]
    return centre, spread


@inlined
def moved(u, symbol, mean, var, near, turned):  # type: ignore[no-untyped-def]
    """How much better the day fits when turned by some segments: by words, both, shape.

    Likelihoods are compared as products: one logarithm instead of one a turn, no division.
    turned: float64[2, 8] to work in.
    """
    rise = 0.0
    for p in range(P):
        rise += u[p] - mean[p]
    rise /= P
    for p in range(P):
        turned[0, p] = 0.25 / var[p]
        turned[1, p] = 0.25 / (0.6 * (var[p] - FLOOR) + FLOOR)
    own_o = own_f = own_s = best_f = best_w = 1.0
    best_o, best_s = 0.0, 1e300
    for t in range(P):
        fit, shape, odds = 1.0, 1.0, 1.0
        for p in range(P):
            q = (p - t) & (P - 1)
            e = u[q] - mean[p]
            s = e - rise
            fit *= 1.0 + turned[0, p] * e * e
            shape *= 1.0 + turned[1, p] * s * s
            odds *= EASE[near[p, symbol[q]]]
        # the word's odds and half of the loads' (ν + 1) / 2 = 2.5, to the fourth power
        square = fit * fit
        five, four = square * square * fit, odds * odds * odds * odds
        if t == 0:
            own_o, own_f, own_s = odds, five, shape
        else:
            if t == 1 or five * best_w < best_f * four:
                best_f, best_w = five, four
            best_o, best_s = max(best_o, odds), min(best_s, shape)
    both = own_f * best_w / (best_f * (own_o * own_o * own_o * own_o))
    return (
        np.log(1.0 + np.log(max(best_o / own_o, 1.0))),
        np.log(1.0 + 0.25 * np.log(max(both, 1.0))),
        np.log(1.0 + 2.5 * np.log(max(own_s / best_s, 1.0))),
    )


@inlined
def levels(state, m, energy, slots, low, high, seen, u, mean, scale, size, out):  # type: ignore[no-untyped-def]
    """Deviations of the day's level: energy, log mean, lowest, widest, mean width; NaN unknown."""
    wh = width = dev = 0.0
    least, most, n = 1e300, 0.0, 0
    for p in range(P):
        if seen[p]:
            n += 1
            wh += max(float(energy[m, p]), 0.0) / slots[m, p]
            dev += u[p] - mean[p]
            wide = float(high[m, p]) - float(low[m, p])
            width += wide
            least, most = min(least, max(float(low[m, p]), 0.0)), max(most, wide)
    out[0] = np.log(wh / P + 1.0) - scale if n == P else np.nan
    out[1] = dev / n
    out[2] = np.log(least / size + OFFSET) - MEAN_LOW - MEAN_STEP * state[m, LEVEL + 2]
    out[3] = np.log(most / size + OFFSET) - MEAN_LOW - MEAN_STEP * state[m, LEVEL + 4]
    out[4] = np.log(width / n / size + OFFSET) - MEAN_LOW - MEAN_STEP * state[m, LEVEL + 6]


@njit(cache=True, inline="always")
def last_word(state, m):  # type: ignore[no-untyped-def]
    return (
        np.int64(state[m, WORD])
        | (np.int64(state[m, WORD + 1]) << 8)
        | (np.int64(state[m, WORD + 2]) << 16)
    )


@inlined
def yesterday(state, m, centre, spread, mean):  # type: ignore[no-untyped-def]
    """How far yesterday's word lay above what is usual, on average, in log load."""
    word = last_word(state, m)
    total = 0.0
    for p in range(P):
        z = (((word >> (3 * p)) & 7) - 3.5) * 0.42
        total += centre + spread * z - mean[p]
    return total / P


@inlined
def features(state, m, energy, slots, low, high, seen, u, scale, size, scratch, x, weigh):  # type: ignore[no-untyped-def]
    """The day's features x[FEATURES]; weigh[8]: what each segment adds to the surprise."""
    mean, var, near, total, symbol, level, turned, _ = scratch
    decode(state, m, mean, var, near, total)
    centre, spread = spell(u, seen, mean, var, symbol)
    n, word, fit, shift = 0, 0.0, 1.0, 0.0
    for p in range(P):
        if seen[p]:
            n += 1
            shift += u[p] - mean[p]
    shift /= n
    lift = top = second = peak = 0.0
    for p in range(P):
        weigh[p] = 0.0
        if not seen[p]:
            continue
        e = u[p] - mean[p]
        z2 = e * e / var[p]
        surprise = LOG_TOTAL[total[p]] - LOG_EASE[near[p, symbol[p]]]
        word += surprise
        fit *= 1.0 + 0.25 * z2
        weigh[p] = surprise + 0.25 * z2 / (1.0 + 0.05 * z2)
        usual = USUAL[state[m, MEAN + p]]
        load = max(float(energy[m, p]), 0.0) / slots[m, p] / size
        above = (load - usual) / LIFT
        lift = max(lift, above)
        s = (e - shift) / np.sqrt(0.6 * (var[p] - FLOOR) + FLOOR)
        peak = max(peak, s)
        if s * s > top:
            second, top = top, s * s
        elif s * s > second:
            second = s * s
    levels(state, m, energy, slots, low, high, seen, u, mean, scale, size, level)
    before = TIE * yesterday(state, m, centre, spread, mean)
    for i in range(5):
        v = VARIANCES[state[m, LEVEL + (i if i < 2 else 2 * i - 1)]]
        e = level[i if level[i] == level[i] else 1] - before
        x[i] = student(e * e / (v * (1 - TIE * TIE) + LEVEL_FLOOR))
    x[5], x[6] = word / n, np.log(fit) / n
    x[7] = x[8] = x[9] = 0.0
    if n == P:
        x[7], x[8], x[9] = moved(u, symbol, mean, var, near, turned)
    x[10], x[11] = student(lift * lift), student(peak * peak)
    x[12] = student(top) + 0.5 * student(second)
    return n


@inlined
def load(m, energy, slots, low, high, full, size, seen, u):  # type: ignore[no-untyped-def]
    """Which segments count, their log loads; (how many count, whether the day has any life)."""
    n, least, most = 0, np.int64(1) << 62, -(np.int64(1) << 62)
    for p in range(P):
        seen[p] = slots[m, p] > 0 and 2 * slots[m, p] >= full[p]
        u[p] = 0.0
        if seen[p]:
            n += 1
            u[p] = np.log(max(float(energy[m, p]), 0.0) / slots[m, p] / size + OFFSET)
            least, most = min(least, np.int64(low[m, p])), max(most, np.int64(high[m, p]))
    return n, most > least
