"""Faults of meters and of what carries their readings: which reading has which.

A reading (meter, slot) has one fault at most, drawn from (seed, meter, day) alone, so that
neither shards nor producers nor order change it. Of several, the first in the list of
`Kind` counts. What is then sent, when, and what must become of it: `deliveries`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from generator.noise import draw, meter_key, mix, uniform
from wattstorm.errors import UsageError

CONCENTRATOR: Final = 500
HOURS_LATE: Final = 12
_DEAD, _CLOCK, _GAP_DAY, _STUCK, _SILENT = 1, 2, 3, 4, 5
_READING, _DETAIL = 1000, 3000
_CHUNK: Final = 4096
"""Meters whose faults are drawn in one go: what they could take in memory, not what most do."""


class Kind(IntEnum):
    """In order of precedence; NONE is a reading that is sent once, in time and true."""

    NONE = 0
    DEAD = 1
    """Absent from a day of a month (28 days) to its end."""
    DEAD_ZERO = 2
    """0 Wh from a day of a month (28 days) to its end."""
    GAP_DAY = 3
    """A whole day is missing."""
    SILENT = 4
    """Its concentrator says nothing for 2 to 12 hours, then delivers all at once."""
    CLOCK = 5
    """The meter's clock is off by 1 to 4 slots: it sends the energy of another slot."""
    STUCK = 6
    """The value of an earlier slot again and again, to the end of the day."""
    GAP = 7
    """The reading is missing."""
    LATE = 8
    """Delivered hours or, one in four, one or two days late; taken while its day is open."""
    TOO_LATE = 9
    """Delivered when its day is closed."""
    DOUBLED = 10
    """Sent again, at once or up to hours later."""
    CORRECTED = 11
    """A wrong value, and up to hours later the true one under the next version."""
    CONFLICT = 12
    """A true and a wrong value under the same version: the larger must win."""
    SPIKE = 13
    """Beyond what the contracted power allows."""
    HELD = 14
    """No fault of its own: held back, as the first of too few meters after a silence of the
    whole partition for more than a day (see `silences`)."""


@dataclass(frozen=True)
class Faults:
    """Rates, 0 to 1. Of readings: gap, late, too_late, doubled, corrected, conflict, spike.

    gap_day, stuck: of meters' days; dead: of meters, each 28 days; clock: of meters;
    silent: of concentrators' days, `concentrator` meters each. open_days: as the stream's.
    """

    gap: float = 0.0
    gap_day: float = 0.0
    late: float = 0.0
    too_late: float = 0.0
    doubled: float = 0.0
    corrected: float = 0.0
    conflict: float = 0.0
    spike: float = 0.0
    stuck: float = 0.0
    clock: float = 0.0
    dead: float = 0.0
    silent: float = 0.0
    concentrator: int = CONCENTRATOR
    open_days: int = 3

    def __post_init__(self) -> None:
        for name in RATES:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"fault {name} = {getattr(self, name)}", "give a rate from 0 to 1")
        if (total := float(self.of_readings().sum())) > 1:
            raise UsageError(
                f"the rates {', '.join(_OF_READINGS)} add up to {total:g}", "at most to 1"
            )
        if not 1 <= self.concentrator <= 100_000 or not 1 <= self.open_days <= 31:
            raise UsageError(
                f"concentrator = {self.concentrator}, open_days = {self.open_days}",
                "concentrators have 1 to 100,000 meters, 1 to 31 days are open",
            )

    @property
    def any(self) -> bool:
        return any(getattr(self, name) for name in RATES)

    @property
    def lookback_days(self) -> int:
        """Days whose faults may still have something to deliver."""
        return self.open_days + 3 if self.too_late else 4

    def of_readings(self) -> npt.NDArray[np.float64]:
        return np.array([getattr(self, name) for name in _OF_READINGS])


