"""Generator: day curves of any meters and any days, in integer Wh.

    generator = Generator(Model.load(path), seed=7, time_zone="Europe/Paris")
    wh = generator.curves(np.arange(1_000_000), [date(2025, 1, 14)])  # uint16[meters, days, slots]

What comes out depends on (model, seed, driver, meter, day, engine) alone: shards of meters or
of days, drawn by whomever in whatever order, are the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from generator.model import kernels
from generator.model.artefact import ENGINES, Model
from generator.model.driver import Driver
from generator.model.tables import People, days_of, people, tables_of, twins
from wattstorm.errors import UsageError
from wattstorm.metering.slots import LocalCalendar, SlotGrid, clock_places, day_number

Curves = npt.NDArray[np.uint16]
CHUNK: Final = 1 << 16
"""Meters drawn in one go: their descriptions take 2 MB beside the output."""


class Generator:
    """Draws curves from a model.

    seed: another seed, another population. time_zone: whose days the curves are of
    (default: the training data's). engine: "block" or "chain". twins: meter m is training home m
    (for validation); otherwise each meter is a new home. driver: what moves homes together.
    """

    def __init__(
        self,
        model: Model,
        *,
        seed: int = 1,
        time_zone: str | None = None,
        engine: str = "block",
        twins: bool = False,
        driver: Driver | None = None,
        threads: int = 1,
    ) -> None:
        if engine not in ENGINES:
            raise UsageError(f"no engine is called {engine!r}", f"take {' or '.join(ENGINES)}")
        if not 0 <= seed < 2**63:
            raise UsageError(f"seed {seed}", "take a whole number from 0 to 2^63 - 1")
        self.model, self.seed, self.engine, self.driver = model, seed, engine, driver
        self.twins, self.threads = twins, max(1, threads)
        zone = time_zone or str(model.card.get("time_zone", "UTC"))
        self.calendar = LocalCalendar(SlotGrid(model.minutes), zone)
        self._tables = tables_of(model)

    def people(self, meters: npt.ArrayLike) -> People:
        """Who these meters are. meters: whole numbers ≥ 0, [n]."""
        numbers = np.asarray(meters, np.int64)
        return (
            twins(self.model, numbers)
            if self.twins
            else people(self.model, self.seed, numbers, ENGINES.index(self.engine))
        )

    def curves(
        self,
        meters: npt.ArrayLike,
        days: Sequence[date] | npt.NDArray[np.int64],
        out: Curves | None = None,
    ) -> Curves:
        """uint16[meters, days, slots], Wh by slot of the wall clock (48 a day, always).

        days: dates or day numbers, in any order. out: where to put them, else a new array.
        Values above 65,535 Wh a slot are cut there.
        """
        numbers = np.asarray(meters, np.int64)
        if numbers.size and numbers.min() < 0:
            raise UsageError(f"meter {numbers.min()}", "meters are numbered from 0")
        dates = np.array([d if isinstance(d, (int, np.integer)) else day_number(d) for d in days])
        shape = (len(numbers), len(dates), self.model.slots)
        if out is None:
            out = np.empty(shape, np.uint16)
        elif out.shape != shape or out.dtype != np.uint16:
            raise UsageError(f"out is {out.dtype}{out.shape}", f"give uint16{shape}")
        if out.size:
            self._draw(numbers, days_of(self.model, dates.astype(np.int64), self.driver), out)
        return out

    def local_day(self, meters: npt.ArrayLike, day: date) -> Curves:
        """uint16[meters, slots of the local day]: 46, 48 or 50 of half hours.

        The hour that does not exist is left out, the hour that comes twice is drawn once and
        repeated: the other slots are those of `curves`.
        """
        places = clock_places(self.calendar, day_number(day))
        return np.ascontiguousarray(self.curves(meters, [day])[:, 0, places])

    def slot_wh(self, meters: npt.ArrayLike, slot: int) -> npt.NDArray[np.uint16]:
        """uint16[meters], Wh in one slot since the epoch (draws its day: keep `local_day`
        where more than one slot of it is wanted)."""
        day = self.calendar.date_of(slot)
        return np.ascontiguousarray(
            self.local_day(meters, day)[:, slot - self.calendar.day_slots(day).start]
        )

    def _draw(self, meters: npt.NDArray[np.int64], days: kernels.Days, out: Curves) -> None:
        starts = range(0, len(meters), CHUNK)

        def work(at: int) -> None:
            self._chunk(meters[at : at + CHUNK], days, out[at : at + CHUNK])

        if self.threads == 1 or len(starts) == 1:
            for at in starts:
                work(at)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, starts))

    def _chunk(self, meters: npt.NDArray[np.int64], days: kernels.Days, out: Curves) -> None:
        """One chunk, drawn home by home so that a home's tables stay in cache."""
        who = self.people(meters)
        order = np.argsort(who.homes, kind="stable")
        kernels.draw_curves(
            self.seed,
            meters,
            order,
            *who,
            days,
            self.engine == "chain",
            self._tables,
            kernels.scratch_of(out.shape[2]),
            out,
        )
