"""What a task measures of itself, where it happens: counters, latencies, levels.

    instruments.count("readings", 5000)
    with instruments.timed("commit"):
        …
    instruments.level("queue", 3)

They cost a microsecond each, and travel with the task's heartbeat. A name says what; the unit
stands here: counters are numbers since the start, latencies are milliseconds over the last half
minute or minute, levels are as they were when told. Since the start, too: buckets, how often
something took up to each of BOUNDS_S, and longer; seconds, how long all of it took.
"""

from __future__ import annotations

import math
import os
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

WINDOW_S = 30.0
"""Latencies of the window before this one, and of this one so far, are told."""
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets that count since the start, for who adds tasks up and looks at rates;
one more counts what took longer."""
_STEPS = 8
"""Buckets for each doubling: a percentile is at most 9 % above what was measured."""


class Latencies:
    """How long something took, in buckets of a growing width.

    >>> took = Latencies()
    >>> for ms in range(1, 101):
    ...     took.add(ms / 1000)
    >>> took.told()["n"], took.told()["max"]
    (100, 100.0)
    >>> 50 <= took.told()["p50"] <= 55, 99 <= took.told()["p99"] <= 108
    (True, True)
    """

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        us = max(1.0, seconds * 1e6)
        self.buckets[math.ceil(_STEPS * math.log2(us))] += 1
        self.longest = max(self.longest, seconds)

    def told(self, other: Latencies | None = None) -> dict[str, float]:
        """n, p50, p99, max in ms; with those of `other`."""
        buckets = self.buckets + (other.buckets if other else Counter())
        longest = max(self.longest, other.longest if other else 0.0)
        n = buckets.total()

        def percentile(q: float) -> float:
            seen = 0
            for bucket in sorted(buckets):
                seen += buckets[bucket]
                if seen >= q * n:
                    return min(2 ** (bucket / _STEPS) / 1e6, longest)
            return longest

        return {
            "n": n,
            "p50": round(percentile(0.5) * 1e3, 3),
            "p99": round(percentile(0.99) * 1e3, 3),
            "max": round(longest * 1e3, 3),
        }


class Instruments:
    """Those of one task. `clock`: in seconds, for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counters: Counter[str] = Counter()
        self.levels: dict[str, float] = {}
        self._clock = clock
        self._windows: list[dict[str, Latencies]] = [{}, {}]
        self._turns_at = clock() + WINDOW_S
        self._since_start: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, name: str, n: int = 1) -> None:
        self.counters[name] += n

    def level(self, name: str, value: float) -> None:
        self.levels[name] = value

    def took(self, name: str, seconds: float) -> None:
        self._turn()
        self._windows[1].setdefault(name, Latencies()).add(seconds)
        buckets = self._since_start.setdefault(name, [0] * (len(BOUNDS_S) + 1))
        buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """What is done inside; whatever raises is not counted."""
        begun = self._clock()
        yield
        self.took(name, self._clock() - begun)

    def told(self) -> dict[str, Any]:
        """All of it, as JSON carries it; and what the process has taken."""
        self._turn()
        before, now = self._windows
        names = sorted({*before, *now})
        nothing = Latencies()
        return {
            "counters": dict(sorted(self.counters.items())),
            "levels": {**_process(), **dict(sorted(self.levels.items()))},
            "ms": {n: now.get(n, nothing).told(before.get(n)) for n in names},
            "buckets": {n: list(counts) for n, counts in self._since_start.items()},
            "seconds": {n: round(total, 6) for n, total in self._seconds.items()},
        }

    def _turn(self) -> None:
        late = self._clock() - self._turns_at
        if late >= 0:
            self._windows = [{} if late >= WINDOW_S else self._windows[1], {}]
            self._turns_at = self._clock() + WINDOW_S


def _process() -> dict[str, float]:
    """CPU seconds, memory and bytes given to disks, of this process; without the last two
    where there is no /proc."""
    levels = {"cpu_s": round(time.process_time(), 2)}
    with suppress(OSError, StopIteration, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        levels["memory_mb"] = round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
        said = Path("/proc/self/io").read_text().splitlines()
        written = next(int(x.split()[1]) for x in said if x.startswith("write_bytes:"))
        levels["written_mb"] = round(written / 1e6, 1)
    return levels
