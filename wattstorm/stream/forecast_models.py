"""Which models are live, as an entry of the log says it, and how they are opened.

    {"schema": 1, "curves": {"national": {"48": {"live": [ID, SHA256], "shadow": [ID, SHA256]}}}}

By curve and by how many slots of the eve are known at issue: a model for 00:00 and one for 12:00
stand side by side. An entry says all of it; the artefacts lie in DATA/models/CURVE/ID.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from models.forecast import artefact
from models.forecast.model_set import ModelSet
from models.forecast.registry import NAME
from wattstorm.errors import ArtefactError, DataError

SCHEMA: Final = 1
NATIONAL: Final = "national"
"""The nation's curve, as models are named; a tariff's has the tariff's name."""
OPEN_AT_ONCE: Final = 64

Place = tuple[str, int]
"""(curve, slots of the eve known at issue)."""


class Named(NamedTuple):
    """An artefact: its directory's name, and the SHA-256 of its card, which has all others."""

    id: str
    sha256: str


class Stages(NamedTuple):
    """Of one place."""

    live: Named | None = None
    shadow: Named | None = None

    @property
    def named(self) -> list[Named]:
        return [each for each in self if each]


Table = Mapping[Place, Stages]


def curve_of(label: str) -> str:
    """The name that models of a scope have: "nation" → "national", "tariff:peak" → "peak"."""
    return label.partition(":")[2] or NATIONAL


def parse_table(text: str) -> dict[Place, Stages]:
    """What a text says is live; DataError if it says nothing of the kind. "" is nothing live."""
    if not text:
        return {}
    try:
        plain = json.loads(text)
        if plain["schema"] != SCHEMA:
            raise ValueError(f"schema {plain['schema']!r}")
        table = {}
        for curve, places in plain["curves"].items():
            for known, stages in places.items():
                told = {stage: Named(*map(str, of)) for stage, of in stages.items() if of}
                names = [curve, *(named.id for named in told.values())]
                if not all(NAME.fullmatch(name) for name in names):
                    raise ValueError(f"names {names}")
                table[curve, int(known)] = Stages(**told)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        what = f"models that say {text[:200]!r}: {error}"
        raise DataError(what, "wattstorm models promote") from error
    return table


def table_text(table: Table) -> str:
    """Inverse of `parse_table`."""
    curves: dict[str, dict[str, dict[str, list[str]]]] = {}
    for (curve, known), stages in sorted(table.items()):
        told = {s: list(of) for s, of in zip(Stages._fields, stages, strict=True) if of}
        curves.setdefault(curve, {})[str(known)] = told
    return json.dumps({"schema": SCHEMA, "curves": curves}, sort_keys=True)


def with_stages(text: str, place: Place, live: Named | None, shadow: Named | None) -> str:
    """The text with other models at one place; for `Control.amend`."""
    table = parse_table(text) | {place: Stages(live, None if shadow == live else shadow)}
    return table_text({of: stages for of, stages in table.items() if stages.named})


class Models:
    """The artefacts below `root`, opened and verified; `slots`: of a day in the stream."""

    def __init__(self, root: Path, slots: int) -> None:
        self.root, self.slots = root, slots
        self._load = lru_cache(OPEN_AT_ONCE)(self._opened)

    def open(self, curve: str, named: Named) -> ModelSet:
        """ArtefactError says what is wrong with it; what failed once is looked at again."""
        return self._load(curve, named)

    def _opened(self, curve: str, named: Named) -> ModelSet:
        place = self.root / curve / named.id
        found = artefact.artefact_id(place)
        if found != named.sha256:
            raise ArtefactError(
                f"{place} has checksum {found[:12]}, the stream was told {named.sha256[:12]}",
                "bring the artefact back that was promoted, or promote this one",
            )
        models = artefact.load(place)
        if models.slots != self.slots:
            raise ArtefactError(
                f"{place} has {models.slots} slots a day, the stream {self.slots}",
                f"train it with --minutes {1440 // self.slots}",
            )
        return models
