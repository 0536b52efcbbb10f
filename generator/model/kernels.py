"""Drawing day curves, compiled: states, then ranks by either engine, then Wh.

Every number depends on (seed, meter, day) and the model alone; the order of meters and days
and who draws them change nothing. Arithmetic is float64 without contraction,
so the same machine code gives the same bits for any shard.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from generator.model.ranks import BELOW, FINE_SHIFT, KNOT_START, KNOT_STEPS
from generator.model.states import COMPONENT, OFF, PARTS, SEAM, own_part, phi, three_days, weights
from generator.noise import draw, meter_key, mix, normal, uniform

# purposes of draws, beside those of `states`
JITTER, PICK, MOVE = 0, 500, 600
_16, _MASK16 = np.uint64(16), np.uint64(0xFFFF)
_8, _FF = np.uint64(8), np.uint64(0xFF)
_24, _MASK24 = np.uint64(24), np.uint64(0xFFFFFF)
_40 = np.uint64(40)
_RANKS = 65536.0

AIM_SPREAD = 1.5
"""A block that fits is seldom as extreme as was aimed at: what is chosen has less variance, by
block and by day, than what is real. So the aims are spread."""
WEIGH_ENTRY, WEIGH_MEAN, WEIGH_BASE, WEIGH_END = (
    np.int32(5),
    np.int32(3),
    np.int32(1),
    np.int32(5),
)
"""What a unit of rank counts when a block is chosen: its entry, halves' means, base, and end."""
WEIGH_PERIOD, WEIGH_SEASON = np.int32(60), np.int32(120)
"""What a block of another period, and of another season, counts against it."""
SEASONS = 4
CANDIDATES = 24
_int = np.int32
_NONE, _MOST = _int(0), _int(2**31 - 1)
OFF_WEIGH = weights([0.7, 0.25])
"""Off days come in runs: of their state nearly all is remembered."""
WINDOW_LEAST, WINDOW_SHARE = 10, 0.15


hot = njit(cache=True, nogil=True, _nrt=False)  # type: ignore[call-overload]
"""For what runs once a day or more often: without counting who holds which array, which took
two fifths of the time (an atomic instruction for each array, view and call). Such a function
cannot make an array: scratch comes from outside."""


class Tables(NamedTuple):
    """A model as the kernels read it; see `Model` and `donors.lists` for what they hold."""

    rows_of: npt.NDArray[np.int32]
    quantiles: npt.NDArray[np.float64]
    targets: npt.NDArray[np.uint8]
    off: npt.NDArray[np.float64]
    mixing: npt.NDArray[np.float64]
    weigh: npt.NDArray[np.float64]
    driven: npt.NDArray[np.float64]
    seam: npt.NDArray[np.float64]
    factors: npt.NDArray[np.float64]
    blocks: npt.NDArray[np.uint8]
    bounds: npt.NDArray[np.int32]
    marks: npt.NDArray[np.int32]
    scale: npt.NDArray[np.int32]
    number: npt.NDArray[np.int32]
    habit: npt.NDArray[np.float64]
    move_class: npt.NDArray[np.int32]
    moves: npt.NDArray[np.uint32]


class Scratch(NamedTuple):
    """Room to work in, one a thread; see `scratch_of`."""

    z: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    rank: npt.NDArray[np.uint32]
    wh: npt.NDArray[np.float64]


def scratch_of(slots: int) -> Scratch:
    return Scratch(
        np.empty(PARTS),
        np.empty(PARTS),
        np.empty(slots, np.uint32),
        np.empty(KNOT_START.size),
    )


class Days(NamedTuple):
    """Days to draw: numbers, kinds, periods int64[n]; drivers float64[n, 3].

    The drivers are those of the day before, of the day, and of the day after.
    """

    numbers: npt.NDArray[np.int64]
    kinds: npt.NDArray[np.int64]
    periods: npt.NDArray[np.int64]
    drivers: npt.NDArray[np.float64]


