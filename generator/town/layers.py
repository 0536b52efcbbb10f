"""Optional layers on top of a home's curve: what some homes have beside what all have.

    water heater   fires at the home's off-peak hours until the day's hot water is made
    off-peak home  moves a share of what it uses by day into those hours
    car            charges after it comes home, or from the off-peak hour on
    solar          produces by day: the net of such a home is negative at noon

Each is a pure function of (seed, meter, day) as the curves are; who has what is drawn from the
meter's number with the stated shares, or given by flags from a meter register.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
import numpy.typing as npt
from numba import njit

from generator.noise import draw, meter_key, mix, normal, uniform
from wattstorm.errors import UsageError

Flags = npt.NDArray[np.uint8]
Net = npt.NDArray[np.int32]

WHO, WATER, CAR, SUN, CLOUD = 700, 710, 720, 730, 740
_FLAG_WATER, _FLAG_SHIFT, _FLAG_CAR, _FLAG_SUN = 1, 2, 4, 8


class Layer(IntFlag):
    """What a home has; OFF_PEAK homes shift, and charge their car, in off-peak hours."""

    WATER_HEATER = _FLAG_WATER
    OFF_PEAK = _FLAG_SHIFT
    CAR = _FLAG_CAR
    SOLAR = _FLAG_SUN


@dataclass(frozen=True)
class Layers:
    """Shares of homes with each layer, 0 to 1, and what the layers are like.

    off_peak: share of homes on an off-peak tariff; `water_heater`: share of those with one.
    start_hours: local hours at which off-peak begins (a home has one of them), `hours`
    long. latitude, degrees north (negative: south), moves the sun.
    """

    off_peak: float = 0.0
    water_heater: float = 0.8
    car: float = 0.0
    solar: float = 0.0
    start_hours: tuple[float, ...] = (21.5, 22.0, 22.5, 23.0, 23.5)
    hours: float = 8.0
    shifted: float = 0.12
    latitude: float = 46.5

    def __post_init__(self) -> None:
        for name in ("off_peak", "water_heater", "car", "solar", "shifted"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UsageError(f"{name} = {value}", "give a share from 0 to 1")
        if not self.start_hours or not all(0 <= h < 24 for h in self.start_hours):
            raise UsageError(f"start_hours = {self.start_hours}", "give hours from 0 to below 24")
        if not 0 < self.hours <= 12 or abs(self.latitude) > 66:
            raise UsageError(
                f"hours = {self.hours}, latitude = {self.latitude}",
                "off-peak lasts up to 12 hours, latitudes go to 66 degrees",
            )

    def flags(self, seed: int, meters: npt.ArrayLike) -> Flags:
        """uint8[n], `Layer`s of each meter."""
        numbers = np.asarray(meters, np.int64)
        out = np.empty(len(numbers), np.uint8)
        _draw_flags(seed, numbers, self.off_peak, self.water_heater, self.car, self.solar, out)
        return out

    def apply(
        self,
        wh: npt.NDArray[np.uint16],
        seed: int,
        meters: npt.ArrayLike,
        days: npt.ArrayLike,
        flags: Flags | None = None,
    ) -> Net:
        """int32[meters, days, slots]: net Wh (import minus export) with the layers.

        wh: what `Generator.curves` gave for these meters and day numbers.
        """
        numbers, dates = np.asarray(meters, np.int64), np.asarray(days, np.int64)
        if wh.shape[:2] != (len(numbers), len(dates)):
            raise UsageError(
                f"curves {wh.shape} of {len(numbers)} meters and {len(dates)} days",
                "give the meters and days that they were drawn for",
            )
        has = self.flags(seed, numbers) if flags is None else flags
        out = wh.astype(np.int32)
        sun = np.array([_sun(int(d), wh.shape[2], self.latitude) for d in dates])
        sky = np.array([_sky(seed, int(d)) for d in dates])
        starts = np.array(self.start_hours)
        _add(seed, numbers, dates, has, starts, self.hours, self.shifted, sun, sky, out)
        return out


def _sun(day: int, slots: int, latitude: float) -> npt.NDArray[np.float64]:
    """float64[slots], sine of the sun's height (Cooper 1969, for the declination)."""
    season = 2 * np.pi * (284 + day % 365.2425) / 365.0
    tilt = np.radians(23.45) * np.sin(season)
    hour = np.pi * ((np.arange(slots) + 0.5) / slots * 24 - 12.5) / 12
    lat = np.radians(latitude)
    height = np.sin(lat) * np.sin(tilt) + np.cos(lat) * np.cos(tilt) * np.cos(hour)
    return np.asarray(np.maximum(height, 0.0))


