"""A town whose topology runs on a Storm cluster: submitted, fed, watched."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from tests.servers import TestServer
from tests.stream.town import Town, assert_exact, audit, drained, in_blocks, wait_until
from wattstorm.cluster.development import HOST, Cluster
from wattstorm.cluster.environment import Environment
from wattstorm.cluster.nimbus import Nimbus
from wattstorm.cluster.submission import DEFAULT_TOPOLOGY, submit, topology_options
from wattstorm.engine.components import components, load_topology
from wattstorm.engine.watch import Watch
from wattstorm.errors import ClusterError, StoreError
from wattstorm.processes import is_alive
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer
from wattstorm.store.workers import heartbeats


def tasks_of(topology: str) -> dict[str, int]:
    """Tasks of each component, over two partitions at least."""
    table = components(load_topology(topology).specs, 2, holders=2, sources=2)
    return {component.name: component.tasks for component in table}


GARBAGE = b"\x93 this is no block \xff"


@dataclass
class Site:
    """The cluster, the store and the town on it."""

    cluster: Cluster
    server: TestServer
    town: Town
    names: list[str] = field(default_factory=list)
    count: int = 0
    """Tasks of the topology that was submitted last."""

    def __post_init__(self) -> None:
        self.connection: Connection = self.town.connect()
        self.prefix = self.town.settings.store.prefix
        # As `wattstorm deploy` does: readers learn from the store's card what there is to read.
        Watch(self.connection, self.town.settings, self.town.register).introduce()

    # --- topologies -----------------------------------------------------------------

    def submit(
        self,
        name: str,
        *,
        workers: int = 1,
        topology: str = DEFAULT_TOPOLOGY,
    ) -> float:
        """Submit and wait until every task has told that it runs; the seconds that it took."""
        start = time.time()
        environment = Environment("test", {"nimbus": self.cluster.nimbus, "use_virtualenv": False})
        options = topology_options(self.town.settings, self.server.url, workers=workers)
        self.names.append(name)
        tasks = tasks_of(topology)
        self.count = sum(tasks.values())
        submit(environment, options, name=name, tasks=tasks, topology=topology)
        self.wait_running(since=start, timeout_s=60)
        return time.time() - start

    def nimbus(self) -> Nimbus:
        return Nimbus(HOST, self.cluster.nimbus_port)

    def info(self, name: str) -> Any:
        with self.nimbus() as nimbus:
            return nimbus.info(nimbus.topology(name).id)  # type: ignore[union-attr]

    def kill(self, name: str) -> None:
        """Kill a topology and wait until none of its processes is left."""
        with self.nimbus() as nimbus, suppress(ClusterError):
            nimbus.kill(name)
        wait_until(lambda: not self.cluster.worker_pids(), 40, f"the end of {name}'s workers")
        with self.nimbus() as nimbus:
            wait_until(lambda: nimbus.topology(name) is None, 40, f"the end of {name}")
        self.names.remove(name)

    def end(self) -> None:
        for name in list(self.names):
            self.kill(name)
        self.connection.close()

    # --- what runs ------------------------------------------------------------------

    def tasks(self, *, since: float = 0.0) -> dict[str, dict[str, Any]]:
        """The living tasks that told so after `since`, by name."""
        rows = heartbeats(self.connection, self.prefix)
        return {
            row["worker"]: row
            for row in rows
            if row["alive"] and row["seen_ms"] > 1000 * since and is_alive(row["pid"])
        }

    def wait_running(self, *, since: float, timeout_s: float) -> None:
        wait_until(
            lambda: len(self.tasks(since=since)) == self.count, timeout_s, "all tasks running"
        )

    # --- how far it is --------------------------------------------------------------

    def fences(self) -> list[int]:
        return [store.fence().position for store in self.town.stores(self.connection)]

    def tails(self) -> list[int]:
        return self.town.log(self.connection).tails(self.town.partitions)

    def reached(self, positions: Iterable[int]) -> bool:
        return all(f >= p for f, p in zip(self.fences(), positions, strict=True))

    def wait_drained(self, timeout_s: float) -> None:
        wait_until(lambda: drained(self.town, self.connection), timeout_s, "the log to be drained")

    def assert_exact(self, stream: pl.DataFrame, garbage: int = 0) -> None:
        """Sums, curves, audit equal a plain recomputation; garbage is counted, each once."""
        assert_exact(self.town, stream)
        assert audit(self.town, self.connection).get("refused_blocks", 0) == garbage


class Feeding(threading.Thread):
    """Sends a stream in `seconds`, garbage between; what the store loses is sent again."""

    def __init__(
        self, town: Town, stream: pl.DataFrame, size: int, *, seconds: float = 0.0, garbage: int = 0
    ) -> None:
        super().__init__(daemon=True)
        self.town, self.seconds, self.garbage = town, seconds, garbage
        self.blocks = list(in_blocks(stream, town.register.partition_size, size))
        self.sent = 0
        self.hurry = threading.Event()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self.town.connect() as connection:
                self._feed(self.town.log(connection))
        except BaseException as error:
            self.error = error

    def _feed(self, log: Log) -> None:
        producer = Producer(
            log,
            "town",
            self.town.partitions,
            backlog_bytes=64 << 20,
            when_full="block",
            full_timeout_s=0,
        )
        start, count = time.monotonic(), len(self.blocks)
        for block in self.blocks:
            due = start + self.sent * self.seconds / count
            self.hurry.wait(max(0.0, due - time.monotonic()))
            producer.send(block)
            self.sent += 1
            if self.sent * self.garbage // count > (self.sent - 1) * self.garbage // count:
                self._throw(log, self.sent * self.garbage // count)
        producer.close()
        while not self._throw(log, self.garbage):
            time.sleep(0.1)

    def _throw(self, log: Log, wanted: int) -> bool:
        """Append garbage until `wanted` pieces are in the log, over all partitions; if it can."""
        partitions = self.town.partitions
        try:
            for p, last in zip(partitions, log.last_numbers("vandal", partitions), strict=True):
                for number in range(last + 1, len(range(p, wanted, len(partitions))) + 1):
                    log.append(p, "vandal", number, GARBAGE, 0)
        except StoreError:
            return False
        return True

    def share(self) -> float:
        return self.sent / len(self.blocks)

    def finish(self, timeout_s: float = 120.0) -> None:
        self.hurry.set()
        self.join(timeout_s)
        assert not self.is_alive(), "the producer still waits"
        if self.error:
            raise self.error
