"""A forecaster's state as arrays: for a snapshot, and to go on from one to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from models.forecast.forecaster import Forecaster, Record
from wattstorm.errors import SnapshotError

PARTS: Final = {
    "filters": ("theta", "p", "noise"),
    "mixture": ("regret", "spread", "most"),
    "intervals": ("variance", "offsets", "paths"),
    "gate": ("loss",),
}
RECORD: Final = ("h", "static", "experts", "awake", "point", "scale", "load")


def to_arrays(forecaster: Forecaster) -> dict[str, Any]:
    """Copies of everything that learning moved, by name; days: int64[n], those remembered."""
    out = {
        f"{part}.{name}": getattr(getattr(forecaster, part), name).copy()
        for part, names in PARTS.items()
        for name in names
    }
    days = sorted(forecaster.days)
    out["days"] = np.array(days, np.int64)
    for name in RECORD if days else ():
        out[f"record.{name}"] = np.stack([getattr(forecaster.days[d], name) for d in days])
    return out


def restore(forecaster: Forecaster, arrays: Mapping[str, Any]) -> None:
    """Set a forecaster of the same artefact to a state; SnapshotError if it is another's."""
    moved = {}
    for part, names in PARTS.items():
        for name in names:
            mine, theirs = getattr(getattr(forecaster, part), name), arrays.get(f"{part}.{name}")
            if theirs is None or theirs.shape != mine.shape:
                found = None if theirs is None else theirs.shape
                what = f"{part}.{name} has shape {found}, this model's is {mine.shape}"
                raise SnapshotError(what, "the state belongs to another model: start without it")
            moved[part, name] = theirs.copy()
    days = arrays["days"].tolist()
    records = {
        day: Record(*(arrays[f"record.{name}"][i].copy() for name in RECORD))
        for i, day in enumerate(days)
    }
    for (part, name), values in moved.items():
        setattr(getattr(forecaster, part), name, values)
    forecaster.days = records
