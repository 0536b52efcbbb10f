"""One home at a time: its seasons, its scale, its habits, and its days as states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from generator.model import ranks, states
from generator.model.artefact import SEASONS, TARGET_KNOTS
from generator.model.homes import Homes, weekday_of
from wattstorm.metering.slots import date_of_day_number

Floats = npt.NDArray[np.floating]

SEASON_DAYS: Final = 28
"""Days of a season from which a home has a row of its own for it."""
_FEW: Final = 6


def season_of(days: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """0 December to February, 1 March to May, 2, 3, of day numbers."""
    numbers = np.asarray(days, np.int64)
    unique, back = np.unique(numbers, return_inverse=True)
    months = np.array([date_of_day_number(int(d)).month for d in unique], np.int64)
    return np.asarray(((months % 12) // 3)[back])


def period_of(days: npt.ArrayLike, first_year: int, years: int) -> npt.NDArray[np.int64]:
    """Season + 4 × year since `first_year`, modulo `years`; December opens its winter's year.

    Rows are of home and period: homes change from one year to the next, and their habits with
    them. Days outside the years of training take the periods in turn.
    """
    numbers = np.asarray(days, np.int64)
    unique, back = np.unique(numbers, return_inverse=True)
    dates = [date_of_day_number(int(d)) for d in unique]
    year = np.array([d.year + (d.month == 12) for d in dates], np.int64)[back]
    return np.asarray(season_of(numbers) + SEASONS * ((year - first_year) % years))


def years_of(days: npt.ArrayLike) -> tuple[int, int]:
    """(first year, years) of training days, years as in `period_of`."""
    ends = np.asarray(days, np.int64)[[0, -1]]
    first, last = (d.year + (d.month == 12) for d in map(date_of_day_number, ends.tolist()))
    return first, last - first + 1


def kind_of(days: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """0 on working days, 1 on Saturday and Sunday, of day numbers."""
    return (weekday_of(days) >= 5).astype(np.int64)


@dataclass
class Habits:
    """All homes; arrays as in `Model`, and NaN where a home has no (active) day.

    ranks: float32[homes, days, slots]; parts, scores: float[homes, days, PARTS].
    """

    rows_of: npt.NDArray[np.int32]
    quantiles: npt.NDArray[np.float64]
    targets: npt.NDArray[np.uint8]
    off: npt.NDArray[np.float64]
    habit: npt.NDArray[np.float64]
    ranks: npt.NDArray[np.float32]
    parts: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]

    def row_by_day(self, days: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """int64[homes, days], the row that each home has on each of the training days."""
        return self.rows_of[:, period_of(days, *years_of(days))].astype(np.int64)


def parts_of(rank: Floats) -> npt.NDArray[np.float64]:
    """float64[days, PARTS] of ranks float[days, slots]: mean rank by three hours, and base."""
    n, slots = rank.shape
    hours = rank.reshape(n, states.PARTS - 1, -1).mean(axis=2)
    base = np.sort(rank, axis=1)[:, : slots // 4].mean(axis=1)
    return np.column_stack([hours, base]).astype(np.float64)


def learn(homes: Homes, seed: int) -> Habits:
    """Habits of all homes. Periods of a home are told apart if it knows three of them."""
    count, days, slots = homes.wh.shape
    first, years = years_of(homes.days)
    period, kind = period_of(homes.days, first, years), kind_of(homes.days)
    present = homes.present()
    out = Habits(
        np.full((count, SEASONS * years), -1, np.int32),
        np.empty(0),
        np.empty(0, np.uint8),
        np.empty(0),
        np.empty(0),
        np.full((count, days, slots), np.nan, np.float32),
        np.full((count, days, states.PARTS), np.nan),
        np.full((count, days, states.PARTS), np.nan),
    )
    rows: list[tuple[Floats, Floats, list[float], Floats]] = []
    rng = np.random.default_rng(seed)
    for home in range(count):
        groups = _groups(period[present[home]], SEASONS * years)
        for group in groups:
            here = np.flatnonzero(present[home] & np.isin(period, group))
            if len(groups) > 1 and len(here) < SEASON_DAYS:
                continue
            row = _learn_season(out, home, here, homes.wh[home, here], kind[here], rng)
            if row is not None:
                out.rows_of[home, group] = len(rows)
                rows.append(row)
        if (out.rows_of[home] < 0).all():  # too few days in any one season: take them together
            here = np.flatnonzero(present[home])
            row = _learn_season(out, home, here, homes.wh[home, here], kind[here], rng)
            out.rows_of[home] = len(rows)
            rows.append(row if row is not None else _silent(homes.wh[home, here]))
    _fill_periods(out.rows_of)
    out.quantiles = np.array([r[0] for r in rows])
    out.targets = np.array([r[1] for r in rows]).astype(np.uint8)
    out.off = np.array([r[2] for r in rows])
    out.habit = np.array([r[3] for r in rows])
    return out


def _groups(period: npt.NDArray[np.int64], periods: int) -> list[list[int]]:
    """Periods that share a row; period: int64[n], that of each day of a home."""
    days = np.bincount(period, minlength=periods)
    if (days >= SEASON_DAYS).sum() >= 3:
        return [[p] for p in range(periods)]
    return [list(range(periods))]


def _learn_season(
    out: Habits,
    home: int,
    here: npt.NDArray[np.int64],
    wh: Floats,
    kind: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[Floats, Floats, list[float], Floats] | None:
    """A row: (quantiles, targets, off, habit); None if hardly a day is active."""
    off = ranks.off_days(wh)
    if (~off).sum() < _FEW:
        return None
    active, kind, slots = here[~off], kind[~off], wh.shape[1]
    rank = ranks.ranks(wh[~off], rng)
    part = parts_of(rank)
    out.ranks[home, active], out.parts[home, active] = rank, part
    target = np.empty((2, states.PARTS, TARGET_KNOTS))
    habit = np.zeros((2, slots))
    for k in (0, 1):
        own = kind == k
        some = own if own.sum() >= _FEW else np.ones(len(kind), bool)
        target[k] = np.quantile(part[some], np.linspace(0, 1, TARGET_KNOTS), axis=0).T * 255
        mean = rank[some].mean(axis=0)
        habit[k] = mean - np.repeat(part[some, :-1].mean(axis=0), slots // (states.PARTS - 1))
        for a in range(states.PARTS):
            out.scores[home, active[own], a] = states.score_within(part[own, a])
    level = float(wh[off].mean()) if off.any() else 0.0
    return ranks.quantiles(wh[~off]), np.round(target), [float(off.mean()), level], habit


def _silent(wh: Floats) -> tuple[Floats, Floats, list[float], Floats]:
    """Row of a home none of whose days is active."""
    level = float(wh.mean()) if wh.size else 0.0
    target = np.full((2, states.PARTS, TARGET_KNOTS), 127.0)
    return np.full(ranks.KNOTS.size, level), target, [0.99, level], np.zeros((2, wh.shape[1]))


def _fill_periods(rows_of: npt.NDArray[np.int32]) -> None:
    """A period that a home was not seen in is like one that it was: the same season, or next."""
    periods = rows_of.shape[1]
    for row in rows_of:
        known = row.copy()
        for period in np.flatnonzero(known < 0):
            near = [
                known[
                    (period % SEASONS + step) % SEASONS
                    + SEASONS * ((period // SEASONS + y) % (periods // SEASONS))
                ]
                for step in (0, 1, 3, 2)
                for y in range(periods // SEASONS)
            ]
            row[period] = next(r for r in near if r >= 0)
