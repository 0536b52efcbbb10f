"""Which task of a consumer gets a tuple: Storm's groupings.

| grouping | task |
|---|---|
| fields | always the same for the same values of these fields |
| shuffle, local_or_shuffle, none | each in turn: every task is a process, so none is nearer |
| global | the first |
| all | every one |
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import simplejson

from wattstorm.engine.components import Component, running
from wattstorm.errors import EngineError

_IN_TURN = ("shuffle", "local_or_shuffle", "none")
_KNOWN = (*_IN_TURN, "fields", "global", "all")


@dataclass(frozen=True)
class Route:
    """From a component's stream to the tasks of one consumer."""

    tasks: Sequence[str]
    kind: str
    fields: tuple[int, ...] = ()
    """Places of the fields that choose the task, for grouping by fields."""
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def targets(self, values: Sequence[Any]) -> Sequence[str]:
        """The tasks that a tuple of these values goes to."""
        if self.kind == "all":
            return self.tasks
        if self.kind == "fields":
            return [self.tasks[_spread([values[i] for i in self.fields]) % len(self.tasks)]]
        number = 0 if self.kind == "global" else next(self._turn) % len(self.tasks)
        return [self.tasks[number]]


def _spread(values: Sequence[Any]) -> int:
    """A number of these values: one integer by itself, so that partitions spread evenly."""
    if len(values) == 1 and type(values[0]) is int:
        return values[0]
    return zlib.crc32(simplejson.dumps(values, sort_keys=True).encode())


def routes_of(
    specs: Iterable[Any], table: Iterable[Component]
) -> Mapping[tuple[str, str], list[Route]]:
    """(component, stream) → its consumers; EngineError for a grouping that is not known here."""
    table = list(table)
    known = {spec.name: spec for spec in running(specs, table)}
    tasks = {component.name: component.task_names for component in table}
    routes: dict[tuple[str, str], list[Route]] = {
        (spec.name, stream): [] for spec in known.values() for stream in spec.outputs
    }
    for spec in known.values():
        for source, grouping in spec.inputs.items():
            kind = _kind(grouping)
            if kind not in _KNOWN:
                raise EngineError(
                    f"{spec.name} takes {source.componentId} by {grouping!r}",
                    f"the local engine has the groupings {', '.join(_KNOWN)}; run this topology "
                    "on Storm",
                )
            names = known[source.componentId].outputs[source.streamId].output_fields
            fields = tuple(names.index(name) for name in grouping.fields or ())
            route = Route(tasks[spec.name], kind, fields)
            routes[source.componentId, source.streamId].append(route)
    return routes


def _kind(grouping: Any) -> str:
    kind = next((k for k, v in vars(grouping).items() if v is not None), "none")
    return "global" if kind == "fields" and not grouping.fields else str(kind)
