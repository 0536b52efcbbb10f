"""Training data: readings in files → whole local days of homes, and what was set aside.

A day curve has one value for each slot of the wall clock (48 with half hours).
The day the clocks go forward is left out, for two of them do not exist; of the day they
go back the first of each repeated pair is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.errors import TrainingError
from wattstorm.files.readings import Wanted, scan_readings
from wattstorm.metering.slots import (
    FIRST_DATE,
    LocalCalendar,
    SlotGrid,
    clock_places,
    date_of_day_number,
)

Floats = npt.NDArray[np.float32]
FEED_STEPS: Final = (60, 30, 15, 10)
MIN_HOMES: Final = 8
MIN_DAYS: Final = 21
FLAT_CV: Final = 0.05
MIN_MEAN_W: Final = 10.0
STRAY: Final = 2.0
"""Times a home's usual highest day from which a day stands apart."""


@dataclass(frozen=True)
class Homes:
    """Whole days of homes.

    wh: float32[homes, days, slots], Wh, NaN where there is no reading; a day of
    a home is whole or absent. days: int32[days], day numbers of local days, in
    order, not always consecutive. ids: the meters, as in the files. aside: reason → how
    many meters were set aside for it.
    """

    wh: Floats
    days: npt.NDArray[np.int32]
    ids: tuple[str, ...]
    time_zone: str
    aside: dict[str, int] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        return 1440 // int(self.wh.shape[2])

    def present(self) -> npt.NDArray[np.bool_]:
        """bool[homes, days], the days that a home has."""
        return np.asarray(~np.isnan(self.wh[:, :, 0]))

    def take(self, homes: npt.ArrayLike | None = None, days: npt.ArrayLike | None = None) -> Homes:
        """Some homes (indices) and some days (bool mask or indices) of these."""
        wh, dates, ids = self.wh, self.days, np.array(self.ids, dtype=object)
        if homes is not None:
            wh, ids = wh[np.asarray(homes)], ids[np.asarray(homes)]
        if days is not None:
            wh, dates = wh[:, np.asarray(days)], dates[np.asarray(days)]
        return Homes(wh, dates, tuple(ids), self.time_zone, self.aside)


def read_homes(
    paths: Sequence[Path],
    time_zone: str,
    *,
    minutes: int = 30,
    wanted: Wanted | None = None,
) -> Homes:
    """Homes from files in the formats of `wattstorm ingest` (meters may have any id).

    Files of 10, 15, 30 or 60 minutes; finer ones are summed to `minutes`, files
    of 60 need minutes=60. TrainingError with its reason if too little is left.
    """
    return set_aside(whole_days(paths, time_zone, minutes=minutes, wanted=wanted))


def whole_days(
    paths: Sequence[Path],
    time_zone: str,
    *,
    minutes: int = 30,
    wanted: Wanted | None = None,
) -> Homes:
    """All homes of the files as `read_homes` has them, none set aside."""
    rows = _readings(paths, wanted or Wanted(time_zone=time_zone))
    step = _step(rows)
    if step > minutes:
        raise TrainingError(
            f"the readings come every {step} minutes, the model asks for {minutes}",
            f"fit with slots of {step} minutes",
        )
    return _grid(rows, step, minutes, time_zone)


def together(parts: Sequence[Homes], moved_days: Sequence[int]) -> Homes:
    """Homes of several sources as one; each source's days are moved by whole weeks.

    Half a year (182 days) puts southern winters on northern ones. The first source's time zone
    stays on the result.
    """
    for part, moved in zip(parts, moved_days, strict=True):
        if moved % 7 or part.wh.shape[2] != parts[0].wh.shape[2]:
            raise TrainingError(
                f"{part.minutes}-minute homes moved by {moved} days",
                "move by whole weeks, and give all homes the same slots",
            )
    starts = [part.days.astype(np.int64) + m for part, m in zip(parts, moved_days, strict=True)]
    days = np.unique(np.concatenate(starts))
    wh = np.full(
        (sum(len(p.ids) for p in parts), len(days), parts[0].wh.shape[2]), np.nan, np.float32
    )
    ids: list[str] = []
    for part, own in zip(parts, starts, strict=True):
        wh[len(ids) : len(ids) + len(part.ids), np.searchsorted(days, own)] = part.wh
        ids += part.ids
    aside: dict[str, int] = {}
    for part in parts:
        for reason, n in part.aside.items():
            aside[reason] = aside.get(reason, 0) + n
    return Homes(wh, days.astype(np.int32), tuple(ids), parts[0].time_zone, aside)


