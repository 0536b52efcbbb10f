"""What a task measures of itself."""

from __future__ import annotations

import doctest
import json
import math

from wattstorm import instruments
from wattstorm.instruments import BOUNDS_S, WINDOW_S, Instruments


class Clock:
    """One that a test turns."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_percentiles_are_within_a_tenth_of_what_was_measured() -> None:
    """The example in the docstring is the specification."""
    assert doctest.testmod(instruments).failed == 0


def test_what_is_told_is_json_with_counters_levels_and_latencies() -> None:
    """As it travels with a heartbeat; the process's own levels among them."""
    clock = Clock()
    made = Instruments(clock)
    made.count("readings", 5)
    made.count("readings", 2)
    made.level("queue", 3)
    with made.timed("commit"):
        clock.now += 0.25
    told = json.loads(json.dumps(made.told()))
    assert told["counters"] == {"readings": 7}
    assert told["levels"]["queue"] == 3
    assert {"cpu_s", "memory_mb", "written_mb"} <= told["levels"].keys()
    assert told["ms"]["commit"] == {"n": 1, "p50": 250.0, "p99": 250.0, "max": 250.0}


def test_latencies_are_those_of_the_last_minute_counters_those_since_the_start() -> None:
    """One window and the one before it; after silence neither."""
    clock = Clock()
    made = Instruments(clock)
    made.took("commit", 9.0)
    made.count("commits")
    clock.now += WINDOW_S
    made.took("commit", 1.0)
    assert made.told()["ms"]["commit"]["max"] == 9000.0
    clock.now += WINDOW_S
    assert made.told()["ms"]["commit"]["max"] == 1000.0
    clock.now += 2 * WINDOW_S
    assert made.told()["ms"] == {}
    buckets = dict(zip((*BOUNDS_S, math.inf), made.told()["buckets"]["commit"], strict=True))
    assert {bound: n for bound, n in buckets.items() if n} == {1.0: 1, 10.0: 1}
    assert made.told()["seconds"] == {"commit": 10.0}
    assert made.told()["counters"] == {"commits": 1}
