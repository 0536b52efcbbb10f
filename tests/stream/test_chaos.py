"""Whatever dies, the sums are exact: real processes, real SIGKILLs, a real store.

Eight days, so that days close; tariffs that change in them; two producers to a partition.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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
from wattstorm.metering.block import Block
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer
from wattstorm.store.workers import heartbeats

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


EIGHT_DAYS = 8 * 48
TOWN: dict[str, Any] = {
    "snapshot__every_s": 1.0,
    # Whatever the store loses and two producers send again, nothing is too old; days close.
    "stream__open_days": 4,
    # So that a slot's revision is the number of its corrections, whoever came first.
    "stream__deadline_hours": 744.0,
}


class Feeding(threading.Thread):
    """Producers that send a stream at a rate, and resend what the store loses.

    Each has meters of its own in every partition, so that the order of a meter's readings is
    the stream's, and what one resends gets another position than it had. None gets further
    ahead of the others than AHEAD of the stream.
    """

    AHEAD = 1 / 32

    def __init__(
        self, town: Town, stream: pl.DataFrame, size: int, seconds: float, producers: int = 2
    ) -> None:
        super().__init__(daemon=True)
        self.town, self.seconds, self.stream = town, seconds, stream
        self.size, self.readings = size, len(stream)
        self.shares = [0.0] * producers
        self.error: BaseException | None = None
        self.resent = 0

    @property
    def blocks(self) -> list[Block]:
        """All of it, as one producer would send it."""
        return list(in_blocks(self.stream, self.town.register.partition_size, self.size))

    def run(self) -> None:
        lanes = [threading.Thread(target=self._feed, args=(k,)) for k in range(len(self.shares))]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()

    def _feed(self, number: int) -> None:
        try:
            with self.town.connect() as connection:
                self._send(number, self.town.log(connection))
        except BaseException as error:
            self.error = error
        finally:
            self.shares[number] = 2.0

    def _send(self, number: int, log: Log) -> None:
        producers = len(self.shares)
        mine = self.stream.filter(pl.col("meter") % producers == number)
        blocks = list(in_blocks(mine, self.town.register.partition_size, self.size // producers))
        producer = Producer(
            log,
            f"town-{number}",
            self.town.partitions,
            backlog_bytes=64 << 20,
            when_full="block",
            full_timeout_s=0,
        )
        start = time.monotonic()
        for i, block in enumerate(blocks):
            time.sleep(max(0.0, start + i * self.seconds / len(blocks) - time.monotonic()))
            producer.send(block)
            self.shares[number] = i / len(blocks)
            while self.shares[number] > min(self.shares) + self.AHEAD:
                producer.flush()
                time.sleep(0.002)
        producer.close()
        self.resent += producer.counts.resent_blocks

    def finish(self) -> None:
        self.join(240)
        assert not self.is_alive(), "a producer still waits"
        if self.error:
            raise self.error


def workers(engine: Any) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(engine.pid).children()]
    except psutil.NoSuchProcess:
        return []


def running_workers(town: Town, engine: Any) -> list[int]:
    """Those that have begun: an engine gives up on workers that die before, five times in a row."""
    with town.connect() as connection:
        rows = heartbeats(connection, town.settings.store.prefix)
    begun = {row["pid"] for row in rows if row["state"] == "running"}
    return [pid for pid in workers(engine) if pid in begun]


def kill_one(town: Town, engine: Any, rng: random.Random) -> None:
    """SIGKILL a random worker, once there is one to kill."""
    wait_until(lambda: running_workers(town, engine), 60, "a worker to kill")
    with suppress(ProcessLookupError, IndexError):
        os.kill(rng.choice(running_workers(town, engine)), signal.SIGKILL)


def test_a_worker_killed_25_times_changes_nothing(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """2.2 million readings flow while workers are killed at random moments."""
    with TestServer(tmp_path / "redis") as server:
        town = a_town(tmp_path, server.url, 5_400, 900, **TOWN)
        stream = a_stream(1, 5_400, EIGHT_DAYS)
        engine = running(town)
        feeding = Feeding(town, stream, 12_000, 45)
        feeding.start()
        rng = random.Random(25)
        for _ in range(25):
            time.sleep(rng.uniform(0.2, 3.0))
            kill_one(town, engine, rng)
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
        town = a_town(tmp_path, server.url, 1_200, 200, **TOWN)
        stream = a_stream(2, 1_200, EIGHT_DAYS)
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
        town = a_town(tmp_path, server.url, 400, 120, **TOWN)
        stream = a_stream(3, 400, EIGHT_DAYS)
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
