"""A forecaster's state as arrays: for a snapshot, and to go on from one to the same bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def remembered(forecaster: Forecaster, day: int, part: slice) -> Callable[[], None]:
    """How to undo, exactly, whatever the slots of `part` of a day are going to teach."""
    f = forecaster
    cells = [
        *((a, a[:, part].copy()) for a in (f.filters.theta, f.filters.p, f.filters.noise)),
        *((a, a[:, part].copy()) for a in (f.mixture.regret, f.mixture.spread, f.mixture.most)),
        *((a, a[:, part].copy()) for a in (f.intervals.offsets, f.gate.loss)),
    ]
    variance, record, paths = f.intervals.variance[part].copy(), f.days.get(day), f.intervals.paths
    load = None if record is None else record.load[part].copy()

    def undo() -> None:
        for array, was in cells:
            array[:, part] = was
        f.intervals.variance[part], f.intervals.paths = variance, paths
        if record is not None:
            record.load[part] = load

    return undo


def carried(old: Forecaster, new: Forecaster) -> None:
    """What a new model inherits from the one it follows: the weights of the members that both have,
    and how far forecasts err. Its own effects start as they were fitted."""
    place = {member.name: i for i, member in enumerate(old.members)}
    for i, member in enumerate(new.members):
        at = place.get(member.name)
        if at is None:
            continue
        for name in PARTS["mixture"]:
            getattr(new.mixture, name)[:, :, i] = getattr(old.mixture, name)[:, :, at]
        new.gate.loss[i] = old.gate.loss[at]
    for name in PARTS["intervals"]:
        setattr(new.intervals, name, getattr(old.intervals, name).copy())
