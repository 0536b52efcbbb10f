"""The tasks of one worker: one of each component of the topology, driven as Storm would."""

from __future__ import annotations

import importlib
import io
import itertools
import logging
import time
from collections import deque
from typing import Any

import simplejson

from wattstorm.engine.transport import MemorySerializer, Message, Tracker, carried, routes_of
from wattstorm.errors import EmitError, EngineError

TICK = "topology.tick.tuple.freq.secs"
_LEVELS = (5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_log = logging.getLogger("wattstorm.engine")


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


class Task:
    """One instance of a spout or bolt class, set up as by Storm's handshake."""

    def __init__(self, spec: Any, plumbing: Tasks, conf: Message, context: Message) -> None:
        self.name: str = spec.name
        self.outputs = spec.outputs
        config = simplejson.loads(spec.config or "{}")
        self.tick_s = float(config.get(TICK) or conf.get(TICK) or 0)
        self.next_tick = time.monotonic() + self.tick_s
        self.serializer = MemorySerializer(lambda message: None)  # pystorm greets its Storm
        component = spec.component_cls(io.BytesIO(), io.BytesIO(), rdb_signal=None)
        component.serializer = self.serializer
        self.component = component
        root = logging.getLogger()
        handlers = list(root.handlers)
        conf, context = simplejson.loads(carried([{**conf, **config}, context]))
        component._setup_component(conf, context)
        root.handlers = handlers  # not pystorm's, which sends records to Storm as messages
        self.serializer.receive = lambda message: plumbing.take(self, message)
        component.initialize(conf, context)

    def tell(self, message: Message) -> None:
        """Let the component process one message, now."""
        self.serializer.inbox.append(carried(message))
        self.component._run()

    def stop(self) -> None:
        """A clean stop, for components that want to know."""
        stop = getattr(self.component, "stop", None)
        if stop is not None:
            stop()


class Tasks:
    """All tasks of worker `index` of `workers`; tuples between them stay in memory."""

    def __init__(self, topology: Any, conf: Message, index: int, workers: int) -> None:
        specs = list(topology.specs)
        self.routes = routes_of(specs)
        self.tracker = Tracker(self._root_done)
        self._ids = itertools.count(1)
        self._roots: dict[str, tuple[Task, str]] = {}
        self._queue: deque[tuple[Task, Message]] = deque()
        self._spoken = False
        self.acked = self.failed = 0
        spouts = {spec.name for spec in specs if not spec.inputs}
        merged = {**conf, **topology.config, "topology.name": topology.__name__}
        self.of = {
            spec.name: Task(spec, self, merged, context_of(specs, spec, index, workers))
            for spec in specs
        }
        self.spouts = [self.of[name] for name in self.of if name in spouts]
        self.bolts = [self.of[name] for name in self.of if name not in spouts]

    # --- driven by the worker's loop ------------------------------------------------

    @property
    def pending(self) -> int:
        """Tuples of spouts that are neither acked nor failed."""
        return len(self.tracker.open)

    def ask_spouts(self) -> bool:
        """Ask each spout for its next tuples; whether there were any."""
        self._spoken = False
        for spout in self.spouts:
            spout.tell({"command": "next"})
        return self._spoken

    def work(self) -> bool:
        """Let one tuple be processed, the oldest; False if none waits."""
        if not self._queue:
            return False
        task, message = self._queue.popleft()
        task.tell(message)
        return True

    def tick(self, now: float) -> None:
        """A tick for each bolt that is due one."""
        for bolt in self.bolts:
            if bolt.tick_s and now >= bolt.next_tick:
                bolt.next_tick = now + bolt.tick_s
                identity = self._new_id()
                self.tracker.add(identity, bolt.name, frozenset())
                bolt.tell(
                    {
                        "id": identity,
                        "comp": "__system",
                        "stream": "__tick",
                        "task": -1,
                        "tuple": [int(bolt.tick_s)],
                    }
                )

    def stop(self) -> None:
        """A clean stop of every component, sources first."""
        self._queue.clear()
        for task in self.of.values():
            task.stop()

    # --- told by the components -------------------------------------------------------

    def take(self, task: Task, message: Message) -> None:
        """One message that a component sent."""
        command = message.get("command")
        if command == "emit":
            self._emit(task, message)
        elif command in ("ack", "fail"):
            self.tracker.finish(task.name, message["id"], acked=command == "ack")
        elif command in ("log", "error"):
            level = _LEVELS[message.get("level", 4 if command == "error" else 2)]
            _log.log(level, "%s: %s", task.name, message["msg"])
        elif command != "sync":
            raise EngineError(
                f"{task.name} sent {message!r}", "the local engine knows emit, ack, fail and log"
            )

    def _emit(self, task: Task, message: Message) -> None:
        stream, values = message.get("stream", "default"), message["tuple"]
        if (task.name, stream) not in self.routes:
            raise EmitError(f"{task.name} has no stream {stream!r}", "declare it in its outputs")
        if message.get("task") is not None or message.get("need_task_ids", True):
            raise EmitError(
                f"{task.name} emits to a task by number, or asks for task numbers",
                "the local engine routes by grouping only",
            )
        fields = len(task.outputs[stream].output_fields)
        if len(values) != fields:
            raise EmitError(f"{task.name} emits {values!r} on a stream of {fields} fields")
        self._spoken = True
        if task in self.spouts:
            self._send(task, stream, values, self._new_root(task, message.get("id")))
        else:
            roots = self.tracker.roots_of(task.name, message.get("anchors", ()))
            self._send(task, stream, values, roots)

    def _send(self, task: Task, stream: str, values: list[Any], roots: frozenset[str]) -> None:
        for route in self.routes[task.name, stream]:
            identity = self._new_id()
            self.tracker.add(identity, route.target, roots)
            self._queue.append(
                (
                    self.of[route.target],
                    {
                        "id": identity,
                        "comp": task.name,
                        "stream": stream,
                        "task": 0,
                        "tuple": values,
                    },
                )
            )

    def _new_root(self, spout: Task, given: str | None) -> frozenset[str]:
        if given is None or not self._consumed(spout):
            return frozenset()
        root = self._new_id()
        self._roots[root] = spout, given
        self.tracker.open[root] = 0
        return frozenset({root})

    def _consumed(self, spout: Task) -> bool:
        return any(self.routes[spout.name, stream] for stream in spout.outputs)

    def _root_done(self, root: str, acked: bool) -> None:
        spout, given = self._roots.pop(root)
        self.acked, self.failed = self.acked + acked, self.failed + (not acked)
        self._queue.append((spout, {"command": "ack" if acked else "fail", "id": given}))

    def _new_id(self) -> str:
        return str(next(self._ids))


def context_of(specs: list[Any], spec: Any, index: int, workers: int) -> Message:
    """Storm's context of task `index` of a component that has `workers` tasks."""
    tasks = {
        str(c * workers + i + 1): other.name
        for c, other in enumerate(specs)
        for i in range(workers)
    }
    names = [other.name for other in specs]
    fields: dict[str, dict[str, list[str]]] = {}
    for source in spec.inputs:
        stream = specs[names.index(source.componentId)].outputs[source.streamId]
        fields.setdefault(source.componentId, {})[source.streamId] = list(stream.output_fields)
    return {
        "taskid": names.index(spec.name) * workers + index + 1,
        "componentid": spec.name,
        "task->component": tasks,
        "source->stream->fields": fields,
    }