def _sky(seed: int, day: int) -> float:
    """Clearness of a day for all homes, 0.15 to 1: clouds are common to a country."""
    bits = draw(np.uint64(seed) + np.uint64(0xC10D), np.int64(day), np.int64(CLOUD))
    return 0.15 + 0.85 * float(float(uniform(np.uint64(bits))) ** 0.7)


@njit(cache=True, nogil=True)
def _draw_flags(seed, meters, off_peak, heater, car, solar, out):  # type: ignore[no-untyped-def]
    for i in range(len(meters)):
        bits = mix(meter_key(seed, meters[i]) + np.uint64(WHO))
        flags = 0
        if uniform(bits) < off_peak:
            flags |= _FLAG_SHIFT
            if uniform(mix(bits + np.uint64(1))) < heater:
                flags |= _FLAG_WATER
        if uniform(mix(bits + np.uint64(2))) < car:
            flags |= _FLAG_CAR
        if uniform(mix(bits + np.uint64(3))) < solar:
            flags |= _FLAG_SUN
        out[i] = flags


@njit(cache=True, nogil=True)
def _add(seed, meters, days, flags, starts, hours, shifted, sun, sky, out):  # type: ignore[no-untyped-def]
    """Add the layers to out, int32[meters, days, slots]; each day keeps to itself."""
    slots = out.shape[2]
    per_hour = slots / 24.0
    for i in range(len(meters)):
        has = flags[i]
        if has == 0:
            continue
        key = mix(meter_key(seed, meters[i]) + np.uint64(WHO + 1))
        begin = np.int64(starts[np.int64(key % np.uint64(len(starts)))] * per_hour)
        length = np.int64(hours * per_hour)
        water_w = 1200.0 + 1200.0 * uniform(mix(key + np.uint64(1)))
        water_wh = 3000.0 + 5000.0 * uniform(mix(key + np.uint64(2)))
        car_w = 3700.0 if uniform(mix(key + np.uint64(3))) < 0.6 else 7400.0
        peak_w = 2000.0 + 4000.0 * uniform(mix(key + np.uint64(4)))
        for d in range(len(days)):
            curve = out[i, d]
            if has & _FLAG_SHIFT:
                _shift(curve, begin, length, shifted)
            if has & _FLAG_WATER:
                need = water_wh * max(0.3, 1.0 + 0.25 * normal(draw(key, days[d], WATER)))
                _run(curve, begin, need, water_w / per_hour)
            if has & _FLAG_CAR:
                bits = draw(key, days[d], CAR)
                if uniform(bits) < 0.55:
                    at = (18.5 + 1.8 * normal(draw(key, days[d], CAR + 1))) * per_hour
                    at = float(begin) if has & _FLAG_SHIFT else min(max(at, 0.0), slots - 1.0)
                    _run(
                        curve, np.int64(at), 3000.0 + 15000.0 * uniform(mix(bits)), car_w / per_hour
                    )
            if has & _FLAG_SUN:
                clear = sky[d] * (0.85 + 0.15 * uniform(draw(key, days[d], SUN)))
                for s in range(slots):
                    patch = 1.0 - 0.5 * (1.0 - sky[d]) * uniform(draw(key, days[d], 800 + s))
                    curve[s] -= np.int32(peak_w / per_hour * sun[d, s] * clear * patch + 0.5)


@njit(cache=True, inline="always")
def _run(curve, begin, need, most):  # type: ignore[no-untyped-def]
    """Add `need` Wh from slot `begin` on, `most` Wh a slot; past midnight it goes on at 00:00."""
    left, slots = need, len(curve)
    for k in range(slots):
        if left <= 0:
            return
        used = min(left, most)
        curve[(begin + k) % slots] += np.int32(used + 0.5)
        left -= used


@njit(cache=True, inline="always")
def _shift(curve, begin, length, share):  # type: ignore[no-untyped-def]
    """Move a share of each peak slot into the off-peak slots, Wh for Wh."""
    slots, moved = len(curve), 0
    for k in range(length, slots):
        s = (begin + k) % slots
        part = np.int32(curve[s] * share)
        curve[s] -= part
        moved += part  # type: ignore[assignment]
    each, rest = moved // length, moved % length
    for k in range(length):
        curve[(begin + k) % slots] += each + (1 if k < rest else 0)
