"""Random schedules of all that may go wrong: in the end the store holds what the log adds up to."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from bench.schedules import failures, run_all
from tests.simulation.plan import plan
from tests.simulation.schedule import run
from tests.simulation.stage import set_up


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What goes wrong here does so by intent, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_what_goes_wrong_leaves_the_sums_exact() -> None:
    """Sixty; `python -m bench.schedules --seed N --shrink` tells of one that fails."""
    assert failures(range(60)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_schedules_leave_the_sums_exact() -> None:
    """The same with the machine's cores, for minutes."""
    assert sorted(run_all(range(10_000), os.cpu_count() or 1)) == []


def test_a_schedule_is_the_same_each_time() -> None:
    """So that a failure can be looked at: the same steps with the same ends, to the letter."""
    with set_up():
        once, again = (run(plan(7), tracing=True) for _ in range(2))
    assert len(once.trace) > 20
    assert once == again
