"""An emit arrives as it is, or raises: through pystorm's own serializer, nothing swallowed."""

from __future__ import annotations

import importlib
import io
import json
import pkgutil
from typing import Any

import numpy as np
import pytest
from pystorm.component import Tuple
from streamparse import Bolt, Spout, Topology

import topologies
from wattstorm.errors import EmitError
from wattstorm.tuples import CheckedEmits

LOST = [np.int64(1), float("nan"), b"\xff", "\ud800", 1 << 63, {"a": 1}, [np.bool_(True)]]


class Talking(CheckedEmits, Bolt):
    outputs = ["value"]  # noqa: RUF012


class Source(CheckedEmits, Spout):
    outputs = ["value"]  # noqa: RUF012


def talking(cls: Any = Talking) -> tuple[Any, io.BytesIO]:
    """A component on pystorm's JSON serializer, and the pipe that it writes to."""
    pipe = io.BytesIO()
    component = cls(io.BytesIO(), pipe, rdb_signal=None)
    component._current_tups = []
    return component, pipe


@pytest.mark.parametrize("value", LOST, ids=repr)
def test_what_would_be_lost_raises_and_nothing_is_written(value: Any) -> None:
    """Not even a part of the message."""
    component, pipe = talking()
    with pytest.raises(EmitError, match="value 1 of a tuple"):
        component.emit([1, value])
    assert pipe.getvalue() == b""


@pytest.mark.parametrize(
    ("cls", "how"),
    [
        (Talking, {"stream": b"x"}),
        (Talking, {"anchors": [np.int64(3)]}),
        (Talking, {"anchors": [None]}),
        (Talking, {"anchors": [Tuple(np.int64(3), "c", "default", 1, ())]}),
        (Talking, {"direct_task": np.int64(3)}),
        (Source, {"tup_id": 7}),
        (Source, {"tup_id": "\ud800"}),
    ],
    ids=repr,
)
def test_ids_and_streams_are_checked_too(cls: Any, how: dict[str, Any]) -> None:
    """They stand in the same message."""
    component, pipe = talking(cls)
    with pytest.raises(EmitError):
        component.emit([1], **how)
    assert pipe.getvalue() == b""


def test_a_text_is_no_tuple() -> None:
    """Its letters would be the values."""
    with pytest.raises(EmitError, match="emit a list"):
        talking()[0].emit("abc")


def test_a_good_tuple_goes_out_whole() -> None:
    """As Storm reads it: one JSON object, then a line that says end."""
    component, pipe = talking()
    component.emit((1, "é", [2.5, None]), stream="s", anchors=["a"])
    text, end, rest = pipe.getvalue().decode().partition("\nend\n")
    assert (end, rest) == ("\nend\n", "")
    assert json.loads(text) == {
        "command": "emit",
        "tuple": [1, "é", [2.5, None]],
        "stream": "s",
        "anchors": ["a"],
        "need_task_ids": False,
    }


def test_a_component_without_the_check_does_lose_it() -> None:
    """Why all this: pystorm writes to its log, and goes on."""

    class Careless(Bolt):
        outputs = ["value"]  # noqa: RUF012

    component, pipe = talking(Careless)
    component.emit([np.int64(1)])
    assert pipe.getvalue() == b""


def shipped_components() -> list[type]:
    """Each class that a topology of ours names."""
    found: set[type] = set()
    for module in pkgutil.iter_modules(topologies.__path__, "topologies."):
        for thing in vars(importlib.import_module(module.name)).values():
            if isinstance(thing, type) and issubclass(thing, Topology) and thing is not Topology:
                found |= {spec.component_cls for spec in thing.specs}
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", shipped_components(), ids=lambda cls: cls.__name__)
def test_every_component_of_every_topology_checks_its_emits(cls: type) -> None:
    """Nobody can forget it."""
    assert cls.emit is CheckedEmits.emit  # type: ignore[attr-defined]


def test_there_are_components_to_check() -> None:
    """The test before this one does not pass for want of them."""
    assert len(shipped_components()) >= 3