def set_aside(homes: Homes, *, min_homes: int = MIN_HOMES, min_days: int = MIN_DAYS) -> Homes:
    """Homes without those that nothing can be learnt from, counted by reason."""
    aside = dict(homes.aside)
    with np.errstate(invalid="ignore"):
        mean = np.nanmean(np.where(np.isnan(homes.wh), np.nan, homes.wh), axis=(1, 2))
        spread = np.nanstd(homes.wh, axis=(1, 2))
        negative = (homes.wh < 0).any(axis=(1, 2))
    days = homes.present().sum(axis=1)
    good = np.ones(len(homes.ids), bool)
    for reason, bad in (
        (f"fewer than {min_days} whole days", days < min_days),
        ("negative readings", negative),
        (f"mean below {MIN_MEAN_W:g} W", ~(mean * 60 / homes.minutes >= MIN_MEAN_W)),
        ("flat", ~(spread > FLAT_CV * mean)),
    ):
        hit = good & bad
        if hit.any():
            aside[reason] = aside.get(reason, 0) + int(hit.sum())
        good &= ~bad
    if good.sum() < min_homes:
        why = ", ".join(f"{n} {reason}" for reason, n in aside.items()) or "none set aside"
        raise TrainingError(
            f"{int(good.sum())} usable homes of {len(good)}, {min_homes} are needed ({why})",
            f"give more homes, each with {min_days} whole days or more",
        )
    kept = homes.take(homes=np.flatnonzero(good))
    stray = _stray_days(kept.wh)
    if stray.any():
        aside["single days that stand apart"] = int(stray.sum())
        kept.wh[stray] = np.nan
    some = kept.present().any(axis=0)
    kept = kept.take(days=some)
    return Homes(kept.wh, kept.days, kept.ids, kept.time_zone, aside)


def _stray_days(wh: Floats) -> npt.NDArray[np.bool_]:
    """bool[homes, days]: days far above anything else of the home, by peak or by energy.

    A single day that no other resembles is a fault or a secret, and nothing to learn from.
    """
    peak, energy = wh.max(axis=2), wh.sum(axis=2)
    out: npt.NDArray[np.bool_] = np.zeros(peak.shape, bool)
    for measure in (peak, energy):
        usual = np.nanquantile(measure, 0.98, axis=1, keepdims=True)
        out |= measure > STRAY * np.maximum(usual, 1.0)
    return out


def _readings(paths: Sequence[Path], wanted: Wanted) -> pl.DataFrame:
    """Columns id (text), at (s), wh; one row a meter and stamp."""
    frames = [
        scan_readings(path, i, wanted).select(
            pl.col("raw_meter").alias("id"), (pl.col("at") // 1_000_000), "wh"
        )
        for i, path in enumerate(paths)
    ]
    rows = pl.concat(frames).drop_nulls().unique(["id", "at"], keep="last").collect()
    if not rows.height:
        raise TrainingError(
            f"no reading can be read from {', '.join(map(str, paths))}", "see wattstorm ingest -h"
        )
    return rows.sort("id", "at")


def _step(rows: pl.DataFrame) -> int:
    """Minutes between readings: the commonest gap within a meter."""
    gap = rows.select(pl.col("at").diff().over("id").alias("gap")).drop_nulls()
    if not gap.height:
        raise TrainingError("every meter has one reading only", "give several weeks")
    minutes = int(gap["gap"].mode().sort()[0]) / 60
    if minutes not in FEED_STEPS:
        raise TrainingError(
            f"readings come every {minutes:g} minutes", "steps of 10, 15, 30 and 60 minutes fit"
        )
    return int(minutes)


def _grid(rows: pl.DataFrame, step: int, minutes: int, time_zone: str) -> Homes:
    """Readings on the grid of local days; a slot is there if all its readings are."""
    grid = SlotGrid(minutes)
    calendar = LocalCalendar(grid, time_zone)
    sums = (
        rows.group_by("id", (pl.col("at") // (minutes * 60)).cast(pl.Int32).alias("slot"))
        .agg(pl.col("wh").sum(), pl.len().alias("n"))
        .filter(pl.col("n") == minutes // step)
        .sort("id", "slot")
    )
    slots = sums["slot"].to_numpy()
    day = calendar.dates_of(slots)
    days = np.arange(day.min(), day.max() + 1, dtype=np.int32)
    ids = sums["id"].unique().sort()
    home = sums["id"].rank("dense").to_numpy().astype(np.int64) - 1
    per_day = 1440 // minutes
    starts = np.array([calendar.day_slots(date_of_day_number(d)).start for d in days])
    length = np.diff(np.r_[starts, calendar.day_slots(date_of_day_number(days[-1])).stop])
    column = np.full((len(days), int(length.max())), -1, np.int16)
    for i, number in enumerate(days):
        if length[i] >= per_day:  # a day that lacks an hour is not whole
            column[i, : length[i]] = _first_only(clock_places(calendar, int(number)))
    at = day - days[0]
    where = column[at, slots - starts[at]]
    wh = np.full((len(ids), len(days), per_day), np.nan, np.float32)
    use = where >= 0
    wh[home[use], at[use], where[use]] = sums["wh"].to_numpy()[use]
    wh[np.isnan(wh).any(axis=2)] = np.nan
    return Homes(wh, days, tuple(ids.to_list()), time_zone)


def _first_only(places: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Places with -1 where one comes the second time."""
    out = places.copy()
    _, first = np.unique(places, return_index=True)
    again = np.ones(len(places), bool)
    again[first] = False
    out[again] = -1
    return out


def weekday_of(days: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """0 Monday to 6 Sunday of day numbers (1970-01-01, day 0, was a Thursday)."""
    return (np.asarray(days, np.int64) + FIRST_DATE.weekday()) % 7
