"""A model set on disk: a directory with `card.json` and `arrays.npz`. No pickle.

The card tells what was trained on what, by what, and carries the SHA-256 of the arrays; its own
SHA-256 is the artefact's id. Opening checks schema, checksum, shapes, finiteness, and that
every family reproduces what its trainer said of the reference rows to TOLERANCE; anything else is
an ArtefactError, and whoever serves an older model goes on with it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.forecast.calendar import Calendar, Floats
from models.forecast.compiled import Compiled, piece_count
from models.forecast.formula import Member, Term
from models.forecast.model_set import ModelSet, Static
from models.forecast.ridge import Ridge
from models.forecast.warm import begun
from wattstorm.errors import ArtefactError, SnapshotError

SCHEMA = 1
TOLERANCE = 1e-6
CARD, ARRAYS = "card.json", "arrays.npz"
GAM_ARRAYS = ("constant", "low", "width", "pieces", "mean", "deviation", "sd")
RIDGE_ARRAYS = (
    *("centre", "scale", "weights", "bias", "beta"),
    *("constant", "mean", "deviation", "sd"),
)
WARM = "warm."
"""Before the names of the arrays of a forecaster's state at the end of training."""
RETRAIN = "train it again, or keep the model that is live"


def save(models: ModelSet, directory: Path, told: Mapping[str, Any] | None = None) -> str:
    """Write the artefact; returns its id. `told`: what else its card says: curve, period, tools."""
    arrays: dict[str, Any] = {"holidays": models.calendar.holidays.astype(np.int64)}
    families: dict[str, Any] = {}
    for name, model in models.families.items():
        gam = isinstance(model, Compiled)
        for field in GAM_ARRAYS if gam else RIDGE_ARRAYS:
            arrays[f"{name}.{field}"] = getattr(model, field)
        for field, rows in models.references.get(name, {}).items():
            arrays[f"{name}.reference.{field}"] = rows
        families[name] = {"kind": "gam" if gam else "ridge", "covariates": list(model.covariates)}
        if isinstance(model, Compiled):
            families[name]["terms"] = [[t.kind, t.x, t.cells, t.by] for t in model.formula]
    arrays.update({f"{WARM}{name}": state for name, state in models.warm.items()})
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    card = {
        **models.card,
        **(told or {}),
        "schema": SCHEMA,
        "slots": models.slots,
        "known": models.known,
        "families": families,
        "members": [[m.family, m.q] for m in models.members],
        "arrays_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    text = json.dumps(card, indent=1, sort_keys=True)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / ARRAYS).write_bytes(buffer.getvalue())
    (directory / CARD).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def artefact_id(directory: Path) -> str:
    """SHA-256 of the card, which holds that of the arrays."""
    try:
        return hashlib.sha256((directory / CARD).read_bytes()).hexdigest()
    except OSError as error:
        raise ArtefactError(f"{directory / CARD} cannot be read: {error}", RETRAIN) from error


def load(directory: Path) -> ModelSet:
    """Open and check an artefact; ArtefactError says what is wrong with it."""
    try:
        card = json.loads((directory / CARD).read_text())
        data = (directory / ARRAYS).read_bytes()
    except (OSError, ValueError) as error:
        raise ArtefactError(f"{directory} is no model: {error}", RETRAIN) from error
    if not isinstance(card, dict) or card.get("schema") != SCHEMA:
        found = card.get("schema") if isinstance(card, dict) else None
        raise ArtefactError(
            f"{directory} has schema {found!r}, this version reads {SCHEMA}", "train it again"
        )
    if hashlib.sha256(data).hexdigest() != card.get("arrays_sha256"):
        raise ArtefactError(f"{directory / ARRAYS} does not match the card's checksum", RETRAIN)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {k: file[k] for k in file.files}
        models = _built(card, arrays)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ArtefactError(f"{directory} lacks or garbles a part: {error}", RETRAIN) from error
    verify(models)
    return models


def verify(models: ModelSet) -> float:
    """The greatest relative difference from the trainers' own predictions; ArtefactError above
    TOLERANCE, or where something is missing or not finite."""
    worst = 0.0
    for name, model in models.families.items():
        rows = models.references.get(name, {})
        if "x" not in rows or not rows["expected"].size:
            raise ArtefactError(f"family {name} has no reference rows", RETRAIN)
        x, expected = rows["x"], rows["expected"]
        said = np.stack([model.predict(x[:, i]) for i in range(x.shape[1])], axis=1)
        if not (np.isfinite(said).all() and np.isfinite(model.sd).all() and (model.sd > 0).all()):
            raise ArtefactError(f"family {name} answers with NaN or infinity", RETRAIN)
        off = float((np.abs(said - expected) / np.maximum(np.abs(expected), 1e-9)).max())
        if not off <= TOLERANCE:
            raise ArtefactError(
                f"family {name} is {off:.1e} off its reference rows, at most {TOLERANCE:.0e}",
                RETRAIN,
            )
        worst = max(worst, off)
    _check_warm(models)
    return worst


def _check_warm(models: ModelSet) -> None:
    """ArtefactError if a forecaster cannot begin with the state that is inside."""
    try:
        forecaster = begun(models)
    except (SnapshotError, LookupError, ValueError, TypeError) as error:
        raise ArtefactError(f"its state at the end of training: {error}", RETRAIN) from error
    state = forecaster.filters.theta, forecaster.filters.p, forecaster.intervals.variance
    if not all(np.isfinite(part).all() for part in state):
        raise ArtefactError("its state at the end of training is not finite", RETRAIN)


def _built(card: Mapping[str, Any], arrays: Mapping[str, Any]) -> ModelSet:
    """The model set that card and arrays tell of."""
    slots, known = int(card["slots"]), int(card["known"])
    families: dict[str, Static] = {}
    references: dict[str, dict[str, Floats]] = {}
    for name, told in card["families"].items():
        if told["kind"] == "gam":
            terms = tuple(Term(*t) for t in told["terms"])
            parts = [arrays[f"{name}.{field}"] for field in GAM_ARRAYS]
            pieces = (slots, sum(piece_count(t) for t in terms), 4)
            if parts[3].shape != pieces or parts[1].shape != (slots, len(terms)):
                raise ValueError(f"{name}: pieces {parts[3].shape}, expected {pieces}")
            families[name] = Compiled(terms, *parts)
        else:
            parts = [arrays[f"{name}.{field}"] for field in RIDGE_ARRAYS]
            families[name] = Ridge(tuple(told["covariates"]), *parts)
        if len(families[name].constant) != slots:
            raise ValueError(f"{name} has not the {slots} slots of the card")
        references[name] = {f: arrays[f"{name}.reference.{f}"] for f in ("x", "expected")}
    members = tuple(Member(f, q) for f, q in card["members"])
    # the order that they were fitted in, which a JSON object does not keep: states are in it
    order = [f for f in dict.fromkeys(m.family for m in members) if f in families]
    families = {f: families[f] for f in (*order, *families)}
    calendar = Calendar(arrays["holidays"].astype("datetime64[D]"))
    warm = {k.removeprefix(WARM): v for k, v in arrays.items() if k.startswith(WARM)}
    return ModelSet(slots, known, calendar, families, members, card, references, warm)
