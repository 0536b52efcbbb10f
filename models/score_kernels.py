"""Scores of meters' days, and what the days leave behind, compiled; `score_numpy` is the twin.

Numbers are float64 without contraction, each meter by itself: same state and same segments,
same bits, in any order and any shard.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from models.score_parts import (
    P,
    decode,
    features,
    hot,
    inlined,
    last_word,
    levels,
    load,
    spell,
)
from models.score_state import (
    DAYS,
    GOLDEN,
    LEVEL,
    LIFELESS,
    MAX_DAYS,
    MEAN,
    MEAN_LOW,
    MEAN_STEP,
    OWN,
    OWN_LOW,
    OWN_STEP,
    SCALE,
    SCALE_STEP,
    SHARE,
    VAR,
    VAR_LOW,
    VAR_STEP,
    VARIANCES,
    WORD,
)
from models.score_weights import (
    FEATURES,
    MEMORY,
    OWN_POWER,
    OWN_SHARE,
)

MIN_SEEN: Final = 4
"""Segments that a day needs to be learnt from."""
STUCK: Final = 2
"""Stretches with one and the same value, one after the other, that make a meter stuck."""
SPIKE_TIMES: Final = float(np.log(4.0))
SPIKE_ODDS: Final = float(np.log(1.0 + 0.25 * 9.0))
"""A swing four times the usual widest and three deviations from it is a spike."""
LEAST_SCALE: Final = float(np.log(6.0))
"""Below a mean of 5 Wh a slot a meter without load is no news."""
PER_STEP: Final = 1.0 / MEAN_STEP
PER_VAR_STEP: Final = 1.0 / VAR_STEP
LOG_VAR_LOW: Final = float(np.log(VAR_LOW))
START_VAR: Final = int(np.log(1.5 / VAR_LOW) / VAR_STEP)
OWN_SCALES: Final = VARIANCES**-OWN_POWER


@inlined
def _combine(x, weights, bias, parts):  # type: ignore[no-untyped-def]
    """log of the sum of the alternatives' odds; parts[3]: each one's own."""
    most = -1e300
    for g in range(3):
        parts[g] = bias[g]
        for i in range(FEATURES):
            parts[g] += weights[g, i] * x[i]
        most = max(most, parts[g])
    total = 0.0
    for g in range(3):
        total += np.exp(parts[g] - most)
    return most + np.log(total)


@inlined
def _rules(low, high, seen, scale, wider, surprise):  # type: ignore[no-untyped-def]
    """Bits dead, flat, stuck, spike of a day's lowest and highest slots."""
    n, zeros, constant, run, stuck, last = 0, 0, 0, 0, 0, np.int64(-1)
    value, same = np.int64(-1), True
    for p in range(P):
        if not seen[p]:
            run = 0
            continue
        n += 1
        zeros += high[p] == 0 and low[p] == 0
        if high[p] == low[p]:
            constant += 1
            run = run + 1 if run and high[p] == last else 1
            last = np.int64(high[p])
            same = same and (value < 0 or value == last)  # type: ignore[assignment]
            value = last
        else:
            run = 0
        if run >= STUCK and last > 0:
            stuck = 1
    if scale < LEAST_SCALE or n < STUCK:
        return np.uint8(0)
    dead = zeros == n
    flat = constant == n and same and not dead
    spike = wider > SPIKE_TIMES and surprise > SPIKE_ODDS
    return (
        np.uint8(dead)
        | np.uint8(flat) << 1
        | np.uint8(stuck and not flat) << 2
        | (np.uint8(spike) << 3)
    )


@njit(cache=True, inline="always")
def _dither(day, place):  # type: ignore[no-untyped-def]
    t = GOLDEN * day + SHARE * place
    return t - np.floor(t)


@njit(cache=True, inline="always")
def _byte(value, up):  # type: ignore[no-untyped-def]
    """A number of steps, rounded up from where 1 - `up` is passed, held between 0 and 255."""
    return np.uint8(np.int64(min(max(value + up, 0.0), 255.0)))


@njit(cache=True, inline="always")
def _move(state, m, at, e, w, dither):  # type: ignore[no-untyped-def]
    """Move a stored mean by w × e, e in its steps."""
    state[m, at] = _byte(state[m, at] + w * e, dither[at])