@njit(cache=True, inline="always")
def _seam(key, day, both, tables):  # type: ignore[no-untyped-def]
    """Rank × 256 of the last slot before `day`: drawn alone, so that both days know it.

    both: how full the two days are, added.
    """
    return phi(tables.seam[0] * both + tables.seam[1] * normal(draw(key, day, SEAM))) * 256.0


@hot
def _targets(key, day, home, row, kind, full, tables, z, out):  # type: ignore[no-untyped-def]
    """Parts' ranks × 255 of the day into out, float64[PARTS]."""
    mixing = tables.mixing[home]
    for a in range(PARTS):
        z[a] = mixing[0, a] * full
    for j in range(1, PARTS):
        x = own_part(key, day, COMPONENT + j, tables.weigh[home, j])
        for a in range(PARTS):
            z[a] += mixing[j, a] * x
    curve = tables.targets[row, kind]
    last = tables.targets.shape[2] // PARTS - 1
    for a in range(PARTS):
        at = phi(AIM_SPREAD * z[a]) * last
        k = min(np.int64(at), last - 1)
        place = np.uint64(a * (last + 1) + k)
        low, high = curve[place], curve[place + np.uint64(1)]
        out[a] = low + (at - k) * (high - low)


@hot
def _choose(bits, start, stop, t1, t2, base, now, end, period, closing, marks):  # type: ignore[no-untyped-def]
    """Place in the list [start, stop) of the block that fits best.

    The list is in order of the blocks' means. Of the stretch around the mean that is wanted,
    CANDIDATES that follow each other are compared, from a place drawn by chance; one loop
    without branches, in whole numbers of 32 bits (numba makes them 64 wherever it is not told),
    which compiles to vector instructions.
    """
    low, rest, mean = start, stop - start, t1 + t2
    means = marks[6]
    while rest > 0:  # without a branch that depends on chance, which the processor would guess
        half = (rest + 1) >> 1
        low += half * np.int64(means[np.uint64(low + half - 1)] < mean)
        rest -= half
    half = max(WINDOW_LEAST, np.int64((stop - start) * WINDOW_SHARE))
    left, right = max(low - half, start), min(low + half, stop)
    count = min(right - left, CANDIDATES)
    free = np.uint64(right - left - count + 1)
    left += np.int64(((bits & _MASK16) * free) >> _16)
    first, least = np.uint64(left), _MOST
    for c in range(count):
        k = first + np.uint64(c)
        means_off = _int(abs(_int(marks[0, k] - t1)) + abs(_int(marks[1, k] - t2)))
        cost = _int(WEIGH_ENTRY * abs(_int(marks[2, k] - now)))
        cost = _int(cost + _int(WEIGH_MEAN * means_off))
        cost = _int(cost + _int(WEIGH_BASE * abs(_int(marks[3, k] - base))))
        cost = _int(cost + _int(closing * abs(_int(marks[4, k] - end))))
        cost = _int(cost + (WEIGH_PERIOD if marks[5, k] != period else _NONE))
        season = _int(_int(marks[5, k] ^ period) & _int(SEASONS - 1))
        cost = _int(cost + (WEIGH_SEASON if season != 0 else _NONE))
        least = _int(min(least, _int(_int(cost * _int(64)) + _int(c))))
    return left + np.int64(least & 63)


