"""Since when is it on the store's disk? Asked where the store can tell, else waited for.

    WAITAOF          Redis 7.2 and later, Valkey: see `durable`
    INFO             Redis before 7.2: says whether anything waits to be written or synced
    neither          no append-only file: five seconds are as good as any other time

INFO, with `appendfsync everysec`: where at one moment nothing waits in memory to be written
and no sync is under way, all is in the file, and within the next second a sync begins that
covers it. So if 2.5 s later again none is under way, that one has ended. Its errors
show in `aof_last_write_status`.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any, Final, Protocol

from wattstorm.errors import StoreError, StoreUnreachable
from wattstorm.store.connection import Connection

WAIT_S: Final = 5.0
"""Where the store cannot tell: the append-only file is synced every second, if there is one."""
SILENT_S: Final = 60.0
"""Where it can tell and does not (`appendfsync no`: it never syncs of itself): as good."""
SETTLED_S: Final = 2.5
_log = logging.getLogger(__name__)


class Probe(Protocol):
    """Whether all that the store held when it was made is on disk; StoreUnreachable if the
    server that it asked is gone."""

    def reached(self) -> bool: ...
    def close(self) -> None: ...


class Disk:
    """What a store's disk holds, by this machine's monotonic clock.

    Nothing here waits: `holds` asks one short question at most, and another time the next.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._until = float("-inf")
        self._probe: Probe | None = None
        self._begun = 0.0

    def holds(self, when: float) -> bool:
        """Whether what the store had written at `when` is on its disk for sure."""
        if when <= self._until:
            return True
        now = time.monotonic()
        if not self.connection.info.aof:
            return now - when >= WAIT_S
        try:
            self._ask(now)
        except StoreError:
            self._forget()
            return False
        if when > self._until and now - when >= SILENT_S:
            _log.warning("the store does not say for %.0f s what its disk holds", now - when)
            self._until = now - WAIT_S
        return when <= self._until

    def _ask(self, now: float) -> None:
        if self._probe is None:
            self._begun = now
            can_tell = self.connection.durable_supported
            self._probe = (
                self.connection.durable_probe() if can_tell else SettledProbe(self.connection)
            )
        if self._probe.reached():
            self._until = self._begun
            self._forget()

    def _forget(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None


class SettledProbe:
    """A `Probe` by INFO; see the module."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._run = ""
        self._calm_at: float | None = None

    def reached(self) -> bool:
        said = self._info()
        if self._run and said["run_id"] != self._run:
            raise StoreUnreachable(
                "the store was started anew while a write was on its way to disk"
            )
        self._run = said["run_id"]
        if said["aof_last_write_status"] != "ok" or said["aof_pending_bio_fsync"] != "0":
            return False
        now = time.monotonic()
        if self._calm_at is None:
            if said["aof_buffer_length"] == "0":
                self._calm_at = now
            return False
        return now - self._calm_at >= SETTLED_S

    def close(self) -> None:
        pass

    def _info(self) -> dict[str, str]:
        text: Any = self.connection.run(
            "ask whether the store's disk holds it",
            lambda: self.connection.redis.execute_command("INFO default"),
        )
        said = dict(re.findall(r"^(\w+):(.*?)\r?$", text.decode("utf-8", "replace"), re.MULTILINE))
        return {name: said.get(name, "") for name in _ASKED}


_ASKED: Final = (
    "run_id",
    "aof_last_write_status",
    "aof_pending_bio_fsync",
    "aof_buffer_length",
)
