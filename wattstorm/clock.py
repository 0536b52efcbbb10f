"""The clock by which a component measures spans of time; a test puts one there that it turns."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since some moment, never falling."""


def monotonic() -> float:
    """This machine's."""
    return time.monotonic()
