"""What an operator does to a running topology changes no sum: rebalance, stop, submit again."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

import psutil
import pytest

from tests.cluster.site import Feeding, Site
from tests.stream.town import a_stream, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240, method="signal")]


def test_a_rebalance_in_the_middle_changes_nothing(site: Callable[..., Site]) -> None:
    """From one worker to two while readings flow; all that Storm opens is on loopback."""
    here = site(5_000, 1_000, snapshot__every_s=1.0)
    stream = a_stream(7, 5_000, 144)
    here.submit("growing", workers=1)
    feeding = Feeding(here.town, stream, 1_000, seconds=60, garbage=20)
    feeding.start()
    wait_until(lambda: min(here.fences()) > 0, 30, "the first commits")
    assert len(workers(here, "growing")) == 1
    start = time.time()
    with here.nimbus() as nimbus:
        nimbus.rebalance("growing", workers=2)
    wait_until(lambda: len(workers(here, "growing")) == 2, 40, "two workers")
    here.wait_running(since=start, timeout_s=40)
    there = here.tails()
    wait_until(lambda: here.reached(there), 40, "processing after the rebalance")
    assert feeding.share() < 1
    assert_on_loopback(here)
    feeding.finish()
    here.wait_drained(60)
    here.assert_exact(stream, garbage=20)


def test_a_new_submission_goes_on_from_the_fence(site: Callable[..., Site]) -> None:
    """Deactivated, drained, killed, submitted again under another name: nothing twice."""
    here = site(5_000, 1_000, snapshot__every_s=1.0)
    stream = a_stream(8, 5_000, 144)
    here.submit("first")
    feeding = Feeding(here.town, stream, 1_000, seconds=60, garbage=20)
    feeding.start()
    wait_until(lambda: min(here.fences()) > 3, 30, "the first commits")
    with here.nimbus() as nimbus:
        nimbus.deactivate("first")
    stood = at_rest(here)
    here.kill("first")
    assert here.fences() == stood
    wait_until(lambda: min(here.tails()) > max(stood), 30, "readings that wait")
    here.submit("second")
    feeding.finish()
    here.wait_drained(60)
    here.assert_exact(stream, garbage=20)


def workers(here: Site, name: str) -> set[tuple[str, int]]:
    """Where the executors of a topology are, as Nimbus knows it."""
    return {(e.host, e.port) for e in here.info(name).executors}


def at_rest(here: Site, still_s: float = 1.5) -> list[int]:
    """The fences, once they have not moved for a while; in spite of new blocks in the log."""
    fences, since = here.fences(), time.monotonic()
    deadline = since + 30
    while time.monotonic() - since < still_s:
        assert time.monotonic() < deadline, "the fences still move"
        time.sleep(0.1)
        if (now := here.fences()) != fences:
            fences, since = now, time.monotonic()
    assert max(t - f for t, f in zip(here.tails(), fences, strict=True)) > 0
    return fences


def assert_on_loopback(here: Site) -> None:
    """Daemons and workers listen, and on nothing but loopback."""
    pids = {**here.cluster.pids(), **{f"worker {p}": p for p in here.cluster.worker_pids()}}
    ports: dict[str, set[int]] = {}
    for name, pid in pids.items():
        for connection in psutil.Process(pid).net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN or not connection.raddr:
                address = ipaddress.ip_address(connection.laddr.ip)
                mapped = getattr(address, "ipv4_mapped", None) or address
                assert mapped.is_loopback, f"{name}: {connection}"
                ports.setdefault(name, set()).add(connection.laddr.port)
    assert set(pids) - set(ports) <= {"keeper"}, ports
    assert here.cluster.nimbus_port in ports["nimbus"]
