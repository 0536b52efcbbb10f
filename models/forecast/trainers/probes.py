"""How a fitted model is read out: its effects at four points of every cell give the cubics.

A trainer evaluates its terms wherever it is asked; that is all that compiling needs, whichever
basis the trainer uses inside. The cells are equal and their bounds are the spline's own knots, so
each cell is one cubic and the compiled effect equals the trainer's to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.formula import Formula, Term

Rows = Mapping[str, Floats]
"""Covariates by name, float64[n] each."""
INSIDE = np.array([0.0, 1 / 3, 2 / 3, 1.0])
TO_CUBIC = np.linalg.inv(np.vander(INSIDE, 4, increasing=True))


@dataclass(frozen=True)
class Range:
    """A covariate's training range in one slot, cut into equal cells."""

    low: float
    width: float
    """Of a cell."""

    @classmethod
    def of(cls, term: Term, values: Floats) -> Range:
        if term.kind == "cyclic":
            return cls(0.0, 1.0 / term.cells)
        low, high = float(values.min()), float(values.max())
        cells = term.cells if term.kind == "smooth" else 1
        return cls(low, max((high - low) / cells, 1e-9))


@dataclass(frozen=True)
class Probe:
    """Where a trainer's terms are evaluated. rows: one column for each covariate, padded."""

    ranges: tuple[Range, ...]
    knots: Mapping[str, Floats]
    rows: Rows


@dataclass(frozen=True)
class Fitted:
    """What a trainer says of one slot: effects float64[probe rows, terms] beside the constant."""

    constant: float
    effects: Floats
    reference: Floats
    sd: float


def _points(term: Term, span: Range) -> dict[str, Floats]:
    """Values of the term's covariates at its probe points."""
    if term.kind == "factor":
        return {term.x: np.arange(term.cells, dtype=np.float64)}
    ends = span.low + span.width * np.array([0.0, 1.0])
    if term.kind == "linear":
        return {term.x: ends}
    if term.kind == "by":
        code = np.repeat(np.arange(term.cells, dtype=np.float64), 2)
        return {term.x: np.tile(ends, term.cells), term.by: code}
    cells = np.arange(term.cells, dtype=np.float64)[:, None]
    return {term.x: (span.low + span.width * (cells + INSIDE)).ravel()}


def probe_for(formula: Formula, x: Rows) -> Probe:
    """The probe of a formula whose training covariates are `x`."""
    ranges = tuple(Range.of(t, x[t.x]) for t in formula)
    points: dict[str, Floats] = {}
    knots: dict[str, Floats] = {}
    for term, span in zip(formula, ranges, strict=True):
        points |= _points(term, span)
        if term.kind in ("smooth", "cyclic"):
            knots[term.x] = span.low + span.width * np.arange(term.cells + 1.0)
    longest = max(len(v) for v in points.values())
    rows = {k: np.pad(v, (0, longest - len(v)), mode="edge") for k, v in points.items()}
    return Probe(ranges, knots, rows)


def pieces(term: Term, effect: Floats) -> Floats:
    """Cubics of a term, float64[pieces, 4], in u = (x - low) / width - cell; lowest power first.

    A smooth has a tail of constant slope at each end, one cell long: beyond it values are clamped.
    """
    if term.kind == "factor":
        return np.pad(effect[: term.cells, None], ((0, 0), (0, 3)))
    if term.kind in ("linear", "by"):
        ends = effect[: 2 * term.cells].reshape(term.cells, 2)
        return np.pad(np.stack([ends[:, 0], ends[:, 1] - ends[:, 0]], axis=1), ((0, 0), (0, 2)))
    cubics = effect[: 4 * term.cells].reshape(term.cells, 4) @ TO_CUBIC.T
    if term.kind == "cyclic":
        return cubics
    first, last = cubics[0], cubics[-1]
    left = np.array([first[0] - first[1], first[1], 0.0, 0.0])
    slope = last @ np.arange(4.0)
    right = np.array([last.sum(), slope, 0.0, 0.0])
    return np.vstack([left, cubics, right])
