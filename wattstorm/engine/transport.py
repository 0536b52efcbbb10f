"""What stands between a component and Storm, in memory: messages, routes, the acker.

Every message passes through JSON exactly as pystorm would write it to Storm's
pipe; but where pystorm logs what JSON cannot carry and goes on (the tuple is
lost, its input acked all the same), this raises EmitError. What Storm refuses
is refused here too: an ack of an unknown tuple, an emit anchored on one that
is acked already, a tuple with another number of values than its stream's fields.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import simplejson

from wattstorm.errors import EmitError, EngineError

Message = dict[str, Any]
LOCAL_GROUPINGS = ("shuffle", "local_or_shuffle", "none")
"""What may stay in the process; so may fields whose values a task keeps to itself."""


class MemorySerializer:
    """Takes the place of pystorm's serializer: an inbox, and a receiver of what is sent."""

    input_stream = output_stream = None

    def __init__(self, receive: Callable[[Message], None]) -> None:
        self.inbox: deque[str] = deque()
        self.receive = receive

    def read_message(self) -> Any:
        return simplejson.loads(self.inbox.popleft())

    def send_message(self, message: Message) -> None:
        self.receive(simplejson.loads(carried(message)))


def carried(message: Any) -> str:
    """The message as Storm's JSON, or EmitError."""
    try:
        return simplejson.dumps(message, namedtuple_as_object=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise EmitError(
            f"Storm's JSON cannot carry {message!r}: {error}",
            "convert it to int, float, str, bool, None or lists of them before the emit",
        ) from error


@dataclass(slots=True)
class _Live:
    """A tuple on its way: where it is, and the spout tuples that it stems from."""

    component: str
    roots: frozenset[str]


@dataclass
class Tracker:
    """Storm's acker: a spout's tuple is done when all that grew out of it is."""

    done: Callable[[str, bool], None]
    """Called with a root and True (acked) or False (failed), once."""
    live: dict[str, _Live] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    """root → tuples of its tree that are on their way."""

    def add(self, identity: str, component: str, roots: frozenset[str]) -> None:
        self.live[identity] = _Live(component, roots)
        for root in roots:
            if root in self.open:
                self.open[root] += 1

    def roots_of(self, component: str, anchors: Iterable[str]) -> frozenset[str]:
        roots: frozenset[str] = frozenset()
        for anchor in anchors:
            roots |= self._held(component, anchor, "anchored an emit on").roots
        return roots

    def finish(self, component: str, identity: str, *, acked: bool) -> None:
        tuple_ = self._held(component, identity, "acked" if acked else "failed")
        del self.live[identity]
        for root in tuple_.roots:
            if root not in self.open:
                continue  # failed before
            self.open[root] -= 1
            if not acked or not self.open[root]:
                del self.open[root]
                self.done(root, acked)

    def _held(self, component: str, identity: str, did: str) -> _Live:
        found = self.live.get(identity)
        if found is None or found.component != component:
            raise EngineError(
                f"{component} {did} tuple {identity}, which it does not hold",
                "on Storm this ends the worker: ack or fail each tuple once, after its emits",
            )
        return found


@dataclass(frozen=True)
class Route:
    """From a component's stream to one consumer."""

    target: str
    fields: int
    """Values that a tuple of the stream has."""


def routes_of(specs: Iterable[Any]) -> dict[tuple[str, str], list[Route]]:
    """(component, stream) → its consumers; EngineError for a grouping that is not local."""
    known = {spec.name: spec for spec in specs}
    routes: dict[tuple[str, str], list[Route]] = {
        (spec.name, stream): [] for spec in known.values() for stream in spec.outputs
    }
    for spec in known.values():
        for source, grouping in spec.inputs.items():
            kind = next((k for k, v in vars(grouping).items() if v is not None), "none")
            if not (grouping.fields if kind == "fields" else kind in LOCAL_GROUPINGS):
                raise EngineError(
                    f"{spec.name} takes {source.componentId} by {grouping!r}",
                    "the local engine has groupings that stay in a process: fields, shuffle, "
                    "local_or_shuffle; run this topology on Storm",
                )
            stream = known[source.componentId].outputs[source.streamId]
            routes[source.componentId, source.streamId].append(
                Route(spec.name, len(stream.output_fields))
            )
    return routes
