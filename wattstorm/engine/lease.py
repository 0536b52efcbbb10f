"""One engine for each topology on a store: who runs it, since when, whether it is still there.

A second one would not spoil a sum (partitions are fenced), but the two would
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
from wattstorm.store.lease import LIFETIME_S, LeaseKey


class Lease:
    """The right to run a topology on a store; renewed again and again while it runs."""

    def __init__(self, key: LeaseKey, topology: str) -> None:
        self._key = key
        self.token = secrets.token_hex(8)
        self._card = {
            "token": self.token,
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "host": socket.gethostname(),
            "machine": _machine(),
            "what": topology,
            "since_ms": int(time.time() * 1000),
        }

    def take(self, *, take_over: bool = False) -> None:
        """EngineError, naming the holder, if another engine lives."""
        replaceable = b""
        while (held := self._key.take(self._card, replaceable)) is not None:
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
        held = self._key.take(self._card)
        if held is not None:
            raise EngineError(
                f"engine {described(json.loads(held))} took this store over", "this one stops"
            )

    def release(self) -> None:
        with suppress(StoreError):  # it ends by itself
            self._key.release(self.token)


def holder(key: LeaseKey) -> str | None:
    """Who runs a topology by the local engine, in words; None if nobody does."""
    card = key.card()
    return None if card is None or gone(card) else described(card)


def described(card: dict[str, Any]) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(card["since_ms"] / 1000))
    return f"pid {card['pid']} on {card['host']} ({card['what']}, since {since})"


def gone(card: dict[str, Any]) -> bool:
    """Whether the holder is surely dead: it was of this machine, and its process is not there."""
    return bool(card["machine"] == _machine() and started(card["pid"]) != card["started"])


def _machine() -> str:
    """The same for two processes only if one could see the other's pid; "" if nobody can say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return secrets.token_hex(8)