_MONTH: Final = 28
_MONTHS: Final = np.uint64(_MONTH)
_K_DEAD, _K_ZERO, _K_GAP_DAY = int(Kind.DEAD), int(Kind.DEAD_ZERO), int(Kind.GAP_DAY)
_K_SILENT, _K_CLOCK, _K_STUCK = int(Kind.SILENT), int(Kind.CLOCK), int(Kind.STUCK)
_OF_READINGS: Final = ("gap", "late", "too_late", "doubled", "corrected", "conflict", "spike")
_SINGLE: Final = np.array([Kind[name.upper()] for name in _OF_READINGS], np.uint8)
RATES: Final = tuple(f.name for f in fields(Faults) if f.name not in ("concentrator", "open_days"))
TYPICAL: Final = Faults(
    gap=0.001,
    gap_day=0.0005,
    late=0.002,
    too_late=0.0001,
    doubled=0.001,
    corrected=0.001,
    conflict=0.0002,
    spike=0.0001,
    stuck=0.0005,
    clock=0.001,
    dead=0.002,
    silent=0.005,
)
"""What `--faults typical` means."""


class Events(NamedTuple):
    """Faulty readings of some meters on one day, in order of meter, slot; each [k].

    at: int64, position of the meter among those asked; place: int64, slot of the local day;
    kind: uint8; delay: int32, slots after its own after which the reading (or the second one) is
    delivered; source: int64, the place whose energy is sent (CLOCK: of the day, below 0 or
    beyond it in the days beside); bits: uint64, for sizes.
    """

    at: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    kind: npt.NDArray[np.uint8]
    delay: npt.NDArray[np.int32]
    source: npt.NDArray[np.int64]
    bits: npt.NDArray[np.uint64]


def events(
    faults: Faults,
    seed: int,
    meters: npt.NDArray[np.int64],
    day: int,
    slots: int,
    before: int,
    per_day: int,
) -> Events:
    """Faults of these meters on a day (number) of so many slots.

    before: slots of the day before; per_day: slots of 24 hours.
    """
    starts = range(0, max(1, len(meters)), _CHUNK)
    parts = [_found(faults, _key(seed), meters, a, day, slots, before, per_day) for a in starts]
    at, place, chosen, source = (np.concatenate(column) for column in zip(*parts, strict=True))
    bits = np.empty(len(at), np.uint64)
    _bits(_key(seed), meters, at, place, day, bits)
    delay = _delays(chosen, bits, per_day, faults.open_days)
    silent = chosen == Kind.SILENT
    delay[silent] = source[silent] - place[silent]
    return Events(at, place, chosen, delay, source, bits)


def _found(
    faults: Faults,
    key: int,
    meters: npt.NDArray[np.int64],
    start: int,
    day: int,
    slots: int,
    before: int,
    per_day: int,
) -> tuple[npt.NDArray[Any], ...]:
    """`Events.at`, place, kind and source of a chunk of the meters, from number `start` on."""
    some = meters[start : start + _CHUNK]
    kind = np.zeros((len(some), slots), np.uint8)
    detail = np.zeros(kind.shape, np.int16)
    if faults.any:
        rates = np.array([faults.dead, faults.gap_day, faults.silent, faults.clock, faults.stuck])
        limits = np.cumsum(faults.of_readings())
        _draw(
            key,
            some,
            day,
            before,
            per_day // 24,
            rates,
            faults.concentrator,
            limits,
            kind,
            detail,
        )
    flat = np.flatnonzero(kind.reshape(-1) != 0)
    at, place = np.divmod(flat, slots)
    return at + start, place, kind.reshape(-1)[flat], detail.reshape(-1)[flat].astype(np.int64)


def _key(seed: int) -> int:
    """Seed of the faults: other draws than those of the curves."""
    return (seed ^ 0xFA17_FA17) & (2**63 - 1)


