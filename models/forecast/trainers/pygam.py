"""GAMs by pygam: penalised B-splines, cyclic ones for the time of year.

pygam gives all smooths one penalty unless each is searched; the common one is chosen by
generalised cross-validation. Its terms are read out by its own model matrix.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.formula import Formula
from models.forecast.trainers.columns import Columns, smooth_terms
from models.forecast.trainers.probes import Fitted, Probe, Rows
from wattstorm.errors import TrainingError

PENALTIES = (0.03, 0.3, 3.0)
RIDGE = 0.01
"""Penalty of the straight columns, which are scaled: only codes that hardly occur feel it."""


class Trainer:
    """Fits one slot's model."""

    def __init__(self) -> None:
        try:
            import pygam
        except ImportError as error:
            raise TrainingError(
                f"pygam cannot be imported: {error}", "pip install 'wattstorm[models]'"
            ) from error
        self._pygam: Any = pygam
        self.tools = f"pygam {pygam.__version__}"

    def fit(self, formula: Formula, x: Rows, y: Floats, probe: Probe, rows: Rows) -> Fitted:
        """The fitted model's effects at the probe's points, and its predictions of `rows`."""
        straight, curved = Columns.of(formula, x), smooth_terms(formula)

        def design(of: Rows) -> Floats:
            smooth = [of[formula[i].x] for i in curved]
            return np.column_stack([*smooth, straight.matrix(of)])

        level, scale = float(y.mean()), float(y.std()) or 1.0
        matrix, target = design(x), (y - level) / scale
        fits = [self._fitted(formula, probe, curved, matrix, target, p) for p in PENALTIES]
        gam = min(fits, key=lambda g: float(g.statistics_["GCV"]))
        at = design(probe.rows)
        effects = np.zeros((len(at), len(formula)))
        for place, i in enumerate(curved):
            mine = gam.terms.get_coef_indices(place)
            effects[:, i] = gam._modelmat(at, term=place) @ gam.coef_[mine]
        lines = np.array(
            [gam.coef_[gam.terms.get_coef_indices(i)][0] for i in range(len(curved), at.shape[1])]
        )
        for i in dict.fromkeys(straight.owner):
            effects[:, i] = straight.effect(i, probe.rows, lines)
        error = target - gam.predict(matrix)
        reference = gam.predict(design(rows)) * scale + level
        constant = float(gam.coef_[-1]) * scale + level
        return Fitted(constant, effects * scale, reference, float(error.std()) * scale)

    def _fitted(
        self,
        formula: Formula,
        probe: Probe,
        curved: list[int],
        matrix: Floats,
        target: Floats,
        penalty: float,
    ) -> Any:
        """One fit, all smooths with this penalty."""
        terms: Any = None
        for column in range(matrix.shape[1]):
            if column < len(curved):
                term, span = formula[curved[column]], probe.ranges[curved[column]]
                cyclic = term.kind == "cyclic"
                one = self._pygam.s(
                    column,
                    n_splines=term.cells + (0 if cyclic else 3),
                    basis="cp" if cyclic else "ps",
                    lam=penalty,
                    edge_knots=[span.low, span.low + span.width * term.cells],
                )
            else:
                one = self._pygam.l(column, lam=RIDGE)
            terms = one if terms is None else terms + one
        return self._pygam.LinearGAM(terms).fit(matrix, target)
