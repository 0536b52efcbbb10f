"""A town: the homes that are drawn, with their layers and their common driver, ready to be sent.

    town = Town(seed=7, time_zone="Europe/Paris")
    wh = town.local_day(meters, date(2025, 3, 30))   # 46 slots on this day

A `Town` is small and travels to other processes; the model is loaded where it is used first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from generator.model.artefact import ENGINES, Model, shipped
from generator.model.driver import Driver
from generator.model.sampler import Generator
from generator.town.layers import Flags, Layer, Layers
from wattstorm.errors import UsageError
from wattstorm.metering.block import ABSENT_U16
from wattstorm.metering.slots import LocalCalendar, clock_places, day_number

Wh = npt.NDArray[np.uint16] | npt.NDArray[np.int32]
Meters = npt.NDArray[np.int64]
MOST_WH: Final = ABSENT_U16 - 1
"""Largest Wh of a slot: one more says in a block of curves that there is no reading."""
_CAR_WATTS: Final = 7400.0
_WATER_WATTS: Final = 2400.0
_SUN_WATTS: Final = 6000.0


@dataclass(frozen=True)
class Town:
    """What the curves depend on, together with the meter and the day.

    model: directory of an artefact, None for the one that comes with wattstorm. layers: None
    for homes as fitted; then curves are uint16, with layers int32 (net, producers go below 0).
    """

    seed: int = 1
    time_zone: str = "Europe/Paris"
    engine: str = "block"
    model: Path | None = None
    driver: Driver | None = None
    layers: Layers | None = None
    threads: int = 1

    @cached_property
    def generator(self) -> Generator:
        model = shipped() if self.model is None else Model.load(self.model)
        return Generator(
            model,
            seed=self.seed,
            time_zone=self.time_zone,
            engine=self.engine,
            driver=self.driver,
            threads=self.threads,
        )

    def __getstate__(self) -> dict[str, object]:
        return {k: v for k, v in self.__dict__.items() if k != "generator"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)

    @property
    def calendar(self) -> LocalCalendar:
        return self.generator.calendar

    @property
    def value_bytes(self) -> int:
        """Bytes of one value of `local_day`."""
        return 2 if self.layers is None else 4

    def local_day(self, meters: Meters, day: date) -> Wh:
        """[n, slots of the local day], Wh; at most MOST_WH where there are no layers.

        Of a day of 46 half hours the missing hour is left out, of a day of 50 the
        doubled hour is drawn once and repeated.
        """
        number = day_number(day)
        drawn = self.generator.curves(meters, [day])
        np.minimum(drawn, np.uint16(MOST_WH), out=drawn)
        wh: npt.NDArray[Any] = drawn
        if self.layers is not None:
            wh = self.layers.apply(drawn, self.seed, meters, [number])
        places: Any = clock_places(self.calendar, number)
        if np.array_equal(places, np.arange(wh.shape[2])):
            places = slice(None)
        out: Wh = np.ascontiguousarray(wh[:, 0, places])
        return out

    def flags(self, meters: Meters) -> Flags:
        """uint8[n], `Layer`s of each meter; 0 without layers."""
        if self.layers is None:
            return np.zeros(len(meters), np.uint8)
        return self.layers.flags(self.seed, meters)

    def peak_watts(self, meters: Meters) -> npt.NDArray[np.float64]:
        """float64[n], W that no slot of any day exceeds, in either direction.

        A bound, not the largest value ever drawn: the top of the home's own quantile
        function in any season, times the largest calibration factor.
        """
        generator, model = self.generator, self.generator.model
        engine = ENGINES.index(self.engine)
        top = model.quantiles[engine, :, -1].astype(np.float64)[model.rows_of].max(axis=1)
        idle = model.off[:, 1].astype(np.float64)[model.rows_of].max(axis=1)
        top = np.maximum(top * float(model.factors[engine].max()), idle)
        who = generator.people(meters)
        wh = who.scales * (top[who.homes] + who.weights * (top[who.partners] - top[who.homes]))
        watts = (wh + 1) * 60 / model.minutes
        if self.layers is None:
            return np.asarray(watts)
        return self._with_layers(watts, self.flags(meters))

    def _with_layers(self, watts: npt.NDArray[np.float64], flags: Flags) -> npt.NDArray[np.float64]:
        assert self.layers is not None
        slots = self.generator.model.slots
        night = max(1, int(self.layers.hours * slots / 24))
        shift = 1 + self.layers.shifted * (slots - night) / night
        has = {layer: (flags & layer) != 0 for layer in Layer}
        watts = np.where(has[Layer.OFF_PEAK], watts * shift, watts) + 2
        watts = watts + np.where(has[Layer.WATER_HEATER], _WATER_WATTS, 0)
        watts = watts + np.where(has[Layer.CAR], _CAR_WATTS, 0)
        return np.where(has[Layer.SOLAR], np.maximum(watts, _SUN_WATTS), watts)


def share_of(count: int, index: int, of: int) -> tuple[int, int]:
    """First and last + 1 of shard `index` (from 1) `of` so many; shards follow each other."""
    if not 1 <= index <= of:
        raise UsageError(f"shard {index}/{of}", "write i/n with i from 1 to n")
    return count * (index - 1) // of, count * index // of
