"""GAMs by statsmodels: GLMGam with penalised B-splines, one penalty by cross-validation.

Its B-splines know no cycle: the time of year is a spline on [0, 1] there, open at the ends.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.formula import Formula
from models.forecast.trainers.columns import Columns, smooth_terms
from models.forecast.trainers.probes import Fitted, Probe, Rows
from wattstorm.errors import TrainingError

PENALTIES = (0.1, 1.0, 10.0)
"""Of the squared second derivative, with the covariate counted in cells."""
DEGREE = 3


class Trainer:
    """Fits one slot's model."""

    def __init__(self) -> None:
        try:
            import statsmodels
            from statsmodels.gam.api import BSplines, GLMGam
        except ImportError as error:
            raise TrainingError(
                f"statsmodels cannot be imported: {error}", "pip install 'wattstorm[models]'"
            ) from error
        self._splines: Any = BSplines
        self._gam: Any = GLMGam
        self.tools = f"statsmodels {statsmodels.__version__}"

    def fit(self, formula: Formula, x: Rows, y: Floats, probe: Probe, rows: Rows) -> Fitted:
        """The fitted model's effects at the probe's points, and its predictions of `rows`."""
        straight, curved = Columns.of(formula, x), smooth_terms(formula)
        level, scale = float(y.mean()), float(y.std()) or 1.0
        smoother = self._smoother(formula, x, probe, curved)

        def lines(of: Rows) -> Floats:
            matrix = straight.matrix(of)
            return np.column_stack([np.ones(len(matrix)), matrix])

        def smooth(of: Rows) -> Floats:
            return _in_cells(formula, probe, curved, of)

        given = {"exog": lines(x), "smoother": smoother}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # indicators that add up to one: the shortest solution
            fits = [
                self._gam((y - level) / scale, **given, alpha=[p] * len(curved)).fit()
                for p in PENALTIES
            ]
        best = min(fits, key=lambda f: float(f.gcv))
        parameters = np.asarray(best.params)
        count = 1 + len(straight.owner)
        effects = np.zeros((len(next(iter(probe.rows.values()))), len(formula)))
        for i in dict.fromkeys(straight.owner):
            effects[:, i] = straight.effect(i, probe.rows, parameters[1:count])
        at = smooth(probe.rows)
        for place, (one, i) in enumerate(zip(smoother.smoothers, curved, strict=True)):
            wide = one.dim_basis
            effects[:, i] = one.transform(at[:, place]) @ parameters[count : count + wide]
            count += wide
        reference = np.asarray(best.predict(lines(rows), exog_smooth=smooth(rows)))
        error = (y - level) / scale - np.asarray(best.fittedvalues)
        constant = parameters[0] * scale + level
        return Fitted(
            float(constant), effects * scale, reference * scale + level, float(error.std()) * scale
        )

    def _smoother(self, formula: Formula, x: Rows, probe: Probe, curved: list[int]) -> Any:
        """B-splines of all smooth terms, their knots the bounds of the cells."""
        cells = [formula[i].cells for i in curved]
        kwds = [
            {"knots": np.arange(1.0, c), "lower_bound": 0.0, "upper_bound": float(c)} for c in cells
        ]
        matrix = _in_cells(formula, probe, curved, x)
        size = [c + DEGREE for c in cells]
        return self._splines(matrix, df=size, degree=[DEGREE] * len(curved), knot_kwds=kwds)


def _in_cells(formula: Formula, probe: Probe, curved: list[int], of: Rows) -> Floats:
    """float64[n, smooths]: covariates from 0 at the training range's low end, in cells."""
    columns = []
    for i in curved:
        span, cells = probe.ranges[i], formula[i].cells
        u = (of[formula[i].x] - span.low) / span.width
        columns.append(np.clip(u, 0.0, cells))  # rounding at the ends: no spline beyond them
    return np.column_stack(columns)
