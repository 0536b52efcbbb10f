"""What travels between spout and bolts: references, never readings.

pystorm's serializer logs and swallows what JSON cannot carry (a numpy integer,
NaN, bytes), and the input is acked all the same: a silent loss. So every spout
and bolt begins with `CheckedEmits`, whose `emit` raises instead.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from wattstorm.errors import EmitError


class BatchRef(NamedTuple):
    """Log positions first … last of a partition, both included; attempt counts its replays."""

    partition: int
    first: int
    last: int
    attempt: int

    @property
    def tuple_id(self) -> str:
        return ":".join(map(str, self))

    @classmethod
    def from_id(cls, tuple_id: str) -> BatchRef:
        return cls(*map(int, tuple_id.split(":")))


BATCH_FIELDS = list(BatchRef._fields)
WHEN = "wattstorm.when"
"""In a component's configuration: the setting without which it does not run."""
CHANGED_FIELDS = ["partition", "fence"]
"""A commit moved the partition's fence: its dirty slots want publishing."""
SLOTS_FIELDS = ["slots"]
"""So many slots were published: a bell, what changed of them stands in the log of slots."""


class CheckedEmits:
    """Goes before Spout or Bolt among a component's bases; nothing is sent if `emit` raises."""

    def emit(self, tup: Any, **how: Any) -> Any:
        """pystorm's `emit`, all but the values by name; EmitError for what would not arrive."""
        if not isinstance(tup, list | tuple):
            raise EmitError(f"a tuple is {tup!r} ({type(tup).__name__})", "emit a list or a tuple")
        anchors = how.get("anchors")
        named = {name: how.get(name) for name in ("tup_id", "stream")}
        named |= {f"anchor {i}": getattr(a, "id", a) for i, a in enumerate(anchors or ())}
        for name, value in named.items():
            given = value is not None or name.startswith("anchor")
            if given and not (type(value) is str and _carried(value)):
                raise EmitError(f"{name} of a tuple is {value!r} ({type(value).__name__})", _NAMES)
        task = how.get("direct_task")
        if task is not None and not (type(task) is int and _carried(task)):
            raise EmitError(f"direct_task of a tuple is {task!r} ({type(task).__name__})")
        return super().emit(checked(tup), **how)  # type: ignore[misc]


_NAMES = "ids and streams are text, as pystorm gave it"


def checked(values: tuple[Any, ...] | list[Any]) -> list[Any]:
    """The values as a list that JSON carries unchanged, or EmitError naming the one it cannot."""
    for position, value in enumerate(values):
        if not _carried(value):
            raise EmitError(
                f"value {position} of a tuple is {value!r} ({type(value).__name__})",
                "emit int, float, str, bool, None, and lists of them",
            )
    return list(values)


def _carried(value: Any) -> bool:
    if type(value) is float:
        return math.isfinite(value)
    if type(value) is str:
        return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    if type(value) is list:
        return all(map(_carried, value))
    if type(value) is int:
        return -(1 << 63) <= value < 1 << 63  # Storm's JSON reads a long, or ends the worker
    return value is None or type(value) is bool


def task_index(context: dict[str, Any]) -> tuple[int, int]:
    """(this task's index among the tasks of its component, how many they are)."""
    mine, component = int(context["taskid"]), context["componentid"]
    tasks = sorted(int(t) for t, c in context["task->component"].items() if c == component)
    return tasks.index(mine), len(tasks)