@hot
def _spread(state, m, at, e, w, first, dither):  # type: ignore[no-untyped-def]
    """Move a stored variance towards e²."""
    v = VARIANCES[state[m, at]]
    v = 0.3 if first else v + w * ((1.0 - w) * e * e - v)
    state[m, at] = _byte((np.log(max(v, VAR_LOW)) - LOG_VAR_LOW) * PER_VAR_STEP, dither[at])


@hot
def _count(state, m, p, k):  # type: ignore[no-untyped-def]
    """One more day with symbol k at position p; all of p's counts are halved when one is full."""
    at = p * 4 + (k >> 1)
    full = (state[m, at] >> 4 if k & 1 else state[m, at] & 15) == 15
    if full:
        for i in range(4):
            byte = state[m, p * 4 + i]
            state[m, p * 4 + i] = np.uint8((((byte >> 4) >> 1) << 4) | ((byte & 15) >> 1))
    state[m, at] += np.uint8(16 if k & 1 else 1)


@hot
def _dithers(dither, number):  # type: ignore[no-untyped-def]
    """The day's roundings, one for each byte of a state."""
    for i in range(len(dither)):
        dither[i] = _dither(number, i)


@hot
def _begin(state, m, day, full, n, scratch):  # type: ignore[no-untyped-def]
    """A meter's first day: its means are that day's; log of its scale."""
    energy, slots, low, high = day
    inner, seen, u = scratch
    wh, middle = 0.0, 0.0
    for p in range(P):
        if seen[p]:
            wh += max(float(energy[m, p]), 0.0) / slots[m, p]
    scale = np.log(wh / n + 1.0)
    load(m, energy, slots, low, high, full, np.exp(scale), seen, u)
    for p in range(P):
        middle += u[p] if seen[p] else 0.0
    for p in range(P):
        start = u[p] if seen[p] else middle / n
        state[m, MEAN + p] = _byte((start - MEAN_LOW) * PER_STEP, inner[7][MEAN + p])
    return scale


@inlined
def _learn(state, m, day, full, n, lives, known, raw, scratch):  # type: ignore[no-untyped-def]
    """Move one meter by a closed day; known: the scratch holds its symbols and levels already."""
    if n < MIN_SEEN:
        return
    if not lives:
        state[m, DAYS] |= LIFELESS
        return
    inner, seen, u = scratch
    mean, var, near, total, symbol, level, _, dither = inner
    first = (state[m, DAYS] & MAX_DAYS) == 0
    scale = SCALE_STEP * (state[m, SCALE] + 256.0 * state[m, SCALE + 1])
    if first:
        scale = _begin(state, m, day, full, n, scratch)
    if not known:
        size = np.exp(scale)
        decode(state, m, mean, var, near, total)
        levels(state, m, day[0], day[1], day[2], day[3], seen, u, mean, scale, size, level)
        spell(u, seen, mean, var, symbol)
    if first:
        for i in range(2, 5):
            state[m, LEVEL + 2 * i - 2] = _byte(level[i] * PER_STEP, dither[LEVEL + i])
            level[i] = 0.0
    days = (state[m, DAYS] & MAX_DAYS) + 1
    w = max(MEMORY, 1.0 / days)
    _learn_positions(state, m, seen, u, mean, symbol, w, first, dither)
    for i in range(2, 5):
        _move(state, m, LEVEL + 2 * i - 2, level[i] * PER_STEP, w, dither)
    for i in range(5):
        if not np.isnan(level[i]):
            _spread(state, m, LEVEL + (i if i < 2 else 2 * i - 1), level[i], w, first, dither)
    if not np.isnan(level[0]):
        scale += w * level[0]
    steps = np.int64(min(max(scale / SCALE_STEP + dither[SCALE], 0.0), 65535.0))
    state[m, SCALE], state[m, SCALE + 1] = np.uint8(steps & 255), np.uint8(steps >> 8)
    _learn_own(state, m, raw, first, days, dither)
    state[m, DAYS] = np.uint8(min(days, MAX_DAYS))


