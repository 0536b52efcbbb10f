"""redis-py's connection, with the model at its other end instead of a socket.

Everything above it is redis-py's own: pipelines, retries, errors by class, parsed answers.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar

from redis._parsers.base import BaseParser
from redis.connection import UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.simulation.store import Store
from tests.simulation.values import Refused, Status

_parse_error = BaseParser.parse_error
_FALLEN = "Connection closed by server."


class Line:
    """Between clients and one store: here commands get lost, delayed and refused.

    `send` may be replaced; what it returns is the answer, what it raises the client gets.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def send(self, link: Link, command: tuple[bytes, ...]) -> Any:
        return self.store.execute(command)


class Link(UnixDomainSocketConnection):
    """One connection. `lines`: by the path of their socket."""

    lines: ClassVar[dict[str, Line]] = {}

    _made: ClassVar[dict[Any, dict[str, Any]]] = {}
    """By their options: what redis-py made of them, once."""

    def __init__(self, **options: Any) -> None:
        of = (options["path"], options.get("socket_timeout"))
        if of not in self._made:
            super().__init__(**options)
            self._made[of] = dict(self.__dict__)
        self.__dict__.update(self._made[of])
        self._answers: deque[Any] = deque()
        self._run = 0
        self._queued: list[tuple[bytes, ...]] | None = None
        self.written = 0
        """Number of the last write of this connection: what WAITAOF speaks of."""

    @property
    def line(self) -> Line:
        return self.lines[self.path]

    # --- as redis-py calls it

    @property
    def is_connected(self) -> bool:
        return self._run != 0

    def connect(self) -> None:
        self.connect_check_health()

    def connect_check_health(self, *_: Any, **__: Any) -> None:
        if self._run:
            return
        store = self.line.store
        if not store.up:
            raise RedisConnectionError(f"Error 111 connecting to {self.path}. Connection refused.")
        self._run, self.written = store.run_number, 0

    def disconnect(self, *_: Any, **__: Any) -> None:
        self._run, self._queued = 0, None
        self._answers.clear()

    def can_read(self, timeout: float = 0) -> bool:
        if not self._run:
            self.connect()
        # Whose other end is closed reads at once, namely its end.
        return bool(self._answers) or not self._alive()

    def check_health(self) -> None:
        pass

    def pack_command(self, *arguments: Any) -> list[tuple[bytes, ...]]:
        return [_packed(arguments)]

    def pack_commands(self, commands: Any) -> list[tuple[bytes, ...]]:
        return [_packed(command) for command in commands]

    def send_command(self, *arguments: Any, **_: Any) -> None:
        self.send_packed_command(self.pack_command(*arguments))

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self._run:
            self.connect()
        commands = command if isinstance(command[0], tuple) else _unpacked(b"".join(command))
        answers: list[Any] = []
        for one in commands:
            if not self._alive():
                answers.append(RedisConnectionError(_FALLEN))
                break
            try:
                answers.append(self._answer(one))
            except (RedisConnectionError, RedisTimeoutError) as error:
                answers.append(error)
                break
        # Another thread may have hung up meanwhile; one that is asleep may find the store gone.
        self._answers.extend(answers)

    def _answer(self, command: tuple[bytes, ...]) -> Any:
        store = self.line.store
        before = store.writes
        if command[0] == b"WAITAOF":
            return [store.waitaof(self.written), 0]
        if command[0] == b"MULTI":
            self._queued = []
            return Status(b"OK")
        if self._queued is not None and command[0] != b"EXEC":
            self._queued.append(command)
            return Status(b"QUEUED")
        if self._queued is not None:
            command, self._queued = (b"EXEC", *self._queued), None  # type: ignore[assignment]
        answer = self.line.send(self, command)
        if store.writes > before:
            self.written = store.writes
        if not self._alive():
            return RedisConnectionError(_FALLEN)
        return answer

    def read_response(self, *_: Any, **__: Any) -> Any:
        if not self._answers:
            self.disconnect()
            raise RedisConnectionError(_FALLEN)
        answer = self._answers.popleft()
        if isinstance(answer, RedisConnectionError | RedisTimeoutError):
            self.disconnect()
            raise answer
        return self._parsed(answer)

    def _parsed(self, answer: Any) -> Any:
        if isinstance(answer, Refused):
            raise _parse_error(str(answer))
        return answer

    def _alive(self) -> bool:
        store = self.lines[self.path].store
        return store.up and self._run == store.run_number


def _packed(arguments: Any) -> tuple[bytes, ...]:
    # A name of two words is two arguments, as redis-py has it.
    words = [
        a if type(a) is bytes else a.encode() if type(a) is str else _encoded(a) for a in arguments
    ]
    return (*words[0].split(), *words[1:]) if b" " in words[0] else tuple(words)


def _encoded(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int):
        return b"%d" % value
    return repr(value).encode() if isinstance(value, float) else bytes(value)


def _unpacked(data: bytes) -> list[tuple[bytes, ...]]:
    """Commands out of the bytes that `Log` packs by hand."""
    commands, at = [], 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        count, at = int(data[at + 1 : end]), end + 2
        parts = []
        for _ in range(count):
            end = data.index(b"\r\n", at)
            size = int(data[at + 1 : end])
            parts.append(data[end + 2 : end + 2 + size])
            at = end + 4 + size
        commands.append(tuple(parts))
    return commands
