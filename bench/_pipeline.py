"""A whole wattstorm for a benchmark: register, embedded store, engine in its own process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.engine.supervisor import Engine
from wattstorm.files.meters import build_register
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.store.server import EmbeddedServer

FIRST_ID = 21_000_000_000_000


@dataclass
class Pipeline:
    """What a benchmark needs to feed and watch a running topology."""

    settings: Settings
    register: Register
    connection: Connection
    log: Log
    stores: Sequence[PartitionStore]
    engine_pid: int

    @property
    def partitions(self) -> range:
        return range(self.register.partitions)

    def committed(self) -> list[int]:
        """Each partition's fence, in one round trip."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for store in self.stores:
            pipeline.hget(store.keys.fence, "position")
        return [int(position or 0) for position in pipeline.execute()]

    def wait_committed(self, timeout_s: float) -> None:
        """Until every fence stands at its log's end."""
        deadline = time.monotonic() + timeout_s
        while self.committed() != self.log.tails(self.partitions):
            if time.monotonic() > deadline:
                raise SystemExit(f"not committed after {timeout_s} s: {self.committed()}")
            time.sleep(0.002)

    def audit(self) -> dict[str, int]:
        """Counters of all partitions, added up."""
        total: dict[str, int] = {}
        for store in self.stores:
            for name, n in store.audit().items():
                total[name] = total.get(name, 0) + n
        return total


def a_register(directory: Path, meters: int, partition_size: int) -> Register:
    """`meters` over 12 tariffs and 12 regions, 6 kVA each."""
    i = pl.int_range(meters, eager=True, dtype=pl.Int64)
    source = directory / "meters.parquet"
    pl.DataFrame(
        {
            "external_id": i + FIRST_ID,
            "tariff": (i % 12).cast(pl.String),
            "region": (i // 12 % 12).cast(pl.String),
            "contracted_power_va": pl.repeat(6000, meters, eager=True, dtype=pl.Int64),
        }
    ).write_parquet(source)
    register = build_register([source], directory / "register", partition_size=partition_size)
    source.unlink()
    return register


def _run_engine(directory: str, url: str, options: dict[str, Any]) -> None:
    settings = Settings.load(
        environ={}, options={"data.directory": Path(directory), "store.url": url, **options}
    )
    Engine(settings, url).run()


@contextmanager
def stage(meters: int, partition_size: int, **options: Any) -> Iterator[Pipeline]:
    """A register and a store in a private directory, which is removed at the end; no engine."""
    with tempfile.TemporaryDirectory(prefix="wattstorm-bench-") as name:
        directory = Path(name)
        register = a_register(directory, meters, partition_size)
        with EmbeddedServer(directory) as server, Connection(server.url) as connection:
            settings = Settings.load(
                environ={},
                options={"data.directory": directory, "store.url": server.url, **options},
            )
            prefix = settings.store.prefix
            stores = [PartitionStore(connection, prefix, p) for p in range(register.partitions)]
            yield Pipeline(settings, register, connection, Log(connection, prefix), stores, 0)


@contextmanager
def pipeline(meters: int, partition_size: int, **options: Any) -> Iterator[Pipeline]:
    """A stage on which the local engine runs, in a process of its own."""
    with stage(meters, partition_size, **options) as run:
        arguments = str(run.settings.data.directory), run.settings.store.url, options
        process = multiprocessing.get_context("spawn").Process(target=_run_engine, args=arguments)
        process.start()
        assert process.pid
        try:
            yield replace(run, engine_pid=process.pid)
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.join(30)


def wh_pool(n: int, seed: int = 7) -> npt.NDArray[np.uint16]:
    """n half-hourly energies in Wh, spread like homes' (log-normal, below 6 kVA)."""
    rng = np.random.default_rng(seed)
    return np.minimum(rng.lognormal(5.2, 0.9, n), 3500).astype(np.uint16)
