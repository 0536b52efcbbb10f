"""GAMs by R's mgcv (`bam`, fREML, discrete), one per slot, through rpy2.

R fits and evaluates its own terms at the points that `compile` asks for; nothing of R is kept.
The discrete method (Wood, Li, Shaddick, Augustin, 2017) fits 48 models of two years in seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.formula import Formula, Term
from models.forecast.trainers.probes import Fitted, Probe, Rows
from wattstorm.errors import TrainingError

NAME = "mgcv"

R_CODE = """
function(formula, frame, probes, rows, knots) {
  factors <- function(d) {
    for (n in names(d)) if (startsWith(n, "f_")) d[[n]] <- factor(d[[n]], levels = LEVELS(n))
    d
  }
  LEVELS <- function(n) seq(0, as.integer(sub(".*_", "", n)) - 1)
  suppressWarnings({
    m <- mgcv::bam(as.formula(formula), data = factors(frame), knots = knots,
                   discrete = TRUE, method = "fREML", drop.unused.levels = FALSE)
    p <- predict(m, newdata = factors(probes), type = "terms", discrete = FALSE)
    r <- predict(m, newdata = factors(rows), discrete = FALSE)
  })
  list(attr(p, "constant")[[1]], unname(as.matrix(p)), colnames(p), as.numeric(r), sqrt(m$sig2))
}
"""


def _column(name: str, term: Term) -> str:
    """R's name for a covariate: a factor's carries its number of levels."""
    return f"f_{name}_{term.cells}"


def _spelt(term: Term) -> tuple[str, tuple[str, ...]]:
    """The term in R's formula, and the columns of predict(type="terms") that make its effect."""
    if term.kind == "linear":
        return term.x, (term.x,)
    if term.kind in ("smooth", "cyclic"):
        basis = "cr" if term.kind == "smooth" else "cc"
        return f's({term.x}, bs="{basis}", k={term.cells + 1})', (f"s({term.x})",)
    if term.kind == "factor":
        f = _column(term.x, term)
        return f's({f}, bs="re")', (f"s({f})",)
    f = _column(term.by, term)
    # one slope for all codes, and each code's own beside it, shrunk: a code may be rare
    return f'{term.x} + s({f}, by={term.x}, bs="re")', (term.x, f"s({f}):{term.x}")


def _frame(formula: Formula, rows: Rows, r: Any, y: Floats | None = None) -> Any:
    """An R data frame of the covariates."""
    columns: dict[str, Any] = {} if y is None else {"y": r.FloatVector(y)}
    for term in formula:
        coded = term.by if term.kind == "by" else term.x if term.kind == "factor" else ""
        if coded:
            columns[_column(coded, term)] = r.IntVector(rows[coded].astype(np.int64).tolist())
        if term.kind != "factor":
            columns[term.x] = r.FloatVector(rows[term.x])
    return r.DataFrame(columns)


@contextmanager
def _libraries_of_others() -> Iterator[None]:
    """R puts its own folders before everybody's in LD_LIBRARY_PATH when it starts; a process that
    this one starts later would load another Python's library out of them."""
    name = "LD_LIBRARY_PATH"
    before = os.environ.get(name)
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is None:
            os.unsetenv(name)  # R set it past Python
        else:
            os.environ[name] = before


class Trainer:
    """Fits one slot's model. R is started once for the process."""

    def __init__(self) -> None:
        try:
            with _libraries_of_others():
                import rpy2.robjects

                robjects: Any = rpy2.robjects
                robjects.r("suppressMessages(library(mgcv))")
        except Exception as error:  # rpy2 raises what R's absence happens to raise
            what = f"R with mgcv cannot be started: {error}"
            raise TrainingError(
                what,
                "apt-get install r-base-core r-cran-mgcv, then pip install 'wattstorm[models]'",
            ) from error
        self._r = robjects
        self._fit = robjects.r(R_CODE)
        self.tools = f"R {robjects.r('as.character(getRversion())')[0]}, mgcv " + str(
            robjects.r('as.character(packageVersion("mgcv"))')[0]
        )

    def fit(self, formula: Formula, x: Rows, y: Floats, probe: Probe, rows: Rows) -> Fitted:
        """The fitted model's effects at the probe's points, and its predictions of `rows`."""
        spelt = [_spelt(term) for term in formula]
        text = "y ~ " + " + ".join(s for s, _ in spelt)
        knots = self._r.ListVector(
            {n: self._r.FloatVector(k) for n, k in probe.knots.items()} if probe.knots else {}
        )
        try:
            constant, effects, names, reference, sd = self._fit(
                text,
                _frame(formula, x, self._r, y),
                _frame(formula, probe.rows, self._r),
                _frame(formula, rows, self._r),
                knots,
            )
        except Exception as error:
            raise TrainingError(
                f"mgcv could not fit {text}: {error}", "give more days, or fewer terms"
            ) from error
        at = {name: i for i, name in enumerate(names)}
        matrix = np.array(effects)
        picked = np.stack(
            [matrix[:, [at[c] for c in columns]].sum(axis=1) for _, columns in spelt], 1
        )
        return Fitted(float(constant[0]), picked, np.array(reference), float(sd[0]))
