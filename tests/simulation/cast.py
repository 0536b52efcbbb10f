"""The real components of the stream, with a point before and after each step of the contract."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

from pystorm.component import Tuple

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from tests.simulation.stage import Stage
from wattstorm.engine.transport import MemorySerializer
from wattstorm.stream.consumer import Consumer

SILENT = logging.Logger("simulation")
SILENT.disabled = True

STEPS = ("restored", "replay", "apply", "keep", "announce")
"""Steps that ask the store nothing: the others are points by their command."""


def _with_points(method: str) -> Callable[..., Any]:
    before, after = f"before {method}", f"after {method}"

    def step(self: Any, *arguments: Any) -> Any:
        Stage.hub.point(before)
        if method == "apply":
            self.applies(arguments[0])
        done = getattr(super(Steps, self), method)(*arguments)
        Stage.hub.point(after)
        return done

    return step


class Steps(Consumer):
    """`applies` is called with what the task holds before each batch."""

    applies: Callable[[Any], None]

    def poison(self, own: Any, *arguments: Any) -> Any:
        self.applies(own)
        return super().poison(own, *arguments)


for _method in STEPS:
    assert hasattr(Consumer, _method)
    setattr(Steps, _method, _with_points(_method))


class Task(AggregateBolt):
    """An aggregate task."""

    consumer_class = Steps

    def raise_exception(self, *_: Any, **__: Any) -> None:
        pass  # it is poison's


Publisher, Spout = PublishBolt, ReadingsSpout


def started(cls: type[Any], settings: Any, url: str, say: Callable[[Any], None]) -> Any:
    """A component, initialized as a task of its own; `say` gets its messages."""
    component = cls(io.BytesIO(), io.BytesIO(), rdb_signal=None)
    component.serializer = MemorySerializer(say)
    conf = {"wattstorm": {"settings": settings}, "wattstorm.store_url": url}
    context = {"taskid": 1, "componentid": "it", "task->component": {"1": "it"}}
    handlers = list(logging.root.handlers)
    component._setup_component(conf, context)
    logging.root.handlers[:] = handlers  # pystorm's would hold the component, and all it knows
    component.logger = SILENT
    component.initialize(conf, context)
    return component


def give(component: Any, *values: Any, tick: bool = False) -> None:
    """One tuple to a bolt, or a tick."""
    if tick:
        component.process_tick(Tuple("tick", "__system", "__tick", -1, (1,)))
        return
    tup = Tuple("t", "source", "default", 1, values)
    component._current_tups = [tup]
    component.process(tup)
