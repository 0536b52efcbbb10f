"""On the cluster, too, register and rules change while readings flow and tasks are killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.site import Feeding, Site
from tests.stream.growing import METERS, RULES, SLOTS, Growing, extended, growing
from tests.stream.town import a_stream, assert_exact, wait_until
from wattstorm.engine.watch import Watch
from wattstorm.ingest.replay import replay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480, method="signal")]


def test_register_and_rules_change_under_a_topology_that_is_not_submitted_again(
    site: Callable[..., Site],
) -> None:
    """2.1 million readings. Meters and two partitions more, then tariffs and regions in the open
    days, then margin and scopes, tasks killed before and after each: exact in the end."""
    files: list[Path] = []

    def town_of(directory: Path, url: str) -> Growing:
        town, later = growing(directory, url)
        files.extend(later)
        return town

    rng, stream = random.Random(11), a_stream(5, METERS, SLOTS)
    assert len(stream) >= 2_000_000
    here = site(of=town_of)
    town = here.town
    here.submit("growing", workers=2)
    feeding = Feeding(town, stream, 12_000, seconds=60)
    feeding.start()

    def kill_a_task() -> None:
        """The n-th quarter is fed, then a task that sums dies."""
        before = sum(here.fences())
        wait_until(lambda: sum(here.fences()) >= before + 50, 60, "progress")
        time.sleep(rng.uniform(0.0, 1.0))
        pids = [row["pid"] for row in here.tasks().values() if row["component"] == "aggregate"]
        os.kill(rng.choice(pids), signal.SIGKILL)

    kill_a_task()
    assert extended(town, files[0]).partitions > town.register.partitions
    kill_a_task()
    town.register = extended(town, files[1])
    kill_a_task()
    town.options |= RULES
    Watch(here.connection, town.settings, town.register).introduce()  # as `deploy` does
    assert feeding.share() < 1, "the last change met an empty log"
    kill_a_task()
    feeding.finish()
    here.wait_drained(120)
    done = replay(here.connection, town.settings, town.register, None)
    assert done.readings > 1_000, "nothing was refused: the test shows less than it says"
    here.wait_drained(60)
    assert_exact(town, stream, again=True)
