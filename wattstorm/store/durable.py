"""When is what was written on the store's disk? WAITAOF, asked so that its answer is true.

WAITAOF has two traps, both met on real servers:

1. It speaks of the writes *of its own connection*. On a connection that has
   written nothing it answers at once. So the probe keeps a connection of its own
   and begins with a write there; the AOF is one sequence, so whatever any
   connection wrote before is on disk when that write is.
2. With `appendfsync everysec`, Redis 7.2 and 7.4 (redis/redis#13793, mended in 8.0)
   and Valkey up to 9.1.2 at least (seen with strace) answer "on disk" for what
   is written but not yet synced, if less than a second has passed since the last
   sync and none is running at that moment. Within the next second, then, a sync
   begins that covers it. So a second write and WAITAOF, 1.5 s after the first
   answer, are what makes the first one sure: either that sync has ended by
   then, or it is running and WAITAOF does wait for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis

from wattstorm.errors import StoreError, StoreUnreachable
from wattstorm.store.info import StoreInfo

SYNC_PERIOD_S = 1.5
"""everysec, the 0.1 s of the server's own clock tick, and some room."""


class DurableProbe:
    """Tells when all that the store held at `__init__` is on its disk.

    - `reached` never waits much longer than asked, and once True stays True;
    - it speaks of one run of the server: if its connection breaks, what was written
      may be gone; the next question, and every later one, raises StoreUnreachable;
    - on a server that cannot tell (no WAITAOF, no AOF, `appendfsync no`) it is never True.
    """

    def __init__(
        self,
        pool: redis.ConnectionPool,
        run: Callable[[str, Callable[[], Any]], Any],
        key: str,
        info: StoreInfo,
    ) -> None:
        self._run, self._key = run, key
        self._exact, self._possible = info.exact_waitaof, info.has_waitaof and info.aof
        self._first_answer: float | None = None
        self._reached = self._broken = False
        self._connection = pool.connection_class(**pool.connection_kwargs)
        if self._possible:
            self._call("SET", key, b"1")

    def reached(self, wait_s: float = 0.001) -> bool:
        """Whether it is on disk by now; waits for it `wait_s` at most."""
        if self._reached or not self._possible:
            return self._reached
        if self._first_answer is None:
            if not self._synced(wait_s):
                return False
            self._first_answer = time.monotonic()
            self._reached = self._exact
        elif self._second_written or time.monotonic() >= self._first_answer + SYNC_PERIOD_S:
            self._write_second()
            self._reached = self._synced(wait_s)
        return self._reached

    def close(self) -> None:
        """Give the connection back; a probe that is not closed closes when forgotten."""
        self._broken = True
        self._connection.disconnect()

    _second_written = False

    def _write_second(self) -> None:
        if not self._second_written:
            self._call("SET", self._key, b"2")
            self._second_written = True

    def _synced(self, wait_s: float) -> bool:
        try:
            answer = self._call("WAITAOF", 1, 0, max(1, round(wait_s * 1000)))
        except StoreUnreachable:
            raise
        except StoreError as error:
            if "appendonly is disabled" in str(error):  # switched off since the check
                self._possible = False
                return False
            raise
        return int(answer[0]) >= 1

    def _call(self, *command: Any) -> Any:
        """One command on the probe's own connection, which must never be a second one."""
        if self._broken:
            raise StoreUnreachable("the store went away while a write was on its way to disk")

        def call() -> Any:
            self._connection.send_command(*command)
            return self._connection.read_response()

        try:
            return self._run("ask whether the store's disk holds it", call)
        except BaseException as error:
            if not isinstance(error, StoreError) or isinstance(error, StoreUnreachable):
                self.close()
            raise
