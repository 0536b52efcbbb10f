"""A clock that a test turns, and a disk of which it says what it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """Instead of the machine's: `clock.at += 30` is half a minute."""

    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


@dataclass
class SyncedDisk:
    """Instead of the store's: holds what was written up to `until`, by the clock."""

    until: float = float("inf")

    def holds(self, when: float) -> bool:
        return when <= self.until
