"""The generator into the log: days drawn before, then sent as fast as the log takes them.

    python -m bench.stream [--json] [--meters 1100000] [--days 2]

`stream_mps`: slot by slot, one producer, from the first block to the last one safe in the log,
nobody reading it. Beside it the same with typical faults, nightly curves, two producers, and
drawing included; and the whole path, engine and conservation included.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np

from bench._arguments import parse
from bench._report import report
from generator.feed.faults import TYPICAL, Faults
from generator.feed.producers import Sending, send
from generator.feed.publish import Job
from generator.town.outputs import days_from
from generator.town.register import write_register
from generator.town.town import Meters, Town, Wh
from wattstorm.engine.supervisor import Engine
from wattstorm.engine.watch import Watch
from wattstorm.files.meters import build_register
from wattstorm.readers.results import Results
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.server import EmbeddedServer

FIRST = date(2025, 1, 13)
PARTITION = 137_500


@dataclass(frozen=True)
class Drawn(Town):
    """A town whose days are all the first one, drawn once before the clock starts."""

    @cached_property
    def kept(self) -> dict[int, Wh]:
        return {}

    def local_day(self, meters: Meters, day: date) -> Wh:
        key = int(meters[0])
        if key not in self.kept or len(self.kept[key]) != len(meters):
            self.kept[key] = super().local_day(meters, FIRST)
        return self.kept[key].copy()


@contextmanager
def stage(register: Path) -> Iterator[tuple[Settings, str, Connection]]:
    """An empty store; the log is bounded by the machine's memory alone."""
    with (
        tempfile.TemporaryDirectory(prefix="wattstorm-bench-") as name,
        EmbeddedServer(Path(name)) as server,
        Connection(server.url) as connection,
    ):
        settings = Settings.load(
            environ={},
            options={
                "data.directory": register.parent,
                "store.url": server.url,
                "log.backlog_mb": 16_384,
            },
        )
        yield settings, server.url, connection


def into_the_log(job: Job, register: Path, producers: int = 1) -> float:
    """M readings/s from the first to the last, all safe in the log."""
    with stage(register) as (settings, url, _):
        start = time.perf_counter()
        sent = send(job, Sending(settings, url, register, producers))
        return sent / (time.perf_counter() - start) / 1e6


def whole_path(job: Job, register: Path) -> tuple[float, float]:
    """(M readings/s drawn, sent, checked and summed; readings unaccounted for)."""
    with stage(register) as (settings, url, connection):
        watch = Watch(connection, settings, Register.open(register))
        watch.introduce()
        start, sent = time.perf_counter(), [0]
        sender = threading.Thread(
            target=lambda: sent.append(send(job, Sending(settings, url, register)))
        )
        sender.start()
        Engine(settings, url).run(should_stop=lambda: not sender.is_alive() and watch.drained())
        took = time.perf_counter() - start
        account = Results(connection, settings).conservation()
        lost = sent[-1] - account.accepted - account.doubles - sum(account.rejected.values())
        return sent[-1] / took / 1e6, float(lost)


def main() -> None:
    arguments = parse(__doc__, meters=1_100_000, days=2)
    days = tuple(days_from(FIRST, FIRST.replace(day=FIRST.day + arguments.days - 1)))
    with tempfile.TemporaryDirectory(prefix="wattstorm-bench-") as name:
        directory = Path(name)
        town, register = Drawn(seed=3), directory / "register"
        write_register(town, arguments.meters, directory / "meters.parquet")
        built = build_register([directory / "meters.parquet"], register, partition_size=PARTITION)
        for first in range(0, built.count, PARTITION):
            town.local_day(np.arange(first, min(first + PARTITION, built.count)), FIRST)
        job = Job(town, days)
        fresh = replace(job, town=Town(seed=3))
        whole, lost = whole_path(replace(fresh, faults=TYPICAL), register)
        figures = {
            "stream_mps": into_the_log(job, register),
            "stream_faults_mps": into_the_log(replace(job, faults=TYPICAL), register),
            "stream_nightly_mps": into_the_log(replace(job, shape="nightly"), register),
            "stream_drawn_mps": into_the_log(fresh, register),
            "stream_drawn_2_mps": into_the_log(fresh, register, 2),
            "stream_whole_mps": whole,
            "lost": lost,
        }
        assert job.faults == Faults()
    rows = [
        ("drawn before, slot by slot", figures["stream_mps"], "M readings/s into the log"),
        ("the same with typical faults", figures["stream_faults_mps"], "M readings/s"),
        ("drawn before, nightly curves", figures["stream_nightly_mps"], "M readings/s"),
        ("drawing included", figures["stream_drawn_mps"], "M readings/s"),
        ("drawing included, two processes", figures["stream_drawn_2_mps"], "M readings/s"),
        ("to committed sums, with faults", figures["stream_whole_mps"], "M readings/s"),
        ("lost", figures["lost"], "readings"),
    ]
    report("generator into the stream, store on the same cores", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