def _delays(
    kind: npt.NDArray[np.uint8], bits: npt.NDArray[np.uint64], per_day: int, open_days: int
) -> npt.NDArray[np.int32]:
    """int32[k], slots; see `Kind`. Late ones come at most two days later."""
    hours = 1 + (bits >> np.uint64(8)) % np.uint64(HOURS_LATE * per_day // 24)
    days = np.uint64(per_day) + (bits >> np.uint64(8)) % np.uint64(per_day + 1)
    delay = np.zeros(len(kind), np.int64)
    for chosen in (Kind.LATE, Kind.DOUBLED, Kind.CORRECTED, Kind.CONFLICT):
        delay = np.where(kind == chosen, hours.astype(np.int64), delay)
    quarter = (bits & np.uint64(3)) == 0
    delay = np.where((kind == Kind.LATE) & quarter, days.astype(np.int64), delay)
    at_once = (bits & np.uint64(1)) == 0
    delay[(kind == Kind.DOUBLED) & at_once] = 0
    delay[kind == Kind.TOO_LATE] = (open_days + 1) * per_day
    return delay.astype(np.int32)


@njit(cache=True, nogil=True)
def _bits(seed, meters, at, place, day, out):  # type: ignore[no-untyped-def]
    for k in range(len(at)):
        out[k] = draw(meter_key(seed, meters[at[k]]), day, _DETAIL + place[k])


@njit(cache=True, nogil=True)
def _silence(seed, group, day, slots, per_hour, rate):  # type: ignore[no-untyped-def]
    """(first place, end) of a concentrator's silence on a day of so many slots; 0, 0: none."""
    key = mix(meter_key(seed, group) + np.uint64(_SILENT))
    if uniform(draw(key, day, 0)) >= rate:
        return 0, 0
    start = np.int64(uniform(draw(key, day, 1)) * slots)
    return start, start + np.int64((2.0 + 10.0 * uniform(draw(key, day, 2))) * per_hour)


@njit(cache=True, nogil=True)
def _draw(seed, meters, day, before, per_hour, rates, group, limits, kind, detail):  # type: ignore[no-untyped-def]
    """Kinds into uint8[n, slots], details into int16[n, slots]: source or place of delivery.

    rates: dead, gap_day, silent, clock, stuck; limits: cumulated rates of the single readings'.
    """
    n, slots = kind.shape
    last = np.int64(-1)
    for i in range(n):
        meter = meters[i]
        key = meter_key(seed, meter)
        month, in_month = day // _MONTH, day % _MONTH
        bits = draw(key, month, _DEAD)
        if uniform(bits) < rates[0] and in_month >= np.int64((bits & np.uint64(0xFF)) % _MONTHS):
            kind[i, :] = _K_ZERO if bits & np.uint64(0x100) else _K_DEAD
            continue
        if uniform(draw(key, day, _GAP_DAY)) < rates[1]:
            kind[i, :] = _K_GAP_DAY
            continue
        if rates[2] > 0:
            if meter // group != last:
                last = meter // group
                old = _silence(seed, last, day - 1, before, per_hour, rates[2])
                new = _silence(seed, last, day, slots, per_hour, rates[2])
            for s in range(min(old[1] - before, slots)):
                kind[i, s], detail[i, s] = _K_SILENT, old[1] - before
            for s in range(new[0], min(new[1], slots)):
                kind[i, s], detail[i, s] = _K_SILENT, max(new[1], detail[i, s])
        bits = draw(key, 0, _CLOCK)
        shift = np.int64(0)
        if uniform(bits) < rates[3]:
            shift = np.int64(bits & np.uint64(3)) + 1
            if bits & np.uint64(4):
                shift = -shift
        bits = draw(key, day, _STUCK)
        stuck = slots
        if uniform(bits) < rates[4]:
            stuck = np.int64((bits & np.uint64(0xFFFF)) % np.uint64(slots))
        for s in range(slots):
            if kind[i, s]:
                continue
            if shift:
                kind[i, s], detail[i, s] = _K_CLOCK, s - shift
            elif s > stuck:
                kind[i, s], detail[i, s] = _K_STUCK, stuck
            else:
                u = uniform(draw(key, day, _READING + s))
                if u < limits[-1]:
                    k = 0
                    while u >= limits[k]:
                        k += 1
                    kind[i, s] = _SINGLE[k]
