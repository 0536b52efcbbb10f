"""From a trainer's fit of each slot to one compiled model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.compiled import Compiled
from models.forecast.formula import Formula, needs
from models.forecast.trainers.probes import Fitted, Probe, Rows, pieces, probe_for
from wattstorm.errors import TrainingError

REFERENCES = 4
"""Rows a slot whose predictions by the trainer itself go into the artefact."""


class Fits(Protocol):
    """A trainer: fits one slot's formula and evaluates its own terms."""

    tools: str

    def fit(self, formula: Formula, x: Rows, y: Floats, probe: Probe, rows: Rows) -> Fitted: ...


def usable(formula: Formula, x: Mapping[str, Floats]) -> Formula:
    """The formula without terms that the training days cannot tell: constant or nearly so."""
    kept = []
    for term in formula:
        values = np.unique(x[term.x][np.isfinite(x[term.x])])
        if term.kind == "smooth" and len(values) < 3 * term.cells:
            term = replace(term, kind="linear", cells=1)
        if len(values) > 1:
            kept.append(term)
    return tuple(kept)


def train(
    trainer: Fits,
    formula: Formula,
    values: Mapping[str, Floats],
    load: Floats,
    tell: Callable[[int], Any] = lambda slot: None,
) -> tuple[Compiled, dict[str, Floats]]:
    """Fit one model per slot on float64[days, slots] and compile; also the reference rows.

    Rows with anything unknown are left out. `tell` hears each slot that is done.
    """
    slots = load.shape[1]
    formula = usable(formula, values)
    names = needs(formula)
    x_all = np.stack([values[n] for n in names], axis=-1)
    good = np.isfinite(load) & np.isfinite(x_all).all(axis=-1)
    least = 2 * sum(2 if t.kind in ("linear", "by") else t.cells for t in formula)
    fits = []
    for slot in range(slots):
        rows = np.flatnonzero(good[:, slot])
        if len(rows) < least:
            what = (
                f"slot {slot} has {len(rows)} days with everything known, its model needs {least}"
            )
            raise TrainingError(what, "give a longer period, or a family without weather")
        x = {n: x_all[rows, slot, i] for i, n in enumerate(names)}
        probe = probe_for(formula, x)
        asked = rows[np.linspace(0, len(rows) - 1, REFERENCES).astype(int)]
        reference = {n: x_all[asked, slot, i] for i, n in enumerate(names)}
        fitted = trainer.fit(formula, x, load[rows, slot], probe, reference)
        finite = np.isfinite(fitted.constant) and np.isfinite(fitted.effects).all()
        if not (finite and np.isfinite(fitted.reference).all()):
            raise TrainingError(
                f"slot {slot}: {trainer.tools} returned NaN or infinite effects",
                "look at the training days for constant or broken columns",
            )
        fits.append((probe, fitted, x_all[asked, slot]))
        tell(slot)
    return _assemble(formula, fits, x_all, load, good)


def _assemble(
    formula: Formula, fits: list[Any], x: Floats, load: Floats, good: Any
) -> tuple[Compiled, dict[str, Floats]]:
    """The slots' fits side by side, with what the effects were over the training days."""
    table = [
        np.vstack([pieces(t, f.effects[:, i]) for i, t in enumerate(formula)]) for _, f, _ in fits
    ]
    slots, terms = len(fits), len(formula)
    model = Compiled(
        formula,
        np.array([f.constant for _, f, _ in fits]),
        np.array([[r.low for r in p.ranges] for p, _, _ in fits]),
        np.array([[r.width for r in p.ranges] for p, _, _ in fits]),
        np.array(table),
        np.zeros((slots, terms)),
        np.ones((slots, terms)),
        np.zeros(slots),
    )
    effects = np.where(good[..., None], model.effects(x), np.nan)
    error = load - model.constant - effects.sum(axis=-1)
    model = replace(
        model,
        mean=np.nanmean(effects, axis=0),
        deviation=np.nanstd(effects, axis=0),
        sd=np.nanstd(error, axis=0),
    )
    reference = {
        "x": np.array([r for _, _, r in fits]),
        "expected": np.array([f.reference for _, f, _ in fits]),
    }
    return model, reference
