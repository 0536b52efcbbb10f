"""The score without a compiler: whole columns of meters at once, for tests and for reading.

The same formulas as `score_kernels`; sums may be added in another order, so a last bit of a score,
and by that once in a while a step of a byte, may differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from models import score_state as st
from models import score_weights as sw
from models.score_kernels import LEAST_SCALE, MIN_SEEN, SPIKE_ODDS, SPIKE_TIMES, STUCK

Array = npt.NDArray[Any]
P, K = st.POSITIONS, st.SYMBOLS


def _student(z2: Array) -> Array:
    return np.asarray(np.log(1.0 + 0.25 * z2))


class _Day:
    """A day's segments against decoded states."""

    def __init__(
        self, state: Array, segments: Any, full: Array, scale: Array | None = None
    ) -> None:
        energy, slots, low, high = segments
        known = st.fields(state)
        self.known, self.slots = known, slots.astype(float)
        self.scale = st.SCALE_STEP * known["scale"].astype(float) if scale is None else scale
        self.seen = (slots > 0) & (2 * slots >= full)
        self.n = self.seen.sum(axis=1)
        self.load = np.maximum(energy, 0.0) / np.maximum(self.slots, 1)
        size = np.exp(self.scale)[:, None]
        self.u = np.where(self.seen, np.log(self.load / size + st.OFFSET), 0.0)
        self.low = np.where(self.seen, low.astype(np.int64), 2**62)
        self.high = np.where(self.seen, high.astype(np.int64), -(2**62))
        self.lives = self.high.max(axis=1) > self.low.min(axis=1)
        self.mean = st.MEAN_LOW + st.MEAN_STEP * known["mean"].astype(float)
        self.var = st.VARIANCES[known["var"]] + sw.FLOOR
        pairs = known["histogram"]
        self.count = np.stack([pairs & 15, pairs >> 4], axis=3).reshape(-1, P, K).astype(float)
        self.first = (known["days"] & st.MAX_DAYS) == 0

    def mean_of(self, x: Array) -> Array:
        """Over the segments seen."""
        return np.asarray(np.where(self.seen, x, 0.0).sum(axis=1) / np.maximum(self.n, 1))

    def spell(self) -> tuple[Array, Array, Array]:
        centre = self.mean.mean(axis=1)
        between = ((self.mean - centre[:, None]) ** 2).sum(axis=1)
        inner = ((self.var - sw.FLOOR).sum(axis=1) + between) / P
        spread = np.sqrt(np.maximum(inner, 0.05))
        z = (self.u - centre[:, None]) / spread[:, None]
        symbol = (z[:, :, None] >= sw.EDGES).sum(axis=2) * self.seen
        return centre, spread, symbol

    def levels(self) -> Array:
        size = np.exp(self.scale)
        base = st.MEAN_LOW + st.MEAN_STEP * self.known["level"].astype(float)
        width = np.where(self.seen, self.high - self.low, 0)
        with np.errstate(divide="ignore"):
            energy = np.log(self.load.sum(axis=1) / P + 1.0) - self.scale
        least = np.maximum(self.low.min(axis=1), 0)
        return np.column_stack(
            [
                np.where(self.n == P, energy, np.nan),
                self.mean_of(self.u - self.mean),
                np.log(least / size + st.OFFSET) - base[:, 2],
                np.log(np.maximum(width.max(axis=1), 0) / size + st.OFFSET) - base[:, 4],
                np.log(self.mean_of(width) / size + st.OFFSET) - base[:, 6],
            ]
        )


_PLACE = [0, 1, 3, 5, 7]
"""Where the variances of the five levels are."""


def _features(day: _Day) -> tuple[Array, Array, Array]:
    centre, spread, symbol = day.spell()
    near = np.pad(day.count, ((0, 0), (0, 0), (1, 1)), mode="edge")
    near = (1 - 2 * sw.SMOOTH) * day.count + sw.SMOOTH * (near[:, :, :-2] + near[:, :, 2:])
    ease = (near + sw.PRIOR / K) / (day.count.sum(axis=2, keepdims=True) + sw.PRIOR)
    surprise = -np.log(np.take_along_axis(ease, symbol[:, :, None], 2)[:, :, 0])
    e = np.where(day.seen, day.u - day.mean, 0.0)
    z2 = e * e / day.var
    usual = np.maximum(np.exp(day.mean) - st.OFFSET, 0.0)
    above = (day.load / np.exp(day.scale)[:, None] - usual) / sw.LIFT
    s = (e - day.mean_of(e)[:, None]) / np.sqrt(0.6 * (day.var - sw.FLOOR) + sw.FLOOR)
    s = np.where(day.seen, s, 0.0)
    ranked = np.sort(s * s, axis=1)
    level = day.levels()
    packed = day.known["word"].astype(np.int64) @ np.array([1, 256, 65536])
    past = ((packed[:, None] >> (3 * np.arange(P))) & 7) - 3.5
    before = (centre[:, None] + spread[:, None] * past * 0.42 - day.mean).mean(axis=1)
    gap = np.where(np.isnan(level), level[:, 1:2], level) - sw.TIE * before[:, None]
    v = st.VARIANCES[day.known["level"][:, _PLACE]]
    x = np.column_stack(
        [
            _student(gap * gap / (v * (1 - sw.TIE**2) + sw.LEVEL_FLOOR)),
            day.mean_of(surprise),
            day.mean_of(np.log(1 + 0.25 * z2)),
            *_moved(day, symbol, ease),
            _student(np.maximum(np.where(day.seen, above, 0.0).max(axis=1), 0.0) ** 2),
            _student(np.maximum(s.max(axis=1), 0.0) ** 2),
            _student(ranked[:, -1]) + 0.5 * _student(ranked[:, -2]),
        ]
    )
    return x, np.where(day.seen, surprise + 0.25 * z2 / (1 + 0.05 * z2), 0.0), level