@hot
def _block_day(key, day, home, kind, period, start, end, target, tables, rank):  # type: ignore[no-untyped-def]
    """Ranks (uint16) of a day, from blocks matched on the last rank and the day's parts."""
    count, length = tables.bounds.shape[2], tables.blocks.shape[1]
    now, slot = tables.scale[min(np.int64(start), 255)], 0
    jitter = np.uint64(0)
    for b in range(count):
        place = _choose(
            draw(key, day, PICK + b),
            tables.bounds[home, kind, b, 0],
            tables.bounds[home, kind, b, 1],
            np.int32(target[2 * b]),
            np.int32(target[2 * b + 1]),
            np.int32(target[PARTS - 1]),
            now,
            tables.scale[min(np.int64(end), 255)],
            period,
            WEIGH_END if b == count - 1 else np.int32(0),
            tables.marks,
        )
        block = tables.blocks[tables.number[place]]
        for i in range(length):
            if slot & 7 == 0:
                jitter = draw(key, day, JITTER + slot)
            rank[slot] = (np.uint32(block[i]) << np.uint32(8)) | np.uint32(jitter & _FF)
            jitter >>= _8
            slot += 1
        now = tables.scale[block[length - 1]]


@hot
def _chain_day(key, day, home, row, kind, start, target, tables, rank):  # type: ignore[no-untyped-def]
    """Ranks (uint16) of a day, slot by slot: next state given the state and the habit level."""
    moves = tables.moves[tables.move_class[home]]
    habit = tables.habit[row, kind]
    levels, states = moves.shape[0], moves.shape[1]
    slots = len(rank)
    hours = slots // (PARTS - 1)
    state = min(np.int64(start * states / 256.0), states - 1)
    slot = 0
    for part in range(PARTS - 1):
        mean = target[part] / 255.0
        for _ in range(hours):
            level = np.int64((mean + habit[slot]) * levels)
            level = min(max(level, 0), levels - 1)  # type: ignore[arg-type]
            bits = draw(key, day, MOVE + slot)
            place = np.int64(((bits & _MASK16) * np.uint64(states)) >> _16)
            entry = moves[level, state, place]
            if ((bits >> _16) & _MASK24) < np.uint64(entry >> np.uint32(8)):
                state = place
            else:
                state = np.int64(entry & np.uint32(255))
            rank[slot] = np.uint32((state * _RANKS + np.float64(bits >> _40) / 256.0) / states)
            slot += 1


@hot
def draw_ranks(  # type: ignore[no-untyped-def]
    key,
    day,
    home,
    row,
    kind,
    period,
    before,
    driver,
    after,
    chain,
    tables,
    scratch,
    rank,
):
    """Ranks (uint32[slots], below 65536) of a meter's day; False if the day is off."""
    z, target = scratch
    share = tables.off[row, 0]
    if share > 0 and phi(own_part(key, day, OFF, OFF_WEIGH)) < share:
        return False
    # How full the days are: the common driver, and the home's own part.
    driven = tables.driven[home]
    own = np.sqrt(1.0 - driven * driven)
    yesterday, full, tomorrow = three_days(key, day, COMPONENT, tables.weigh[home, 0])
    yesterday = driven * before + own * yesterday
    full = driven * driver + own * full
    tomorrow = driven * after + own * tomorrow
    start = _seam(key, day, yesterday + full, tables)
    _targets(key, day, home, row, kind, full, tables, z, target)
    if chain:
        _chain_day(key, day, home, row, kind, start, target, tables, rank)
    else:
        end = _seam(key, day + 1, full + tomorrow, tables)
        _block_day(key, day, home, kind, np.int32(period), start, end, target, tables, rank)
    return True


@njit(cache=True, inline="always")
def _value(wh, rank):  # type: ignore[no-untyped-def]
    """Wh at a rank (of 65536) of a quantile function float64[KNOTS]."""
    k = np.int64(BELOW[rank >> FINE_SHIFT])
    return wh[k] + (np.float64(rank) - KNOT_START[k]) * KNOT_STEPS[k] * (wh[k + 1] - wh[k])


