"""A model of Redis: its memory, its disk, and what befalls both. No process, no clock.

Every command that writes is a moment to which a power cut may take the store back, as long
as it is not on disk: everysec syncs what is older than a second, at the latest.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.simulation.data import COMMANDS, GROWS, READ, Data
from tests.simulation.lua import Scripts
from tests.simulation.values import Refused, Status, copied

SYNC_S = 1.0
_SCRIPTS = Scripts()
_NAMES = {name.encode(): command for name, command in COMMANDS.items()}
REFUSALS = {
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY": "READONLY You can't write against a read only replica.",
    "MISCONF": "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to "
    "persist to disk.",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
}
PRODUCTS = {
    "redis7": ("redis_version:7.0.15", False),
    "redis8": ("redis_version:8.0.2", True),
    "valkey": ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2", True),
}


_Before = dict[bytes, tuple[Any, int | None]]
"""Key → what it held, and when it was to expire."""


@dataclass
class _Moment:
    """What the keys that one command changed were before it."""

    at: float
    number: int
    before: _Before


class Store:
    """`now`: seconds that only rise; `offset_us`: how far the store's own clock is from them."""

    def __init__(self, now: Callable[[], float], product: str = "redis8") -> None:
        self.now, self.product = now, product
        self.offset_us = 0
        self.data = Data(self.now_us, self._keep_before)
        self.scripts: dict[bytes, bytes] = {}
        self.run_number = 1
        """Which run of the server it is; connections of an earlier one are broken."""
        self.up = True
        self.refuses = ""
        self.writes = 0
        """How many commands wrote, ever."""
        self.late: list[Callable[[], Any]] = []
        """Commands that were sent and whose turn has not come yet."""
        self.synced_at = 0.0
        self._moments: deque[_Moment] = deque()
        self._current: _Before | None = None

    def now_us(self) -> int:
        return 1_711_600_000_000_000 + int(self.now() * 1e6) + self.offset_us

    # --- commands

    def execute(self, command: tuple[bytes, ...]) -> Any:
        """One command, whole; the answer, or a Refused as a value."""
        self._sync_what_is_old()
        self._current, self._dirty = {}, False
        try:
            return self._run(command[0].upper().decode(), command[1:])
        except Refused as error:
            return error
        finally:
            if self._current:
                self.writes += 1
                self._moments.append(_Moment(self.now(), self.writes, self._current))
            self._current = None

    def _run(self, name: str, arguments: Sequence[bytes]) -> Any:
        if name == "EVALSHA":
            return self._script(arguments)
        if name == "SCRIPT":
            assert arguments[0].upper() == b"LOAD"
            sha = hashlib.sha1(arguments[1], usedforsecurity=False).hexdigest().encode()
            self.scripts[sha] = arguments[1]
            return sha
        if name == "EXEC":  # with the commands that were queued
            return [self._run(c[0].upper().decode(), c[1:]) for c in arguments]
        if name == "PING":
            if self.refuses == "MISCONF":
                raise Refused(REFUSALS["MISCONF"])
            return Status(b"PONG")
        if name == "INFO":
            return self._info()
        if name == "WAITAOF":
            raise NotImplementedError("WAITAOF is the connection's: see Link")
        self._check(name)
        return self.data.run(name, arguments)

    def _script(self, arguments: Sequence[bytes]) -> Any:
        text = self.scripts.get(arguments[0])
        if text is None:
            raise Refused("NOSCRIPT No matching script. Please use EVAL.")
        n = int(arguments[1])
        return _SCRIPTS.run(text, arguments[2 : 2 + n], arguments[2 + n :], self._called)

    def _called(self, name: bytes, *arguments: bytes) -> Any:
        command = _NAMES.get(name)
        if command is None:
            raise NotImplementedError(f"the model of the store has no {name.decode()}: add it")
        # As Redis does it: what a script began to write, it may end.
        if not self._dirty:
            if self.refuses:
                self._check(name.decode())
            self._dirty = command[1] != READ
        return command[0](self.data, *arguments)

    def _check(self, name: str) -> None:
        if not self.refuses or name not in COMMANDS:
            return
        needed = GROWS if self.refuses == "OOM" else READ + 1
        if COMMANDS[name][1] >= needed:
            raise Refused(REFUSALS[self.refuses])

    def _info(self) -> bytes:
        version, _ = PRODUCTS[self.product]
        return (
            f"# Server\r\n{version}\r\nrun_id:{self.run_number:040x}\r\nrole:master\r\n"
            "aof_enabled:1\r\naof_last_write_status:ok\r\naof_pending_bio_fsync:0\r\n"
            "aof_buffer_length:0\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"
        ).encode()

    # --- the disk

    def on_disk(self) -> int:
        """Number of the last write that is on disk for sure."""
        self._sync_what_is_old()
        return self._moments[0].number - 1 if self._moments else self.writes

    def sync(self) -> None:
        self._moments.clear()
        self.synced_at = self.now()

    def waitaof(self, written: int) -> int:
        """1 if the write of this number is on disk, as the product says it."""
        if self.on_disk() >= written:
            return 1
        # See `wattstorm.store.durable`: all but Redis 8 say yes within a second of the last sync.
        return int(self.product == "valkey" and self.now() - self.synced_at < SYNC_S)

    def _sync_what_is_old(self) -> None:
        limit = self.now() - SYNC_S
        while self._moments and self._moments[0].at <= limit:
            self.synced_at = self._moments.popleft().at + SYNC_S

    def _keep_before(self, key: bytes) -> None:
        before = self._current
        if before is not None and key not in before:
            data = self.data
            before[key] = copied(data.keys.get(key)), data.expires.get(key)

    # --- what befalls it

    def crash(self, share: float) -> int:
        """It ends and starts again; `share` (0 to 1) of what is not on disk is lost."""
        self._sync_what_is_old()
        lost = round(len(self._moments) * share)
        for _ in range(lost):
            for key, (value, expires) in self._moments.pop().before.items():
                self._put(key, value, expires)
        self.restart()
        return lost

    def restart(self) -> None:
        """Scripts, connections and what was on its way are gone."""
        self.scripts.clear()
        self.late.clear()
        self.run_number += 1
        self.up = True
        self.sync()

    def backup(self) -> dict[bytes, tuple[Any, int | None]]:
        expires = self.data.expires
        return {k: (copied(v), expires.get(k)) for k, v in self.data.keys.items()}

    def restore(self, backup: dict[bytes, tuple[Any, int | None]]) -> None:
        self.data.keys.clear()
        self.data.expires.clear()
        for key, (value, expires) in backup.items():
            self._put(key, copied(value), expires)
        self.restart()

    def carry_out_late(self, which: int) -> bool:
        """One of the commands that nobody waits for any more."""
        if not self.late:
            return False
        self.late.pop(which % len(self.late))()
        return True

    def _put(self, key: bytes, value: Any, expires: int | None) -> None:
        self.data.drop(key)
        if value is not None:
            self.data.keys[key] = value
            if expires is not None:
                self.data.expires[key] = expires
