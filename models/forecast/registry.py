"""Fitted models on disk, by curve: which is live, which is on trial, and how it came to that.

    ROOT/CURVE/ID/card.json, arrays.npz       an artefact; ID begins its SHA-256
    ROOT/CURVE/stages.json                    live, shadow, and everything that was ever live

A model is staged when it is added, shadow when it runs unseen beside the live one, live when
its forecasts are published. Files are written beside and renamed into place, so that whoever reads
sees the old state or the new one; an artefact that does not open is never promoted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from models.forecast import artefact
from models.forecast.model_set import ModelSet
from wattstorm.errors import ArtefactError, UsageError

STAGES: Final = "stages.json"
SHORT: Final = 16
"""Letters of the id in a directory's name."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """An artefact in the registry. stage: staged, shadow, live or former."""

    curve: str
    id: str
    stage: str
    directory: Path
    card: Mapping[str, Any]


class Registry:
    """The models under `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, curve: str, models: ModelSet, told: Mapping[str, Any]) -> Entry:
        """Write the artefact and stage it; nothing is left of one that cannot be opened."""
        check_name(curve)
        beside = self.root / curve / f".new-{os.getpid()}"
        try:
            identity = artefact.save(models, beside, {**told, "curve": curve})[:SHORT]
            artefact.load(beside)
            place = self.root / curve / identity
            if not place.exists():
                beside.rename(place)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return self.find(identity)

    def entries(self, curve: str = "") -> list[Entry]:
        """All artefacts, or one curve's, by curve and date of training."""
        places = sorted(self.root.glob(f"{curve or '*'}/[!.]*/{artefact.CARD}"))
        found = [self._entry(place.parent) for place in places]
        return sorted(found, key=lambda e: (e.curve, str(e.card.get("trained", "")), e.id))

    def find(self, prefix: str) -> Entry:
        """The one artefact whose id begins so; UsageError if there is none, or several."""
        found = [e for e in self.entries() if e.id.startswith(prefix)]
        if len(found) != 1:
            count = "no model" if not found else f"{len(found)} models"
            raise UsageError(f"{count} with an id that begins {prefix!r}", "wattstorm models list")
        return found[0]

    def live(self, curve: str) -> Path | None:
        """Directory of the curve's live artefact."""
        identity = self._stages(curve)["live"]
        return self.root / curve / identity if identity else None

    def promote(self, prefix: str, stage: str, who: str, when: str) -> Entry:
        """Make an artefact live or shadow; ArtefactError if it does not open."""
        entry = self.find(prefix)
        artefact.load(entry.directory)
        stages = self._stages(entry.curve)
        if stages["live"] == entry.id:
            raise UsageError(f"{entry.id} is live", "wattstorm models rollback takes it back")
        stages[stage] = entry.id
        if stage == "live" and stages["shadow"] == entry.id:
            stages["shadow"] = ""
        self._write(entry.curve, stages, {"id": entry.id, "to": stage, "who": who, "when": when})
        return self.find(entry.id)

    def rollback(self, curve: str, who: str, when: str) -> Entry:
        """Make the artefact live that was live before."""
        stages = self._stages(curve)
        was = _lived(stages["history"])
        if len(was) < 2:
            raise UsageError(f"curve {curve!r} has no model that was live before", "promote one")
        artefact.load(self.root / curve / was[-2])
        stages["live"] = was[-2]
        self._write(curve, stages, {"id": was[-2], "to": "rollback", "who": who, "when": when})
        return self.find(was[-2])

    def _entry(self, place: Path) -> Entry:
        """The artefact of a directory, its card read but not checked."""
        curve = place.parent.name
        stages = self._stages(curve)
        stage = "former" if place.name in _ever(stages["history"]) else "staged"
        stage = "shadow" if stages["shadow"] == place.name else stage
        stage = "live" if stages["live"] == place.name else stage
        try:
            card = json.loads((place / artefact.CARD).read_text())
        except ValueError:
            card = {"damaged": True}
        return Entry(curve, place.name, stage, place, card)

    def _stages(self, curve: str) -> dict[str, Any]:
        place = self.root / curve / STAGES
        if not place.exists():
            return {"live": "", "shadow": "", "history": []}
        try:
            stages = json.loads(place.read_text())
            return {key: stages[key] for key in ("live", "shadow", "history")}
        except (ValueError, KeyError, TypeError) as error:
            what = f"{place} cannot be read: {error}"
            raise ArtefactError(
                what, "move it away and promote the model that shall be live"
            ) from error

    def _write(self, curve: str, stages: dict[str, Any], done: Mapping[str, str]) -> None:
        stages["history"] = [*stages["history"], dict(done)]
        place = self.root / curve / STAGES
        beside = place.with_name(f".{STAGES}-{os.getpid()}")
        with beside.open("w") as file:
            file.write(json.dumps(stages, indent=1))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(place)


def check_name(curve: str) -> None:
    if not NAME.fullmatch(curve):
        raise UsageError(f"curve {curve!r}", "take letters, digits, _, - and ., at most 64")


def _lived(history: list[dict[str, str]]) -> list[str]:
    """Ids in the order they were live; a rollback takes the last one away."""
    was: list[str] = []
    for done in history:
        if done["to"] == "live":
            was.append(done["id"])
        elif done["to"] == "rollback":
            was.pop()
    return was


def _ever(history: list[dict[str, str]]) -> set[str]:
    return {done["id"] for done in history if done["to"] == "live"}
