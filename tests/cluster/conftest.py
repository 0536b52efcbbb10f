"""One real Storm cluster for all tests of this package, and topologies that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cluster.site import Site
from tests.servers import TestServer
from tests.stream.town import Town, a_town, wait_until
from wattstorm.cluster import development
from wattstorm.cluster.development import Cluster
from wattstorm.cluster.home import storm_home

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two supervisors on free ports of loopback; no process of it survives."""
    directory = tmp_path_factory.mktemp("storm") / "cluster"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))  # the workers' Python imports this very code
        found = development.up(directory, storm_home(), nimbus_port=0, supervisors=2)
        try:
            yield found
        finally:
            development.down(found)
    wait_until(lambda: not processes_of(directory), 15, "the end of the cluster's processes")


def processes_of(directory: Path) -> list[str]:
    """Whatever runs in `directory` or was started with it: daemons, workers, their Python."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [process.cwd(), *process.cmdline()]
        except psutil.Error:
            continue
        if any(f"{directory}" in word for word in words):
            found.append(" ".join(words))
    return found


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a town with a store of its own; its topologies are killed with the test."""
    made: list[Site] = []

    def make(
        meters: int = 0,
        partition_size: int = 0,
        *,
        of: Callable[..., Town] = a_town,
        **options: Any,
    ) -> Site:
        server = TestServer(tmp_path / "redis")
        size = (meters, partition_size) if meters else ()
        town = of(tmp_path, server.url, *size, **options)
        made.append(Site(cluster, server, town))
        return made[-1]

    yield make
    try:
        for one in made:
            one.end()
    finally:
        for one in made:
            one.server.kill()
