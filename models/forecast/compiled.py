"""A fitted additive model as arrays: what every trainer compiles to, and what scores.

One model per slot of the day, all with the same terms. A term's effect is a cubic in
u = (x - low) / width, one cubic for each cell (smooth, cyclic) or code (factor, by). Cells are
equal, so a cell is found by one multiplication, and the compiled effect equals the trainer's to
rounding. Covariates are clamped to the training range and a margin beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Floats
from models.forecast.formula import Formula, Term, needs

MARGIN = 0.25
"""Of the training range, beyond it, where a slope still holds; a smooth's is one cell."""


def bounds(term: Term) -> tuple[float, float, int, int]:
    """Least and greatest u, least and greatest cell."""
    if term.kind == "smooth":
        return -1.0, term.cells + 1.0, -1, term.cells
    if term.kind == "cyclic":
        return 0.0, float(term.cells), 0, term.cells - 1
    if term.kind == "factor":
        return 0.0, 0.0, 0, term.cells - 1
    return -MARGIN, 1.0 + MARGIN, 0, term.cells - 1


def piece_count(term: Term) -> int:
    return term.cells + 2 if term.kind == "smooth" else term.cells


@dataclass(frozen=True)
class Compiled:
    """Models of all slots. S slots, T terms, P pieces.

    constant: float64[S]. low, width: float64[S, T]. pieces: float64[S, P, 4], the terms' pieces
    one after the other. mean, deviation: float64[S, T], of the effects over the training days.
    sd: float64[S], of the residuals.
    """

    formula: Formula
    constant: Floats
    low: Floats
    width: Floats
    pieces: Floats
    mean: Floats
    deviation: Floats
    sd: Floats

    @property
    def slots(self) -> int:
        return len(self.constant)

    @property
    def covariates(self) -> tuple[str, ...]:
        return needs(self.formula)

    def gather(self, values: Mapping[str, Floats]) -> Floats:
        """float64[..., S, C] of this model's covariates, in its order."""
        return np.stack([values[name] for name in self.covariates], axis=-1)

    def effects(self, x: Floats) -> Floats:
        """Each term's effect, float64[..., S, T]; x: float64[..., S, C]. NaN where x is NaN."""
        return Bank([self]).effects(x)[..., 0, :, :]

    def predict(self, x: Floats) -> Floats:
        """float64[..., S]; x: float64[..., S, C]."""
        return np.asarray(self.constant + self.effects(x).sum(axis=-1))

    def clamped(self, x: Floats) -> npt.NDArray[np.bool_]:
        """bool[..., S, T]: where the covariate lies outside what the term was fitted on."""
        names = self.covariates
        own = x[..., [names.index(t.x) for t in self.formula]]
        u = (own - self.low) / self.width
        top = np.array([1.0 if t.kind in ("linear", "by") else t.cells for t in self.formula])
        checked = np.array([t.kind != "factor" for t in self.formula])
        return checked & ((u < -1e-9) | (u > top + 1e-9))


class Bank:
    """Several models of one curve, scored in one pass; they share the covariates' order.

    Arrays are flat over (model, slot, term); terms of shorter models are padded with effects of 0.
    """

    def __init__(self, models: list[Compiled], covariates: tuple[str, ...] | None = None) -> None:
        names = covariates or models[0].covariates
        slots, terms = models[0].slots, max(len(m.formula) for m in models)
        shape = (len(models), slots, terms)
        low, inverse = np.zeros(shape), np.ones(shape)
        least, most = np.zeros(shape), np.zeros(shape)
        bottom, top = np.zeros(shape), np.zeros(shape)
        base = np.full(shape, -1, np.int64)
        own, code = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        tables, start = [np.zeros((1, 4))], 1
        for m, model in enumerate(models):
            count = model.pieces.shape[1]
            each = start + count * np.arange(slots)
            first = 0
            for t, term in enumerate(model.formula):
                at = (m, slice(None), t)
                low[at], inverse[at] = model.low[:, t], 1 / model.width[:, t]
                least[at], most[at], bottom[at], top[at] = bounds(term)
                base[at] = each + first - int(bottom[m, 0, t])
                column = np.arange(slots) * len(names)
                own[at] = column + names.index(term.x)
                if term.kind in ("by", "factor"):
                    code[at] = column + names.index(term.by or term.x)
                first += piece_count(term)
            tables.append(model.pieces.reshape(-1, 4))
            start += slots * count
        self.constant = np.stack([m.constant for m in models])
        self._shape = shape
        flat = [a.ravel() for a in (low, inverse, least, most, bottom, top)]
        self._low, self._inverse, self._least, self._most, self._bottom, self._top = flat
        self._base, self._own = np.maximum(base, 0).ravel(), own.ravel()
        self._coded = np.flatnonzero(code.ravel() >= 0)
        self._code = code.ravel()[self._coded]
        self._pieces = np.ascontiguousarray(np.concatenate(tables))

    def effects(self, x: Floats) -> Floats:
        """float64[..., models, slots, terms]; x: float64[..., slots, covariates]."""
        flat = x.reshape(*x.shape[:-2], -1)
        u = flat.take(self._own, axis=-1)
        u -= self._low
        u *= self._inverse
        np.maximum(u, self._least, out=u)
        np.minimum(u, self._most, out=u)
        cell = np.floor(u)
        cell[..., self._coded] = 0.0
        np.minimum(cell, self._top, out=cell)
        u -= cell
        cell[..., self._coded] = flat.take(self._code, axis=-1)
        unknown = np.isnan(cell)
        holes = unknown.any()
        if holes:
            cell[unknown] = np.broadcast_to(self._bottom, cell.shape)[unknown]
            u[unknown] = np.nan
        index = cell.astype(np.int64)
        index += self._base
        cubic = self._pieces.take(index, axis=0)
        out = cubic[..., 3] * u
        for power in (2, 1):
            out += cubic[..., power]
            out *= u
        out += cubic[..., 0]
        return out.reshape(*x.shape[:-2], *self._shape)

    def predict(self, x: Floats) -> Floats:
        """float64[..., models, slots]."""
        return np.asarray(self.constant + self.effects(x).sum(axis=-1))