def _moved(day: _Day, symbol: Array, ease: Array) -> list[Array]:
    level = day.u.mean(axis=1) - day.mean.mean(axis=1)
    narrow = 0.6 * (day.var - sw.FLOOR) + sw.FLOOR
    found = []
    for turn in range(P):
        e = np.roll(day.u, turn, axis=1) - day.mean
        s = e - level[:, None]
        at = np.roll(symbol, turn, axis=1)[:, :, None]
        h = -np.log(np.take_along_axis(ease, at, 2)[:, :, 0]).sum(axis=1)
        f = 2.5 * np.log(1 + 0.25 * e * e / day.var).sum(axis=1)
        found.append([h, h + 0.5 * f, 2.5 * np.log(1 + 0.25 * s * s / narrow).sum(axis=1)])
    all_of = np.array(found)
    better = np.log(1 + np.maximum(all_of[0] - all_of[1:].min(axis=0), 0.0))
    return [np.where(day.n == P, one, 0.0) for one in better]


def _rules(day: _Day, wider: Array, surprise: Array) -> Array:
    constant = day.seen & (day.high == day.low)
    dead = (~day.seen | ((day.high == 0) & (day.low == 0))).all(axis=1)
    flat = ~dead & ~day.lives & (constant.sum(axis=1) == day.n)
    stuck = np.zeros(len(dead), bool)
    for p in range(P - STUCK + 1):
        run = slice(p, p + STUCK)
        same = constant[:, run].all(axis=1) & (np.ptp(day.high[:, run], axis=1) == 0)
        stuck |= same & (day.high[:, p] > 0)
    spike = (wider > SPIKE_TIMES) & (surprise > SPIKE_ODDS)
    bits = dead * 1 + flat * 2 + (stuck & ~flat) * 4 + spike * 8
    told = (day.scale >= LEAST_SCALE) & (day.n >= STUCK)
    return np.where(told, bits, 0).astype(np.uint8)


def score_days(
    state: Array,
    segments: Any,
    full: Array,
    scratch: Any,
    fitted: Any,
    out: Array,
    raw: Array,
    parts: Array,
    weigh: Array,
    feature: Array,
    rules: Array,
) -> None:
    day = _Day(state, segments, full)
    known = (day.n >= 1) & ~day.first
    x, heavy, level = _features(day)
    feature[known], weigh[known] = x[known], heavy[known]
    parts[known] = (x @ fitted[0].T + fitted[1])[known]
    own = st.OWN_LOW + st.OWN_STEP * day.known["own"][:, 0]
    same = ~day.lives & (day.known["days"] & st.LIFELESS > 0)
    with np.errstate(invalid="ignore"):
        raw[:] = np.where(known, np.where(same, own, np.logaddexp.reduce(parts, axis=1)), np.nan)
    spread = st.VARIANCES[day.known["own"][:, 1]] ** sw.OWN_POWER
    out[:] = (raw - sw.OWN_SHARE * own) / spread
    rules[known] = _rules(day, level[:, 3], x[:, 3])[known]


def _bytes(value: Array, day: float, place: Any) -> Array:
    t = st.GOLDEN * day + st.SHARE * np.asarray(place, float)
    return np.asarray(np.clip(np.floor(value + (t - np.floor(t))), 0, 255).astype(np.uint8))


def _variance(old: Array, e: Array, w: Array, first: Array, day: float, place: Any) -> Array:
    v = st.VARIANCES[old]
    v = np.where(first, 0.3, v + w * ((1 - w) * e * e - v))
    return _bytes(np.log(np.maximum(v, st.VAR_LOW) / st.VAR_LOW) / st.VAR_STEP, day, place)


