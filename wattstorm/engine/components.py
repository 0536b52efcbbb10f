"""The table of a topology's components: what its class says, and nobody else.

The local engine, `wattstorm deploy` and `wattstorm status` learn from here which components
there are and how many tasks each has. A component's `par` is that number, but for two kinds
that the wiring itself tells:

- a source (it has no inputs) and a holder of partitions (it takes a stream by the field
  `partition`) share the partitions out among their tasks: more tasks than partitions would
  have nothing to do;
- how many holders there are is the machine's business, so settings say it: `engine.workers`
  here, `storm.aggregates` on a cluster, which has `storm.spouts` for the sources too.

A component may name a setting without which it does not run (`tuples.WHEN`).
The local engine has a source live with the holder that takes from it: see `joined`.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from wattstorm.errors import EngineError
from wattstorm.settings import Settings
from wattstorm.tuples import WHEN

SHARED = ["partition"]
"""The fields by which a holder of partitions takes its stream."""


@dataclass(frozen=True)
class Component:
    """A spout or bolt of a topology; `after`: those whose streams it takes."""

    name: str
    tasks: int
    after: tuple[str, ...] = ()
    shares: bool = False
    """Its tasks share the partitions out: a source, or a holder of partitions."""

    @property
    def source(self) -> bool:
        return not self.after

    @property
    def task_names(self) -> list[str]:
        return [task_name(self.name, index) for index in range(self.tasks)]


def task_name(component: str, index: int) -> str:
    """What a task is called in heartbeats and messages."""
    return f"{component}-{index}"


def load_topology(name: str) -> Any:
    """The topology class called "module:Class", or EngineError."""
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise EngineError(
            f"topology {name}: there is no module {error.name}",
            "set engine.topology to module:Class, and start where that module can be imported",
        ) from error
    except AttributeError as error:
        raise EngineError(f"topology {name}: {error}", "set engine.topology") from error
    if not getattr(found, "specs", None):
        raise EngineError(f"{name} is no streamparse topology", "set engine.topology")
    return found


def components(
    specs: Iterable[Any],
    partitions: int,
    *,
    holders: int | None = None,
    sources: int | None = None,
    settings: Settings | None = None,
) -> list[Component]:
    """The components of a topology's specs, each with its tasks over so many partitions.

    holders, sources: tasks of a component that holds partitions, and of a source; None: as
    its `par` says. settings: without those that they switch off; None: without all of those.
    """
    found = []
    for spec in specs:
        when = json.loads(spec.config or "{}").get(WHEN)
        if when is not None and not (settings is not None and settings.get(when)):
            continue
        inputs = spec.inputs or {}
        holds = any(grouping.fields == SHARED for grouping in inputs.values())
        wanted = (holders if holds else None if inputs else sources) or spec.par
        shares = holds or not inputs
        after = tuple(dict.fromkeys(source.componentId for source in inputs))
        tasks = min(wanted, max(1, partitions)) if shares else wanted
        found.append(Component(spec.name, tasks, after, shares))
    return found


def running(specs: Iterable[Any], table: Iterable[Component]) -> list[Any]:
    """The specs of the components that the table has."""
    names = {component.name for component in table}
    return [spec for spec in specs if spec.name in names]


def joined(table: Iterable[Component]) -> list[Component]:
    """The same, but a source has as many tasks as the holder of partitions that takes from it:
    then what task i of the source emits is for task i of the holder."""
    held = {source: holder.tasks for source, holder in _holders(table).items()}
    return [replace(c, tasks=held.get(c.name, c.tasks)) for c in table]


def processes(table: Iterable[Component]) -> list[list[tuple[Component, int]]]:
    """The tasks in each process, (component, index): those of a source with those of its holder,
    each other one alone. The last one gives the process its name.

    A reference from the one to the other is a call then, not the wake-up of a process. The source
    is asked where the holder has nothing to do, so neither waits for the other.
    """
    table = list(table)
    holders = _holders(table)
    found = []
    for component in table:
        if component.name in holders:
            continue
        sources = [c for c in table if holders.get(c.name) is component]
        found += [
            [(c, index) for c in (*sources, component) if index < c.tasks]
            for index in range(component.tasks)
        ]
    return found


def _holders(table: Iterable[Component]) -> dict[str, Component]:
    """By name the sources that a holder of partitions takes from, and the first that does."""
    table, found = list(table), dict[str, Component]()
    sources = {c.name for c in table if c.source}
    for holder in (c for c in table if c.shares and not c.source):
        for name in sources.intersection(holder.after):
            found.setdefault(name, holder)
    return found


def stages(table: Iterable[Component]) -> list[list[Component]]:
    """The components from the sources on: each after all that it takes from."""
    left, done, found = list(table), set[str](), list[list[Component]]()
    while left:
        stage = [c for c in left if done.issuperset(c.after)] or left  # a circle stops together
        found.append(stage)
        done |= {c.name for c in stage}
        left = [c for c in left if c not in stage]
    return found
