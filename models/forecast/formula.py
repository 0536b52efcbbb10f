"""What a model is made of before it is fitted: terms over covariates, for any trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from models.forecast.calendar import TURNS, TYPES

Kind = Literal["smooth", "cyclic", "linear", "factor", "by"]


@dataclass(frozen=True)
class Term:
    """One effect of a model.

    smooth: a penalised cubic spline over `x` in `cells` equal cells. cyclic: the same, closed on
    [0, 1]. linear: a slope. factor: a value for each of `cells` codes of `x`, shrunk to zero.
    by: a slope over `x` for each of `cells` codes of `by`.
    """

    kind: Kind
    x: str
    cells: int = 1
    by: str = ""

    @property
    def name(self) -> str:
        return f"{self.x}:{self.by}" if self.by else self.x


Formula = tuple[Term, ...]


def needs(formula: Sequence[Term]) -> tuple[str, ...]:
    """Covariates that the formula reads, each once, in order."""
    return tuple(dict.fromkeys(n for t in formula for n in (t.x, t.by) if n))


CALENDAR: Final[Formula] = (
    Term("factor", "day_type", TYPES),
    Term("cyclic", "toy", 12),
    Term("linear", "eve"),
    Term("linear", "after"),
    Term("linear", "new_year"),
    Term("linear", "august"),
)
WEATHER: Final[Formula] = (
    Term("smooth", "temp", 9),
    Term("smooth", "temp_fast", 9),
    Term("smooth", "temp_slow", 9),
    Term("smooth", "temp_eve", 6),
    Term("smooth", "temp_min", 6),
    Term("smooth", "temp_max", 6),
    Term("smooth", "cloud", 6),
    Term("smooth", "wind", 6),
)
LAGS: Final[Formula] = (
    Term("by", "lag_day", TURNS, "turn"),
    Term("smooth", "lag_week", 5),
    Term("by", "lag_last", TURNS, "turn"),
)
LEVEL: Final[Formula] = (
    Term("by", "lag_mean", TURNS, "turn"),
    Term("by", "lag_last", TURNS, "turn"),
)
GAMS: Final[dict[str, Formula]] = {
    "lags": CALENDAR + WEATHER + LAGS,
    "free": CALENDAR + WEATHER,
    "level": CALENDAR + WEATHER + LEVEL,
    "blind": CALENDAR + LAGS,
}
"""Additive families: with the load before, without any, with yesterday's level, without weather."""
RIDGES: Final[dict[str, tuple[str, ...]]] = {
    "ridge": (
        *("temp", "temp_before", "temp_fast", "temp_slow", "temp_min", "temp_max"),
        *("temp_min_eve", "temp_max_eve", "cloud", "wind"),
        *("eve", "after", "new_year", "august"),
        *("lag_day", "lag_week", "lag_last", "lag_mean"),
    ),
    "ridge_free": (
        *("temp", "temp_before", "temp_fast", "temp_slow", "temp_min", "temp_max"),
        *("temp_min_eve", "temp_max_eve", "cloud", "wind"),
        *("eve", "after", "new_year", "august"),
    ),
}
"""Covariates of the families that are ridges on random features, which find interactions."""


@dataclass(frozen=True)
class Member:
    """One expert of the mixture: a family as fitted (q None), or adapted with step variance q."""

    family: str
    q: float | None = None

    @property
    def name(self) -> str:
        return self.family if self.q is None else f"{self.family}/{self.q:.0e}"


STEADY, SLOW, MIDDLE, FAST = 2.0**-14, 2.0**-12, 2.0**-10, 2.0**-8
"""Variance of a day's step of a weight: what seldom changes wants little, a break wants much."""
STANDARD: Final = (
    Member("naive"),
    Member("lags", STEADY),
    Member("lags", SLOW),
    Member("lags", FAST),
    Member("free", SLOW),
    Member("free", FAST),
    Member("level", STEADY),
    Member("level", FAST),
    Member("ridge", STEADY),
    Member("ridge", FAST),
    Member("ridge_free", MIDDLE),
    Member("blind", MIDDLE),
)
"""The twelve models of a node. The naive one needs nothing fitted, so it always answers."""
