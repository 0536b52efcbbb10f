"""Whatever dies, the sums are exact: real processes, real SIGKILLs, a real store."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from tests.servers import TestServer, binaries
from tests.stream.town import (
    Town,
    a_stream,
    a_town,
    assert_exact,
    drained,
    in_blocks,
    wait_until,
)
from wattstorm.store.producer import Producer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


class Feeding(threading.Thread):
    """A producer that sends a stream at a rate, and resends what the store loses."""

    def __init__(self, town: Town, stream: pl.DataFrame, size: int, seconds: float) -> None:
        super().__init__(daemon=True)
        self.town, self.size, self.seconds = town, size, seconds
        self.blocks = list(in_blocks(stream, town.register.partition_size, size))
        self.readings = len(stream)
        self.error: BaseException | None = None
        self.resent = 0

    def run(self) -> None:
        try:
            self._feed()
        except BaseException as error:
            self.error = error

    def _feed(self) -> None:
        with self.town.connect() as connection:
            producer = Producer(
                self.town.log(connection), "town", self.town.partitions,
                backlog_bytes=64 << 20, when_full="block", full_timeout_s=0,
            )  # fmt: skip
            start = time.monotonic()
            for i, block in enumerate(self.blocks):
                time.sleep(max(0.0, start + i * self.seconds / len(self.blocks) - time.monotonic()))
                producer.send(block)
            producer.flush()
            producer.close()
            self.resent = producer.counts.resent_blocks

    def finish(self) -> None:
        self.join(240)
        assert not self.is_alive(), "the producer still waits"
        if self.error:
            raise self.error


def workers(engine: Any) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(engine.pid).children()]
    except psutil.NoSuchProcess:
        return []


def kill_one(engine: Any, rng: random.Random) -> None:
    """SIGKILL a random worker, once there is one to kill."""
    wait_until(lambda: workers(engine), 30, "a worker to kill")
    os.kill(rng.choice(workers(engine)), signal.SIGKILL)


def test_a_worker_killed_25_times_changes_nothing(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """2.2 million readings flow while workers are killed at random moments."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 14_000, 2_400, snapshot__every_s=1.0)
        stream = a_stream(1, 14_000, 144)
        engine = running(town)
        feeding = Feeding(town, stream, 12_000, 45)
        feeding.start()
        rng = random.Random(25)
        for _ in range(25):
            time.sleep(rng.uniform(0.2, 3.0))
            kill_one(engine, rng)
        feeding.finish()
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 120, "the log to be drained")
        assert_exact(town, stream)


@pytest.mark.parametrize("program", sorted(binaries()))
def test_a_store_restarted_and_killed_changes_nothing(
    tmp_path: Path, running: Callable[..., Any], program: str
) -> None:
    """Five clean restarts, three kills, and twice the last second of the store's disk
    is gone: state and fence go back together, and the producer resends. With a store that
    says what is on its disk (WAITAOF), and with one that cannot."""
    with TestServer(tmp_path / "redis", binary=binaries()[program]) as server:
        town = a_town(tmp_path, server.url, 3_000, 500, snapshot__every_s=1.0)
        stream = a_stream(2, 3_000, 144)
        engine = running(town)
        wait_until(lambda: workers(engine), 60, "the engine to find its store up")
        feeding = Feeding(town, stream, 4_000, 40)
        feeding.start()
        rng = random.Random(8)
        for what in rng.sample(["restart"] * 5 + ["kill"] * 3 + ["power cut"] * 2, 10):
            time.sleep(rng.uniform(1.5, 3.5))
            if what == "power cut":
                power_cut(server, town, feeding)
            else:
                server.restart(kill=what == "kill")
        feeding.finish()
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 120, "the log to be drained")
        assert_exact(town, stream)
        assert feeding.resent > 0


def power_cut(server: TestServer, town: Town, feeding: Feeding) -> None:
    """Kill the store, and cut off its file what it had written of the last blocks."""
    files = sorted(server.aof_dir.glob("*.incr.aof"), key=lambda f: f.stat().st_mtime)
    before = files[-1].stat().st_size
    with town.connect() as connection:
        log = town.log(connection)
        sent = sum(log.tails(town.partitions))
        wait_until(lambda: sum(log.tails(town.partitions)) >= sent + 4, 20, "blocks to lose")
    assert feeding.is_alive(), "all was sent before the power was cut"
    server.kill()
    with files[-1].open("r+b") as file:
        file.truncate(before)
    server.start()


def test_everything_dies_at_once(tmp_path: Path, running: Callable[..., Any]) -> None:
    """Engine, workers and store are killed together, thrice; a new engine goes on. The store
    says what is on its disk (WAITAOF) if any program here does."""
    with TestServer(tmp_path / "redis", binary=binaries()[max(binaries())]) as server:
        town = a_town(tmp_path, server.url, 1_000, 300, snapshot__every_s=1.0)
        stream = a_stream(3, 1_000, 144)
        feeding = Feeding(town, stream, 2_000, 20)
        engine = running(town)
        feeding.start()
        for _ in range(3):
            time.sleep(4)
            pids = workers(engine)
            os.kill(engine.pid, signal.SIGKILL)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            server.restart(kill=True)
            engine.wait(10)
            engine = running(town)
        feeding.finish()
        with town.connect() as connection:
            wait_until(lambda: drained(town, connection), 120, "the log to be drained")
        assert_exact(town, stream)
