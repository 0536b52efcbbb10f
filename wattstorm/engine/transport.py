"""What stands between a component and Storm, in memory: pystorm's messages.

Every message passes through JSON exactly as pystorm would write it to Storm's
pipe; but where pystorm logs what JSON cannot carry and goes on (the tuple is
lost, its input acked all the same), this raises EmitError.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import simplejson

from wattstorm.errors import EmitError

Message = dict[str, Any]


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
        return str(simplejson.dumps(message, namedtuple_as_object=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise EmitError(
            f"Storm's JSON cannot carry {message!r}: {error}",
            "convert it to int, float, str, bool, None or lists of them before the emit",
        ) from error
