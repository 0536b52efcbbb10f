"""The fitted model: arrays that describe homes and how they move, and its artefact on disk.

An artefact is a directory: `arrays.npz` (no pickle) and `card.json`, which says what it
was fitted on, and the SHA-256 of the arrays. No training curve can be read back: what is
kept of the training days themselves are blocks of a quarter day, as 8-bit ranks, without
date, never two that followed each other (see `donors`).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from generator.model.ranks import KNOTS
from generator.model.states import PARTS
from wattstorm.errors import ArtefactError

SCHEMA: Final = 1
ENGINES: Final = ("block", "chain")
SEASONS: Final = 4
TARGET_KNOTS: Final = 13
BLOCKS: Final = 4
MAX_BYTES: Final = 100 << 20
_ARRAYS: Final = "arrays.npz"
_CARD: Final = "card.json"
_HALF: Final = ("quantiles", "mixing", "shares", "factors", "off", "chain_odds")


@dataclass(frozen=True)
class Model:
    """All arrays. Rows: homes in a period (season of a year); kinds: 0 working day, 1 weekend.

    rows_of       int32[homes, periods]          row of each home in each season of each year
    quantiles     float32[2, rows, KNOTS]        Wh, by engine, calibrated
    targets       uint8[rows, 2, PARTS, TARGET_KNOTS]  quantiles of the parts' ranks × 255
    off           float32[rows, 2]               share of off days, and their Wh a slot
    mixing        float32[homes, PARTS, PARTS]   z = mixing @ x, see `states`
    shares        float32[homes, PARTS, 2]       memory of each component: weeks, days
    driven        float32[homes]                 loading of the common driver
    seam          float32[2]                     last slot's slope on days' fullness; own variance
    blocks        uint8[n, slots / 4]            ranks of donors' quarter days
    marks         uint8[n, MARKS]                see `donors`
    block_list    int32[homes, 2, BLOCKS, 2]     first and end of a home's blocks
    near          int32[homes, NEAR]             homes most alike
    donors        int32[homes]                   how many of `near` lend their blocks
    habit         int8[rows, 2, slots]           slot's mean rank minus its three hours', × 127
    move_class    int32[homes]                   class of movement
    chain_odds    float32[classes, HABITS, STATES, STATES]  moves of the chain
    factors       float32[2, 2, slots]           last calibration, by engine and kind
    level         float32[2]                     scale of new homes, by engine
    """

    rows_of: npt.NDArray[np.int32]
    quantiles: npt.NDArray[np.float32]
    targets: npt.NDArray[np.uint8]
    off: npt.NDArray[np.float32]
    mixing: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float32]
    driven: npt.NDArray[np.float32]
    seam: npt.NDArray[np.float32]
    blocks: npt.NDArray[np.uint8]
    marks: npt.NDArray[np.uint8]
    block_list: npt.NDArray[np.int32]
    near: npt.NDArray[np.int32]
    donors: npt.NDArray[np.int32]
    habit: npt.NDArray[np.int8]
    move_class: npt.NDArray[np.int32]
    chain_odds: npt.NDArray[np.float32]
    factors: npt.NDArray[np.float32]
    level: npt.NDArray[np.float32]
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def homes(self) -> int:
        return len(self.rows_of)

    @property
    def slots(self) -> int:
        return int(self.factors.shape[2])

    @property
    def minutes(self) -> int:
        return 1440 // self.slots

    def rounded(self) -> Model:
        """As it will be when loaded: some arrays are kept in half precision."""
        halves = {n: getattr(self, n).astype(np.float16).astype(np.float32) for n in _HALF}
        return replace(self, **halves)

    def save(self, directory: Path) -> dict[str, Any]:
        """Write the artefact, whole or not at all; returns its card."""
        packed = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _names()}
        halves = {n: a.astype(np.float16) if n in _HALF else a for n, a in arrays.items()}
        np.savez_compressed(packed, allow_pickle=False, **halves)
        data = packed.getvalue()
        if len(data) > MAX_BYTES:
            raise ArtefactError(
                f"the model takes {len(data) >> 20} MB, at most {MAX_BYTES >> 20} are allowed",
                "fit on fewer homes or days",
            )
        card = {**self.card, "schema": SCHEMA, "bytes": len(data), "homes": self.homes}
        card["sha256"] = hashlib.sha256(data).hexdigest()
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in (
            (_ARRAYS, data),
            (_CARD, json.dumps(card, indent=2, sort_keys=True).encode() + b"\n"),
        ):
            beside = directory / f".{name}.new"
            beside.write_bytes(content)
            os.replace(beside, directory / name)
        return card

    @classmethod
    def load(cls, directory: Path) -> Model:
        """Read an artefact; ArtefactError if it is damaged, of another version, or impossible."""
        card, data = _read(directory)
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                arrays = {name: file[name] for name in _names()}
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ArtefactError(
                f"{directory / _ARRAYS} cannot be read: {error}", "fit the model again"
            ) from error
        model = cls(
            **{n: a.astype(np.float32) if n in _HALF else a for n, a in arrays.items()}, card=card
        )
        _check(model, directory)
        return model


def shipped() -> Model:
    """The model that comes with wattstorm: Australian and Swiss homes, see its card."""
    return Model.load(Path(__file__).parent / "shipped")


def _names() -> list[str]:
    return [f.name for f in fields(Model) if f.name != "card"]


def _read(directory: Path) -> tuple[dict[str, Any], bytes]:
    try:
        card = json.loads((directory / _CARD).read_text("utf-8"))
        data = (directory / _ARRAYS).read_bytes()
    except (OSError, ValueError) as error:
        raise ArtefactError(
            f"{directory} is no model: {error}", "name the directory that `fit` wrote"
        ) from error
    schema = card.get("schema") if isinstance(card, dict) else None
    if schema != SCHEMA:
        raise ArtefactError(
            f"{directory} has schema {schema!r}, this version reads {SCHEMA}", "fit the model again"
        )
    found = hashlib.sha256(data).hexdigest()
    if found != card.get("sha256"):
        raise ArtefactError(
            f"{directory / _ARRAYS} has SHA-256 {found[:12]}…, its card says"
            f" {str(card.get('sha256'))[:12]}…",
            "copy the artefact again, or fit the model again",
        )
    return card, data


def _check(model: Model, directory: Path) -> None:
    """Refuse what would make a kernel read outside its arrays."""
    homes, slots, rows = model.homes, model.slots, model.quantiles.shape[1]
    per_block = slots // BLOCKS
    shapes: dict[str, tuple[int, ...]] = {
        "quantiles": (2, rows, KNOTS.size),
        "targets": (rows, 2, PARTS, TARGET_KNOTS),
        "off": (rows, 2),
        "mixing": (homes, PARTS, PARTS),
        "shares": (homes, PARTS, 2),
        "driven": (homes,),
        "blocks": (len(model.blocks), per_block),
        "block_list": (homes, 2, BLOCKS, 2),
        "habit": (rows, 2, slots),
        "factors": (2, 2, slots),
        "level": (2,),
    }
    wrong = [n for n, shape in shapes.items() if getattr(model, n).shape != shape]
    for name, below in (
        ("rows_of", rows),
        ("near", homes),
        ("block_list", len(model.blocks) + 1),
        ("move_class", len(model.chain_odds)),
        ("donors", model.near.shape[1] + 1),
    ):
        array = getattr(model, name)
        if array.size and (array.min() < 0 or array.max() >= below):
            wrong.append(name)
    wrong += [
        n
        for n in _names()
        if getattr(model, n).dtype.kind == "f" and not np.isfinite(getattr(model, n)).all()
    ]
    if wrong:
        raise ArtefactError(
            f"{directory}: {', '.join(sorted(set(wrong)))} cannot be", "fit the model again"
        )
