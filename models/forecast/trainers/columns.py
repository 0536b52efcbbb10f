"""Terms that are straight lines, as columns: what pygam and statsmodels want beside their splines.

A factor is an indicator for each code; a slope by code is the slope and one more for each code.
Columns are centred and scaled by what the training rows say, so one small penalty suits all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.formula import Formula, Term
from models.forecast.trainers.probes import Rows


def raw_columns(term: Term, rows: Rows) -> Floats:
    """float64[n, columns] of a linear, factor or by term."""
    x = rows[term.x]
    if term.kind == "linear":
        return x[:, None]
    if term.kind == "factor":
        return np.asarray((x[:, None] == np.arange(term.cells)).astype(np.float64))
    codes = rows[term.by][:, None] == np.arange(term.cells)
    return np.concatenate([x[:, None], x[:, None] * codes], axis=1)


@dataclass(frozen=True)
class Columns:
    """The linear part of a formula. owner: int64[columns], the term that each belongs to."""

    formula: Formula
    owner: list[int]
    centre: Floats
    scale: Floats

    @classmethod
    def of(cls, formula: Formula, x: Rows) -> Columns:
        parts = [np.empty((len(next(iter(x.values()))), 0))]
        owner: list[int] = []
        for i, term in enumerate(formula):
            if term.kind not in ("smooth", "cyclic"):
                part = raw_columns(term, x)
                parts.append(part)
                owner += [i] * part.shape[1]
        raw = np.concatenate(parts, axis=1)
        spread = raw.std(axis=0)
        return cls(formula, owner, raw.mean(axis=0), np.where(spread > 0, spread, 1.0))

    def matrix(self, rows: Rows) -> Floats:
        """float64[n, columns], scaled."""
        none = np.empty((len(next(iter(rows.values()))), 0))
        parts = [none, *(raw_columns(self.formula[i], rows) for i in dict.fromkeys(self.owner))]
        return (np.concatenate(parts, axis=1) - self.centre) / self.scale

    def effect(self, term: int, rows: Rows, coefficients: Floats) -> Floats:
        """float64[n]: the effect of one term."""
        mine = np.array(self.owner) == term
        part = (raw_columns(self.formula[term], rows) - self.centre[mine]) / self.scale[mine]
        return np.asarray(part @ coefficients[mine])


def smooth_terms(formula: Formula) -> list[int]:
    return [i for i, t in enumerate(formula) if t.kind in ("smooth", "cyclic")]