@inlined
def _learn_positions(state, m, seen, u, mean, symbol, w, first, dither):  # type: ignore[no-untyped-def]
    """Means, variances, counts and word of the positions seen."""
    word = last_word(state, m)
    for p in range(P):
        if seen[p]:
            e = u[p] - mean[p]
            _move(state, m, MEAN + p, e * PER_STEP, w, dither)
            _spread(state, m, VAR + p, e, w, first, dither)
            _count(state, m, p, symbol[p])
            word = (word & ~(7 << (3 * p))) | (symbol[p] << (3 * p))
    for i in range(3):
        state[m, WORD + i] = np.uint8((word >> (8 * i)) & 255)


@inlined
def _learn_own(state, m, raw, first, days, dither):  # type: ignore[no-untyped-def]
    """The meter's own scores: their mean and variance, each outlier held to two deviations."""
    if first or np.isnan(raw):
        if first:
            state[m, OWN] = np.uint8((-4.0 - OWN_LOW) / OWN_STEP)
            state[m, OWN + 1] = np.uint8(START_VAR)
        return
    own, v = OWN_LOW + OWN_STEP * state[m, OWN], VARIANCES[state[m, OWN + 1]]
    e = min(raw - own, 2.0 * np.sqrt(v))
    w = max(MEMORY, 1.0 / (days + 8.0))
    _move(state, m, OWN, e / OWN_STEP, w, dither)
    _spread(state, m, OWN + 1, e, w, False, dither)


@inlined
def _score(state, m, day, full, scratch, fitted, raw, parts, weigh, feature, rules):  # type: ignore[no-untyped-def]
    """(score, segments that count, whether the day lives) of one meter; NaN: cannot be told."""
    energy, slots, low, high = day
    inner, seen, u = scratch
    scale = SCALE_STEP * (state[m, SCALE] + 256.0 * state[m, SCALE + 1])
    size = np.exp(scale)
    n, lives = load(m, energy, slots, low, high, full, size, seen, u)
    raw[m] = np.nan
    if n < 1 or state[m, DAYS] & MAX_DAYS < 1:
        return np.nan, n, lives
    features(state, m, energy, slots, low, high, seen, u, scale, size, inner, feature[m], weigh[m])
    raw[m] = _combine(feature[m], fitted[0], fitted[1], parts[m])
    own = OWN_LOW + OWN_STEP * state[m, OWN]
    if not lives and state[m, DAYS] & LIFELESS:
        raw[m] = own  # as yesterday: no news
    rules[m] = _rules(low[m], high[m], seen, scale, inner[5][3], feature[m, 3])
    return (raw[m] - OWN_SHARE * own) * OWN_SCALES[state[m, OWN + 1]], n, lives


@hot
def score_days(state, day, full, scratch, fitted, out, raw, parts, weigh, feature, rules):  # type: ignore[no-untyped-def]
    """Scores out[n], parts[n, 3], weigh[n, 8], feature[n, FEATURES], rules[n]; state stays."""
    for m in range(len(out)):
        out[m] = _score(state, m, day, full, scratch, fitted, raw, parts, weigh, feature, rules)[0]


@hot
def close_days(state, number, day, full, scratch, fitted, out, raw, parts, weigh, feature, rules):  # type: ignore[no-untyped-def]
    """`score_days` and `learn_days` at once: what both need is worked out once."""
    _dithers(scratch[0][7], number)
    for m in range(len(out)):
        out[m], n, lives = _score(
            state, m, day, full, scratch, fitted, raw, parts, weigh, feature, rules
        )
        _learn(state, m, day, full, n, lives, raw[m] == raw[m], raw[m], scratch)


@hot
def learn_days(state, number, day, full, raw, scratch):  # type: ignore[no-untyped-def]
    """Close a day: move the states by it. raw[n]: combined scores before the meter's own scale."""
    _dithers(scratch[0][7], number)
    _, seen, u = scratch
    for m in range(len(state)):
        size = np.exp(SCALE_STEP * (state[m, SCALE] + 256.0 * state[m, SCALE + 1]))
        n, lives = load(m, day[0], day[1], day[2], day[3], full, size, seen, u)
        _learn(state, m, day, full, n, lives, False, raw[m], scratch)
