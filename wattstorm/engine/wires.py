"""How the tasks of the local engine reach each other: a Unix socket for each pair.

A task that takes tuples listens; those that it has them from connect. Tuples go one way, one
line of JSON each, and what became of them comes back on the same line. Nothing here waits but
`poll`: what the other side does not take now is kept, and sent when it does. Tasks of one process
share a `Place`: they wait together, and what one has for another never leaves memory.

A task that ended is noticed at once, by the end of its line. What went to it and was not
answered has failed; what goes to it from then on is kept until it is there again.
"""

from __future__ import annotations

import itertools
import json
import selectors
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

AGAIN_S = 0.02
"""Pause between two attempts to reach a task that is not there."""
UNANCHORED_BYTES = 1 << 20
"""Tuples that nobody waits for are dropped where so much waits for their target already."""


class Given(NamedTuple):
    """A tuple has come, by line `line`; of a task of this process, its name."""

    line: int | str
    message: dict[str, Any]


class Answered(NamedTuple):
    """What became of a tuple that was sent."""

    identity: str
    acked: bool


class Lost(NamedTuple):
    """Task `target` is gone."""

    target: str


Event = Given | Answered | Lost


class Place:
    """A process, and the tasks in it, by their names."""

    def __init__(self, names: Iterable[str]) -> None:
        self.inboxes: dict[str, list[Event]] = {name: [] for name in names}
        self.selector = selectors.DefaultSelector()
        self.wires: list[Wires] = []

    def wait(self, timeout_s: float) -> None:
        """Until something has come for one of the tasks, at most so long."""
        unreached = [wires for wires in self.wires if not wires.reach()]
        if unreached:
            timeout_s = min(timeout_s, AGAIN_S)
        if any(self.inboxes.values()):
            timeout_s = 0.0
        for key, what in self.selector.select(timeout_s):
            wires, line, of = key.data
            wires.heard(line, of, what)


class _Line:
    """One end of a connection: whole lines in, whole lines out."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.out = bytearray()
        self._partial = b""
        end.setblocking(False)

    def push(self, data: bytes = b"") -> None:
        """Send as much as is taken."""
        self.out += data
        with suppress(BlockingIOError, BrokenPipeError, ConnectionError):  # its end is read
            while self.out:
                del self.out[: self.end.send(self.out)]

    def pull(self) -> tuple[list[bytes], bool]:
        """The lines that came, and whether more may come."""
        lines: list[bytes] = []
        with suppress(BlockingIOError):
            while True:
                try:
                    data = self.end.recv(65_536)
                except ConnectionError:
                    data = b""
                if not data:
                    return lines, False
                *whole, self._partial = (self._partial + data).split(b"\n")
                lines += whole
        return lines, True


class Wires:
    """The lines of one task. directory: where the sockets of all tasks are, by their names;
    place: the process that it is in, None if it is alone there."""

    def __init__(
        self, directory: Path, name: str, targets: Iterable[str] = (), place: Place | None = None
    ) -> None:
        self.directory, self.name = directory, name
        self._place = place or Place([name])
        self._place.wires.append(self)
        self._near, self._selector = self._place.inboxes, self._place.selector
        self._listener: socket.socket | None = None
        self._out: dict[str, _Line | None] = {t: None for t in targets if t not in self._near}
        self._waiting = {target: bytearray() for target in self._out}
        self._in: dict[int, _Line] = {}
        self._numbers = itertools.count()
        self._again_at = 0.0

    def listen(self) -> None:
        """From now on tuples are taken."""
        path = self.directory / self.name
        path.unlink(missing_ok=True)  # of a task of that name that ended
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(128)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, (self, None, 0))

    def send(self, target: str, message: dict[str, Any], *, anchored: bool) -> None:
        """A tuple to a task. Not anchored: nobody waits for it, and it goes only where it can."""
        if target in self._near:
            self._near[target].append(Given(self.name, message))
            return
        line, waiting = self._out[target], self._waiting[target]
        kept = len(waiting) + (len(line.out) if line else 0)
        if not anchored and (line is None or kept > UNANCHORED_BYTES):
            return
        data = json.dumps(message).encode() + b"\n"
        if line is None:
            waiting += data
        else:
            self._push(line, target, data)

    def answer(self, number: int | str, identity: str, *, acked: bool) -> None:
        """What became of a tuple that came by line `number`; nobody hears it if that is gone."""
        if isinstance(number, str):
            self._near[number].append(Answered(identity, acked))
        elif number in self._in:
            self._push(self._in[number], number, json.dumps([identity, acked]).encode() + b"\n")

    def poll(self, timeout_s: float) -> list[Event]:
        """What came; waits at most so long, for it or for what comes to another task here."""
        self._place.wait(timeout_s)
        events, self._near[self.name] = self._near[self.name], []
        return events

    def close(self) -> None:
        for line in (*self._out.values(), *self._in.values()):
            if line is not None:
                line.end.close()
        if self._listener is not None:
            self._listener.close()
        self._selector.close()

    # ------------------------------------------------------------------ for its place

    def heard(self, line: _Line | None, of: str | int, what: int) -> None:
        """Something stirred on a line; None: somebody connects."""
        if line is None:
            self._accept()
            return
        if what & selectors.EVENT_WRITE:
            self._push(line, of)
        if what & selectors.EVENT_READ:
            self._near[self.name] += self._taken(line, of)

    def reach(self) -> bool:
        """Connect to the targets that are there by now; whether all are."""
        missing = [target for target, line in self._out.items() if line is None]
        if missing and time.monotonic() >= self._again_at:
            self._connect(missing)
        return not missing

    # ------------------------------------------------------------------ inside

    def _taken(self, line: _Line, of: str | int) -> list[Event]:
        lines, open_still = line.pull()
        events: list[Event]
        if isinstance(of, str):
            events = [Answered(*json.loads(each)) for each in lines]
        else:
            events = [Given(of, json.loads(each)) for each in lines]
        if open_still:
            return events
        self._selector.unregister(line.end)
        line.end.close()
        if isinstance(of, str):
            self._out[of] = None
            events.append(Lost(of))
        else:
            del self._in[of]
        return events

    def _push(self, line: _Line, of: str | int, data: bytes = b"") -> None:
        before = bool(line.out)
        line.push(data)
        if bool(line.out) != before or not data:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.out else 0)
            self._selector.modify(line.end, wanted, (self, line, of))

    def _accept(self) -> None:
        assert self._listener is not None
        with suppress(BlockingIOError):
            end, _ = self._listener.accept()
            number = next(self._numbers)  # never again: an old answer must not meet a new line
            self._in[number] = line = _Line(end)
            self._selector.register(end, selectors.EVENT_READ, (self, line, number))

    def _connect(self, targets: list[str]) -> None:
        for target in targets:
            end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                end.connect(str(self.directory / target))
            except (FileNotFoundError, ConnectionError):
                end.close()
                self._again_at = time.monotonic() + AGAIN_S
                continue
            self._out[target] = line = _Line(end)
            self._selector.register(end, selectors.EVENT_READ, (self, line, target))
            data, self._waiting[target] = bytes(self._waiting[target]), bytearray()
            self._push(line, target, data)
