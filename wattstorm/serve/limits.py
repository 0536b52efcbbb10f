"""How often one client may ask: a bucket of tokens each, filled at a steady rate."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST: Final = 10_000
"""Clients that are remembered; the one that asked longest ago is forgotten first, and a bucket
that was left alone for long is full anyhow."""


class Limits:
    """
    >>> now = 0.0
    >>> limits = Limits(per_second=2, burst=3, clock=lambda: now)
    >>> [limits.wait_s("a") for _ in range(4)]
    [0.0, 0.0, 0.0, 0.5]
    >>> now = 0.5
    >>> limits.wait_s("a"), limits.wait_s("a"), limits.wait_s("b")
    (0.0, 0.5, 0.0)
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.per_second, self.burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, client: str) -> float:
        """0: it may ask now, and that is counted; else the seconds until it may."""
        now = self._clock()
        with self._lock:
            left, at = self._buckets.pop(client, (float(self.burst), now))
            left = min(self.burst, left + (now - at) * self.per_second)
            allowed = left >= 1
            self._buckets[client] = (left - 1 if allowed else left, now)
            if len(self._buckets) > MOST:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self.per_second


def retry_after(wait_s: float) -> str:
    """The header, in whole seconds."""
    return str(max(1, math.ceil(wait_s)))
