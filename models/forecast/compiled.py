"""A fitted additive model as arrays: what every trainer compiles to, and what scores.

One model per slot of the day, all with the same terms. A term's effect is a cubic in
u = (x - low) / width, one cubic for each cell (smooth, cyclic) or code (factor, by). Cells are
equal, so a cell is found by one multiplication, and the compiled effect equals the trainer's to
rounding. Covariates are clamped to the training range and a margin beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Floats
from models.forecast.formula import Formula, Term, needs
from models.forecast.per_slot import PerSlot

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
class Compiled(PerSlot):
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
    def covariates(self) -> tuple[str, ...]:
        return needs(self.formula)

    @cached_property
    def _bank(self) -> Bank:
        return Bank([self])

    def effects(self, x: Floats) -> Floats:
        """Each term's effect, float64[..., S, T]; x: float64[..., S, C]. NaN where x is NaN."""
        return self._bank.effects(x)[..., 0, :, :]

    def predict(self, x: Floats) -> Floats:
        """float64[..., S]; x: float64[..., S, C]."""
        return self._bank.predict(x)[..., 0, :]

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

    Arrays are flat over (place, model, slot), a place for each term: first those that are curved,
    then those that are straight, whose pieces are lines. A model that has fewer of either has
    effects of 0 in the places left.
    """

    def __init__(self, models: list[Compiled], covariates: tuple[str, ...] | None = None) -> None:
        names = covariates or models[0].covariates
        slots = models[0].slots
        curved = max(sum(_is_curved(t) for t in m.formula) for m in models)
        lines = max(sum(not _is_curved(t) for t in m.formula) for m in models)
        shape = (curved + lines, len(models), slots)
        low, inverse, least, most, top = np.zeros((5, *shape))
        base, own = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        code = np.full(shape, -1, np.int64)
        filled = np.zeros(shape, bool)
        tables: tuple[list[Floats], list[Floats]] = ([np.zeros((1, 4))], [np.zeros((1, 2))])
        self._places: list[list[int]] = []
        for m, model in enumerate(models):
            free, first = [0, curved], 0
            self._places.append([])
            for t, term in enumerate(model.formula):
                kind, count = int(not _is_curved(term)), piece_count(term)
                place, free[kind] = free[kind], free[kind] + 1
                self._places[-1].append(place)
                at = (place, m)
                low[at], inverse[at] = model.low[:, t], 1 / model.width[:, t]
                least[at], most[at], bottom, top[at] = bounds(term)
                start = sum(len(rows) for rows in tables[kind])
                base[at] = start + count * np.arange(slots) - bottom
                column = np.arange(slots) * len(names)
                own[at] = column + names.index(term.x)
                if term.kind in ("by", "factor"):
                    code[at] = column + names.index(term.by or term.x)
                filled[at] = True
                rows = model.pieces[:, first : first + count, : (2 if kind else 4)]
                tables[kind].append(rows.reshape(slots * count, -1))
                first += count
        self.constant = np.stack([m.constant for m in models])
        self._shape, self._split = shape, curved * len(models) * slots
        flat = [a.ravel() for a in (low, inverse, least, most)]
        self._low, self._inverse, self._least, self._most = flat
        self._own = own.ravel()
        self._top = top.ravel()[: self._split]
        self._base, self._line_base = np.split(base.ravel(), [self._split])
        self._empty = np.flatnonzero(~filled.ravel())
        line_code = code.ravel()[self._split :]
        self._coded = np.flatnonzero(line_code >= 0)
        self._code = line_code[self._coded]
        self._cubics, self._lines = (np.concatenate(rows) for rows in tables)

    def effects(self, x: Floats) -> Floats:
        """float64[..., models, slots, terms]; x: float64[..., slots, covariates]. NaN where a
        covariate is; a model that has fewer terms has 0 in the last."""
        places = np.moveaxis(self._effects(x), -3, -1)
        out = np.zeros((*places.shape[:-1], max(map(len, self._places))))
        for m, mine in enumerate(self._places):
            out[..., m, :, : len(mine)] = places[..., m, :, mine].transpose(
                *range(1, places.ndim - 1), 0
            )
        return out

    def predict(self, x: Floats) -> Floats:
        """float64[..., models, slots]; x: float64[..., slots, covariates]."""
        return np.asarray(self.constant + self._effects(x).sum(axis=-3))

    def _effects(self, x: Floats) -> Floats:
        """float64[..., places, models, slots]."""
        flat = x.reshape(*x.shape[:-2], -1)
        u = flat.take(self._own, axis=-1)
        u -= self._low
        u *= self._inverse
        np.maximum(u, self._least, out=u)
        np.minimum(u, self._most, out=u)
        curve, line = u[..., : self._split], u[..., self._split :]
        cell = np.floor(curve)
        np.minimum(cell, self._top, out=cell)
        curve -= cell
        code = flat.take(self._code, axis=-1)
        if np.isnan(flat).any():
            u[..., self._empty] = 0.0
            cell[np.isnan(cell)] = 0.0
            line[..., self._coded] += 0.0 * code  # NaN where the code is
            code[np.isnan(code)] = 0.0
        index = cell.astype(np.int64)
        index += self._base
        cubic = self._cubics.take(index, axis=0)
        out = np.empty(u.shape)
        curves, lines = out[..., : self._split], out[..., self._split :]
        np.multiply(cubic[..., 3], curve, out=curves)
        for power in (2, 1):
            curves += cubic[..., power]
            curves *= curve
        curves += cubic[..., 0]
        index = np.broadcast_to(self._line_base, line.shape).copy()
        index[..., self._coded] += code.astype(np.int64)
        straight = self._lines.take(index, axis=0)
        np.multiply(straight[..., 1], line, out=lines)
        lines += straight[..., 0]
        return out.reshape(*x.shape[:-2], *self._shape)


def _is_curved(term: Term) -> bool:
    return term.kind in ("smooth", "cyclic")
