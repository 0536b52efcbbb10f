"""A model of a curve made one of a curve of another size: as many times the homes, or another unit.

Everything that has the unit of the load is multiplied; weights of filters and of the mixture are in
residual deviations, and stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.compiled import Compiled
from models.forecast.model_set import ModelSet, Static
from models.forecast.ridge import Ridge

LOADS: Final = ("lag_day", "lag_week", "lag_last", "lag_mean")
"""Covariates that are loads."""
WARM: Final = {
    "intervals.variance": 2,
    "gate.loss": 1,
    **{f"record.{name}": 1 for name in ("static", "experts", "point", "scale", "load")},
}
"""Arrays of a state that have the unit of the load, and its power in them."""


def scaled(models: ModelSet, factor: float) -> ModelSet:
    """The same models of a curve that is `factor` times as great, above 0."""
    return replace(
        models,
        families={name: _family(model, factor) for name, model in models.families.items()},
        references={
            name: _reference(rows, models.families[name].covariates, factor)
            for name, rows in models.references.items()
        },
        warm={k: v * factor ** WARM[k] if k in WARM else v for k, v in models.warm.items()},
    )


def _family(model: Static, factor: float) -> Static:
    parts = {n: getattr(model, n) * factor for n in ("constant", "mean", "deviation", "sd")}
    if isinstance(model, Compiled):
        own = np.array([factor if t.x in LOADS else 1.0 for t in model.formula])
        more = {"low": model.low * own, "width": model.width * own, "pieces": model.pieces * factor}
        return replace(model, **parts, **more)
    assert isinstance(model, Ridge)
    own = np.ones(len(model.centre))
    own[: len(model.covariates)] = _columns(model.covariates, factor)
    more = {"centre": model.centre * own, "scale": model.scale * own, "beta": model.beta * factor}
    return replace(model, **parts, **more)


def _columns(covariates: tuple[str, ...], factor: float) -> Floats:
    return np.array([factor if name in LOADS else 1.0 for name in covariates])


def _reference(rows: Mapping[str, Any], covariates: tuple[str, ...], factor: float) -> Any:
    x = rows["x"] * _columns(covariates, factor)
    return {"x": x, "expected": rows["expected"] * factor}
