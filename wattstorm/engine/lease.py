"""One engine a store: who runs it, since when, and whether it is still there.

A second engine would not spoil a sum (partitions are fenced), but the two would
take the partitions from each other without end.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from wattstorm.errors import EngineError, StoreError
from wattstorm.processes import started
from wattstorm.store.connection import Connection
from wattstorm.store.keys import store_keys

LIFETIME_S = 10.0
"""After so long without a sign of life the lease ends by itself."""

# Set the lease unless somebody else's is there; ARGV[4] is one that may be replaced.
# A store's clock that is set back prolongs a lease: nobody's has more than a whole life left.
# The last PEXPIRE: a write that full memory does not refuse lets the one behind it pass.
_TAKE = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[4] and cjson.decode(held).token ~= ARGV[1] then
  local left = redis.call('PTTL', KEYS[1])
  if left > tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
  return held
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return false
"""
_RELEASE = """
local held = redis.call('GET', KEYS[1])
if held and cjson.decode(held).token == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class Lease:
    """The right to run the engine on a store; renewed again and again while it runs."""

    def __init__(self, connection: Connection, prefix: str, what: str) -> None:
        self.connection, self.key = connection, store_keys(prefix).engine
        self.token = secrets.token_hex(8)
        self._card = {
            "token": self.token,
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "host": socket.gethostname(),
            "machine": _machine(),
            "what": what,
            "since_ms": int(time.time() * 1000),
        }

    def take(self, *, take_over: bool = False) -> None:
        """EngineError, naming the holder, if another engine lives."""
        replaceable = b""
        while (held := self._set(replaceable)) is not None:
            holder = json.loads(held)
            if not take_over and not gone(holder):
                raise EngineError(
                    f"engine {described(holder)} runs on this store",
                    "stop that one first, or take its partitions over with --take-over; one that "
                    f"died without a word is forgotten after {LIFETIME_S:.0f} s",
                )
            replaceable = held

    def renew(self) -> None:
        """A sign of life. EngineError if another engine took over meanwhile."""
        held = self._set(b"")
        if held is not None:
            raise EngineError(
                f"engine {described(json.loads(held))} took this store over", "this one stops"
            )

    def release(self) -> None:
        with suppress(StoreError):  # it ends by itself
            self._eval(_RELEASE, self.token)

    def _set(self, replaceable: bytes) -> bytes | None:
        """None if it is ours now, else the holder's card."""
        return self._eval(
            _TAKE, self.token, json.dumps(self._card), int(LIFETIME_S * 1000), replaceable
        )

    def _eval(self, script: str, *arguments: Any) -> bytes | None:
        redis: Any = self.connection.redis
        return self.connection.run(
            "hold the engine's lease", lambda: redis.eval(script, 1, self.key, *arguments)
        )


def holder(connection: Connection, prefix: str) -> str | None:
    """Who runs the local engine on a store, in words; None if nobody does."""
    key = store_keys(prefix).engine
    held: Any = connection.run("read the engine's lease", lambda: connection.redis.get(key))
    card = json.loads(held) if held else None
    return None if card is None or gone(card) else described(card)


def described(card: dict[str, Any]) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(card["since_ms"] / 1000))
    return f"pid {card['pid']} on {card['host']} ({card['what']}, since {since})"


def gone(card: dict[str, Any]) -> bool:
    """Whether the holder is surely dead: it was of this machine, and its process is not there."""
    return card["machine"] == _machine() and started(card["pid"]) != card["started"]


def _machine() -> str:
    """The same for two processes only if one could see the other's pid; "" if nobody can say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return secrets.token_hex(8)
