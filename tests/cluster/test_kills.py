"""Whatever dies on the cluster, the sums are exact and the processing resumes by itself."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.cluster.site import Feeding, Site
from tests.stream.town import a_stream, wait_until
from wattstorm.errors import ClusterError
from wattstorm.processes import is_alive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(540, method="signal")]

KILLS = {"readings": 4, "aggregate": 5, "worker": 4, "supervisor": 3, "nimbus": 3, "store": 3}
RESUMED_S = 40


def test_the_cluster_survives_22_kills_at_random_moments(site: Callable[..., Site]) -> None:
    """Tasks, worker JVMs, supervisors, Nimbus and the store die one after another."""
    rng = random.Random(22)
    order = rng.sample([what for what, count in KILLS.items() for _ in range(count)], 22)
    here = site(14_000, 2_400, snapshot__every_s=1.0)
    stream = a_stream(5, 14_000, 144)
    assert len(stream) >= 2_000_000
    here.submit("mortal", workers=2)
    feeding = Feeding(here.town, stream, 3_000, seconds=360, garbage=40)
    feeding.start()
    for what in order:
        time.sleep(rng.uniform(0.0, 2.0))
        seconds = kill(here, what, rng)
        print(f"{what:10} resumed after {seconds:4.1f} s, {feeding.share():.0%} fed")
    assert feeding.share() < 1, "the last kill met an empty log"
    feeding.finish()
    here.wait_drained(60)
    here.assert_exact(stream, garbage=40)


def kill(here: Site, what: str, rng: random.Random) -> float:
    """SIGKILL one of what is called `what`; the seconds until the stream ran on without it."""
    start = time.time()
    if what == "store":
        here.server.restart(kill=True)
    elif what in ("supervisor", "nimbus"):
        kill_daemon(here, rng.choice([n for n in here.cluster.pids() if n.startswith(what)]))
    else:
        victim = rng.choice(here.cluster.worker_pids() if what == "worker" else tasks(here, what))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not is_alive(victim), 5, "its death")
        start = time.time()
    here.wait_running(since=start, timeout_s=RESUMED_S)
    there = here.tails()
    wait_until(lambda: here.reached(there), RESUMED_S, f"processing after the death of {what}")
    return time.time() - start


def tasks(here: Site, component: str) -> list[int]:
    return [row["pid"] for row in here.tasks().values() if row["component"] == component]


def kill_daemon(here: Site, name: str) -> None:
    """SIGKILL a daemon; return when its successor serves."""
    victim = here.cluster.pids()[name]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: here.cluster.pids()[name] != victim, RESUMED_S, f"another {name}")
    if name == "nimbus":
        wait_until(lambda: answers(here), RESUMED_S, "an answer of Nimbus")


def answers(here: Site) -> bool:
    try:
        with here.nimbus() as nimbus:
            return nimbus.topology("mortal") is not None
    except ClusterError:
        return False