def learn_days(
    state: Array, number: float, segments: Any, full: Array, raw: Array, scratch: Any
) -> None:
    day = _Day(state, segments, full)
    day.known["days"][(day.n >= MIN_SEEN) & ~day.lives] |= st.LIFELESS
    moves = (day.n >= MIN_SEEN) & day.lives
    some = state[moves]
    cut = [a[moves] for a in segments]
    first, scale = day.first[moves], day.scale[moves]
    days = (st.fields(some)["days"] & st.MAX_DAYS).astype(float) + 1
    w = np.maximum(sw.MEMORY, 1 / days)
    begun = np.log(day.mean_of(day.load)[moves] + 1.0)
    scale = np.where(first, begun, scale)
    day = _Day(some, cut, full, scale)
    start = np.where(day.seen, day.u, day.mean_of(day.u)[:, None])
    new = _bytes((start - st.MEAN_LOW) / st.MEAN_STEP, number, st.MEAN + np.arange(P))
    day.known["mean"][first] = new[first]
    day = _Day(some, cut, full, scale)
    level = day.levels()
    for i in range(2, 5):
        byte = day.known["level"][:, 2 * i - 2]
        byte[first] = _bytes(level[:, i] / st.MEAN_STEP, number, st.LEVEL + i)[first]
        level[first, i] = 0.0
    _learn_positions(day, w, first, number)
    _learn_levels(day, level, w, first, number)
    _learn_own(day, raw[moves], days, first, number)
    day.known["days"] = np.minimum(days, st.MAX_DAYS)
    state[moves] = some


def _learn_positions(day: _Day, w: Array, first: Array, number: float) -> None:
    _, _, symbol = day.spell()
    e, at, known = day.u - day.mean, np.arange(P), day.known
    mean = _bytes(known["mean"] + w[:, None] * e / st.MEAN_STEP, number, st.MEAN + at)
    var = _variance(known["var"], e, w[:, None], first[:, None], number, st.VAR + at)
    known["mean"], known["var"] = (
        np.where(day.seen, new, old) for new, old in ((mean, known["mean"]), (var, known["var"]))
    )
    count = day.count.astype(np.uint8)
    full = day.seen & (np.take_along_axis(count, symbol[:, :, None], 2)[:, :, 0] == 15)
    count = np.where(full[:, :, None], count >> 1, count)
    count += (np.arange(K) == symbol[:, :, None]).astype(np.uint8) * day.seen[:, :, None]
    known["histogram"] = count[:, :, ::2] | (count[:, :, 1::2] << 4)
    old = known["word"].astype(np.int64) @ np.array([1, 256, 65536])
    past = (old[:, None] >> (3 * at)) & 7
    word = (np.where(day.seen, symbol, past) << (3 * at)).sum(axis=1)
    known["word"] = (word[:, None] >> np.array([0, 8, 16])) & 255


def _learn_levels(day: _Day, level: Array, w: Array, first: Array, number: float) -> None:
    known = day.known["level"]
    for i in range(2, 5):
        at = 2 * i - 2
        known[:, at] = _bytes(known[:, at] + w * level[:, i] / st.MEAN_STEP, number, st.LEVEL + at)
    for i, at in enumerate(_PLACE):
        told = ~np.isnan(level[:, i])
        e = np.where(told, level[:, i], 0.0)
        new = _variance(known[:, at], e, w, first, number, st.LEVEL + at)
        known[:, at] = np.where(told, new, known[:, at])
    scale = day.scale + w * np.nan_to_num(level[:, 0])
    t = st.GOLDEN * number + st.SHARE * st.SCALE
    day.known["scale"] = np.clip(np.floor(scale / st.SCALE_STEP + t - np.floor(t)), 0, 65535)


def _learn_own(day: _Day, raw: Array, days: Array, first: Array, number: float) -> None:
    known = day.known["own"]
    own, v = st.OWN_LOW + st.OWN_STEP * known[:, 0], st.VARIANCES[known[:, 1]]
    told = ~first & ~np.isnan(raw)
    e = np.where(told, np.minimum(np.nan_to_num(raw) - own, 2 * np.sqrt(v)), 0.0)
    w = np.maximum(sw.MEMORY, 1 / (days + 8))
    mean = _bytes(known[:, 0] + w * e / st.OWN_STEP, number, st.OWN)
    var = _variance(known[:, 1], e, w, np.zeros_like(first), number, st.OWN + 1)
    known[:, 0], known[:, 1] = np.where(told, mean, known[:, 0]), np.where(told, var, known[:, 1])
    known[first, 0] = np.uint8((-4.0 - st.OWN_LOW) / st.OWN_STEP)
    known[first, 1] = _bytes(np.array(np.log(1.5 / st.VAR_LOW) / st.VAR_STEP), 0.0, 0)
