"""The common driver: what moves all homes together, one number a day.

Mean 0 and variance 1 over a season; positive means that homes use more than they
usually do in it. It is, in this order: given, made from temperatures that are given, the one
found in the training data (for days inside the training period), or generated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from generator.model import states
from wattstorm.errors import UsageError

HEATING_C: Final = 15.0
COOLING_C: Final = 24.0
_WEIGH: Final = states.weights([0.35, 0.45])
_NORM_DAYS: Final = 29
_DEGREES: Final = 3.0


@dataclass(frozen=True)
class Driver:
    """Common driver by day.

    seed: of the generated one. known: day number → value, those that are not to be
    generated. strength: 1 as fitted; 0 leaves homes independent of each other.
    """

    seed: int = 0
    known: Mapping[int, float] | None = None
    strength: float = 1.0

    def values(self, days: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """float64[n] of day numbers int[n]."""
        known = self.known or {}
        numbers = [int(d) for d in np.asarray(days).ravel()]
        return self.strength * np.array(
            [known[d] if d in known else generated(self.seed, d) for d in numbers]
        )


def generated(seed: int, day: int) -> float:
    """The driver of a day when nobody gives one."""
    key = np.uint64((seed * 0x9E3779B97F4A7C15 + 0xD71E) & 0xFFFFFFFFFFFFFFFF)
    return float(states.own_part(key, day, states.DRIVER, _WEIGH))


def from_temperatures(
    days: npt.ArrayLike, celsius: npt.ArrayLike, seed: int = 0, strength: float = 1.0
) -> Driver:
    """Driver of daily mean temperatures: colder than the season's usual below HEATING_C and
    hotter above COOLING_C raise consumption.

    days: int[n] day numbers, consecutive; celsius: float[n].
    """
    numbers, degrees = np.asarray(days, np.int64), np.asarray(celsius, np.float64)
    if numbers.shape != degrees.shape or numbers.size < 2 or (np.diff(numbers) != 1).any():
        raise UsageError(
            f"{degrees.size} temperatures for {numbers.size} days",
            "give one daily mean for each of consecutive days",
        )
    if not np.isfinite(degrees).all() or np.abs(degrees).max() > 70:
        raise UsageError("a temperature is missing or beyond ±70 °C", "give °C, one for each day")
    need = np.maximum(HEATING_C - degrees, 0) + np.maximum(degrees - COOLING_C, 0)
    half = min(_NORM_DAYS // 2, numbers.size - 1)
    window = np.ones(2 * half + 1)
    padded = np.pad(need, half, mode="reflect") if half else need
    usual = np.convolve(padded, window / window.size, mode="valid")
    value = np.clip((need - usual) / _DEGREES, -3, 3)
    return Driver(seed, dict(zip(numbers.tolist(), value.tolist(), strict=True)), strength)
