"""One task of a component, driven as Storm would: what it is given, what it says."""

from __future__ import annotations

import io
import itertools
import logging
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import simplejson

from wattstorm.engine.acker import Tracker
from wattstorm.engine.components import Component, task_name
from wattstorm.engine.routes import routes_of
from wattstorm.engine.transport import MemorySerializer, Message, carried
from wattstorm.engine.wires import Answered, Given, Lost, Wires
from wattstorm.errors import EmitError, EngineError

TICK = "topology.tick.tuple.freq.secs"
_LEVELS = (5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_log = logging.getLogger("wattstorm.engine")


class Task:
    """Task `index` of component `name` of a topology whose components are `table`."""

    def __init__(
        self,
        topology: Any,
        table: Sequence[Component],
        name: str,
        index: int,
        conf: Message,
        wires: Wires,
    ) -> None:
        self.spec = next(spec for spec in topology.specs if spec.name == name)
        self.name, self.wires = task_name(name, index), wires
        self.source = not self.spec.inputs
        self.routes = routes_of(topology.specs, table)
        self.tracker = Tracker(self.name, self._root_done)
        self.acked = self.failed = 0
        self._ids = itertools.count(1)
        self._roots: dict[str, tuple[int | str, str] | str] = {}
        self._queue: deque[Message] = deque()
        self._spoken = False
        config = simplejson.loads(self.spec.config or "{}")
        merged = {**conf, **topology.config, "topology.name": topology.__name__, **config}
        self.tick_s = 0.0 if self.source else float(merged.get(TICK) or 0)
        self.next_tick = time.monotonic() + self.tick_s
        self._set_up(merged, context_of(topology.specs, table, name, index))

    def _set_up(self, conf: Message, context: Message) -> None:
        """As by Storm's handshake."""
        self.serializer = MemorySerializer(lambda message: None)  # pystorm greets its Storm
        component = self.spec.component_cls(io.BytesIO(), io.BytesIO(), rdb_signal=None)
        component.serializer = self.serializer
        self.component = component
        root = logging.getLogger()
        handlers = list(root.handlers)
        conf, context = simplejson.loads(carried([conf, context]))
        component._setup_component(conf, context)
        root.handlers = handlers  # not pystorm's, which sends records to Storm as messages
        self.serializer.receive = self._take
        component.initialize(conf, context)

    # --- driven by the worker's loop ------------------------------------------------

    @property
    def pending(self) -> int:
        """What a spout began, or a bolt was given, of which nobody knows yet what becomes."""
        return len(self.tracker.open)

    def hear(self, timeout_s: float) -> None:
        """Take in what other tasks say; wait for it at most so long."""
        for event in self.wires.poll(timeout_s):
            match event:
                case Given(line, message):
                    self._queue.append(self._received(line, message))
                case Answered(identity, acked):
                    self.tracker.answered(identity, acked=acked)
                case Lost(target):
                    _log.warning("%s is gone", target)
                    self.tracker.lost(target)

    def work(self) -> bool:
        """Let one message be processed, the oldest; False if none waits."""
        if not self._queue:
            return False
        self._tell(self._queue.popleft())
        return True

    def ask(self) -> bool:
        """Ask a spout for its next tuples; whether there were any."""
        self._spoken = False
        self._tell({"command": "next"})
        return self._spoken

    def tick(self, now: float) -> None:
        """A tick, if one is due."""
        if self.tick_s and now >= self.next_tick:
            self.next_tick = now + self.tick_s
            identity = self._new_id()
            self.tracker.given(identity, root=False)
            self._tell(
                {
                    "id": identity,
                    "comp": "__system",
                    "stream": "__tick",
                    "task": -1,
                    "tuple": [int(self.tick_s)],
                }
            )

    def measure(self) -> None:
        """Let the component know how many messages wait for it, and for how many it waits."""
        outfit = getattr(self.component, "outfit", None)
        if outfit is not None:
            outfit.instruments.level("queue", len(self._queue))
            outfit.instruments.level("pending", self.pending)

    def stop(self) -> None:
        """A clean stop, for components that want to know."""
        self._queue.clear()
        stop = getattr(self.component, "stop", None)
        if stop is not None:
            stop()

    # --- what comes in -----------------------------------------------------------------

    def _received(self, line: int | str, message: Message) -> Message:
        """A tuple as the component gets it: under a name of ours."""
        theirs, ours = message["id"], self._new_id()
        if theirs is not None:
            self._roots[ours] = line, theirs
        self.tracker.given(ours, root=theirs is not None)
        return {**message, "id": ours}

    def _tell(self, message: Message) -> None:
        """Let the component process one message, now."""
        self.serializer.inbox.append(carried(message))
        self.component._run()

    def _root_done(self, root: str, acked: bool) -> None:
        self.acked, self.failed = self.acked + acked, self.failed + (not acked)
        asker = self._roots.pop(root)
        if isinstance(asker, str):
            self._queue.append({"command": "ack" if acked else "fail", "id": asker})
        else:
            self.wires.answer(*asker, acked=acked)

    # --- what the component says -------------------------------------------------------

    def _take(self, message: Message) -> None:
        command = message.get("command")
        if command == "emit":
            self._emit(message)
        elif command in ("ack", "fail"):
            self.tracker.finish(message["id"], acked=command == "ack")
        elif command in ("log", "error"):
            level = _LEVELS[message.get("level", 4 if command == "error" else 2)]
            _log.log(level, "%s: %s", self.name, message["msg"])
        elif command != "sync":
            raise EngineError(
                f"{self.name} sent {message!r}", "the local engine knows emit, ack, fail and log"
            )

    def _emit(self, message: Message) -> None:
        stream, values = message.get("stream", "default"), message["tuple"]
        if (self.spec.name, stream) not in self.routes:
            raise EmitError(f"{self.name} has no stream {stream!r}", "declare it in its outputs")
        if message.get("task") is not None or message.get("need_task_ids", True):
            raise EmitError(
                f"{self.name} emits to a task by number, or asks for task numbers",
                "the local engine routes by grouping only",
            )
        fields = len(self.spec.outputs[stream].output_fields)
        if len(values) != fields:
            raise EmitError(f"{self.name} emits {values!r} on a stream of {fields} fields")
        self._spoken = True
        routes = self.routes[self.spec.name, stream]
        if self.source:
            roots = self._begun(message.get("id")) if routes else frozenset()
        else:
            roots = self.tracker.roots_of(message.get("anchors", ()))
        for target in (target for route in routes for target in route.targets(values)):
            identity = self._new_id() if roots else None
            if identity is not None:
                self.tracker.went(identity, target, roots)
            tuple_ = {"id": identity, "comp": self.spec.name, "stream": stream, "task": 0}
            self.wires.send(target, {**tuple_, "tuple": values}, anchored=bool(roots))

    def _begun(self, given: str | None) -> frozenset[str]:
        if given is None:
            return frozenset()
        root = self._new_id()
        self._roots[root] = given
        self.tracker.begun(root)
        return frozenset({root})

    def _new_id(self) -> str:
        return str(next(self._ids))


def targets_of(topology: Any, table: Sequence[Component], name: str) -> list[str]:
    """The tasks that component `name` may send to."""
    streams = routes_of(topology.specs, table)
    found = [t for (c, _), routes in streams.items() if c == name for r in routes for t in r.tasks]
    return list(dict.fromkeys(found))


def context_of(specs: Any, table: Sequence[Component], name: str, index: int) -> Message:
    """Storm's context of task `index` of component `name`."""
    named = [(component.name, i) for component in table for i in range(component.tasks)]
    known = {spec.name: spec for spec in specs}
    fields: dict[str, dict[str, list[str]]] = {}
    for source in known[name].inputs:
        stream = known[source.componentId].outputs[source.streamId]
        fields.setdefault(source.componentId, {})[source.streamId] = list(stream.output_fields)
    return {
        "taskid": named.index((name, index)) + 1,
        "componentid": name,
        "task->component": {str(i + 1): component for i, (component, _) in enumerate(named)},
        "source->stream->fields": fields,
    }