@hot
def draw_curves(  # type: ignore[no-untyped-def]
    seed,
    meters,
    order,
    homes,
    partners,
    weights,
    scales,
    years,
    days,
    chain,
    tables,
    scratch,
    out,
):
    """Wh of meters' days into out, uint16[meters, days, slots].

    meters: int64[n]; order: int64[n], in which they are drawn (by home, so that
    tables stay in cache); homes, partners: int32[n]; weights, scales: float64[n].
    """
    slots = out.shape[2]
    rank, wh = scratch.rank, scratch.wh
    engine = np.int64(chain)
    for i in order:
        key = meter_key(seed, meters[i])
        home, partner, w, scale = homes[i], partners[i], weights[i], scales[i]
        period, periods = -1, tables.rows_of.shape[1]
        for d in range(len(days.numbers)):
            if (days.periods[d] + SEASONS * years[i]) % periods != period:
                period = (days.periods[d] + SEASONS * years[i]) % periods
                row = np.int64(tables.rows_of[home, period])
                mine = tables.quantiles[engine, row]
                theirs = tables.quantiles[engine, tables.rows_of[partner, period]]
                for k in range(KNOT_START.size):
                    wh[k] = scale * (mine[k] + w * (theirs[k] - mine[k]))
            kind = days.kinds[d]
            curve = out[i, d]
            if not draw_ranks(
                key,
                days.numbers[d],
                home,
                row,
                kind,
                period,
                days.drivers[d, 0],
                days.drivers[d, 1],
                days.drivers[d, 2],
                chain,
                tables,
                scratch[:2],
                rank,
            ):
                curve[:] = np.uint16(min(tables.off[row, 1] * scale + 0.5, 65535.0))
                continue
            factor = tables.factors[engine, kind]
            for s in range(slots):
                curve[s] = np.uint16(min(_value(wh, rank[s]) * factor[s] + 0.5, 65535.0))


@hot
def count_ranks(seed, meters, homes, days, chain, tables, scratch, counts, sums):  # type: ignore[no-untyped-def]
    """What is drawn in each row: adds to counts int64[rows, 2048], ranks by 32, and to sums.

    sums: float64[rows, 2], Wh with and without the factors of the slots.
    """
    slots = tables.factors.shape[2]
    rank = scratch.rank
    engine = np.int64(chain)
    for i in range(len(meters)):
        key, home = meter_key(seed, meters[i]), homes[i]
        for d in range(len(days.numbers)):
            row = np.int64(tables.rows_of[home, days.periods[d]])
            kind, driver = days.kinds[d], days.drivers[d]
            if draw_ranks(
                key,
                days.numbers[d],
                home,
                row,
                kind,
                days.periods[d],
                driver[0],
                driver[1],
                driver[2],
                chain,
                tables,
                scratch[:2],
                rank,
            ):
                for s in range(slots):
                    r = rank[s]
                    counts[row, r >> FINE_SHIFT] += 1
                    wh = _value(tables.quantiles[engine, row], r)
                    sums[row, 0] += wh * tables.factors[engine, kind, s]
                    sums[row, 1] += wh


@hot
def draw_people(seed, meters, near, periods, spread, most, homes, partners, weights, scales, years):  # type: ignore[no-untyped-def]
    """New homes: a home, a partner among those most alike, how much of it, and a scale.

    spread: sd of the scale's logarithm; most: largest weight of the partner.
    """
    count, few = near.shape
    for i in range(len(meters)):
        bits = mix(meter_key(seed, meters[i]) + np.uint64(0x5EED))
        home = np.int64(((bits & np.uint64(0xFFFFFFFF)) * np.uint64(count)) >> np.uint64(32))
        homes[i] = home
        partners[i] = near[home, np.int64((bits >> np.uint64(32)) % np.uint64(few))]
        weights[i] = most * uniform(mix(bits + np.uint64(1)))
        # sum of three uniforms: bell-shaped, mean 0, variance 1/4
        bell = uniform(mix(bits + np.uint64(2))) + uniform(mix(bits + np.uint64(3)))
        bell += uniform(mix(bits + np.uint64(4))) - 1.5
        years[i] = np.int64((bits >> _24) % np.uint64(periods))
        scales[i] = np.exp(2.0 * spread * bell - 0.5 * spread * spread)
