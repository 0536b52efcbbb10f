"""`bench.storm` on the real cluster."""

from __future__ import annotations

import pytest

from bench.storm import one_reading_a_tuple
from tests.stream.town import wait_until
from wattstorm.cluster.development import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180, method="signal")]


def test_a_baseline_that_delivers_nothing_is_no_figure(cluster: Cluster) -> None:
    """Its topology runs, no reading is counted: None, not a zero to divide by; it is ended."""
    silent = "tests.cluster.silent:SilentReadings"
    assert one_reading_a_tuple(cluster, 0.5, topology=silent, start_s=1) is None
    wait_until(lambda: not cluster.worker_pids(), 40, "the end of its workers")


def test_the_baseline_of_one_reading_a_tuple_delivers(cluster: Cluster) -> None:
    """What the benchmark compares with: its tasks start on today's blocks, and count."""
    rate = one_reading_a_tuple(cluster, 1.0, start_s=60)
    assert rate is not None
    assert rate > 0
    wait_until(lambda: not cluster.worker_pids(), 40, "the end of its workers")
