"""A national day: 35 M meters with typical faults, as nightly curves and as live slots.

    python -m bench.national [--json] [--meters 35000000] [--partitions 64] [--only nightly]

Each shape on an empty store with the settings as they come: the generator draws and sends, the
engine checks and sums and publishes, all on these cores. The clock runs from the start of the
engine's processes and of the generator to the last published result; then every slot of every
curve and every count is compared with the generator's ledger.

`nightly_s`, `live_s`: seconds. `lost`: readings that are in no count, and published values that
are not as the ledger foretells. `peak_gb`: most memory of all processes together.
`written_gb`: written to disk in the worse of the two shapes, by the log's append-only file and
for saved state; `_log_gb` and `_state_gb` say which. `_idle`: share of the cores that our
processes left alone. `_cpu_s` and `_peak_gb` are also told by part: the generator, the engine's
workers, the store. With fewer meters lower `--backlog-mb` (512) with them, or nothing waits, and
leave the partitions as many, or each is read in fewer steps than a snapshot takes.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bench._arguments import parse
from bench._report import report
from bench._usage import OTHER, STORE, WORKER, Peak, Usage, total, usage
from generator.feed import ledger
from generator.feed.faults import TYPICAL
from generator.feed.producers import Sending, send
from generator.feed.publish import LIVE, NIGHTLY, Job
from generator.town.register import write_register
from generator.town.town import Town
from wattstorm.engine.supervisor import Engine
from wattstorm.engine.watch import Watch
from wattstorm.files.meters import build_register
from wattstorm.readers.results import Results
from wattstorm.readers.truth import compare
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.server import EmbeddedServer

DAY = date(2025, 1, 13)
GB = 1e9
PARTS = {"generator": OTHER, "engine": WORKER, "store": STORE}


@dataclass
class Day:
    """How one shape of the day went. seconds, cpu_s (by part); peak: bytes, by part; lost: see
    the module."""

    sent: int
    seconds: float
    cpu_of: dict[str, float]
    peak_of: dict[str, int]
    log_bytes: int
    state_bytes: int
    lost: int

    @property
    def cpu_s(self) -> float:
        return sum(self.cpu_of.values())

    @property
    def peak(self) -> int:
        return sum(self.peak_of.values())

    @property
    def idle(self) -> float:
        return 1 - self.cpu_s / (self.seconds * len(os.sched_getaffinity(0)))


@contextmanager
def store(directory: Path, backlog_mb: int) -> Iterator[tuple[Settings, Connection, int]]:
    """An empty store in `directory`, the settings, and the store's process."""
    with EmbeddedServer(directory) as server, Connection(server.url) as connection:
        options = {
            "data.directory": directory,
            "store.url": server.url,
            "log.backlog_mb": backlog_mb,
        }
        settings = Settings.load(config=os.devnull, environ={}, options=options)
        yield settings, connection, int(connection.redis.info("server")["process_id"])


def stream(job: Job, sending: Sending, drained: Callable[[], bool]) -> tuple[int, float]:
    """Send while the engine runs; (readings sent, seconds until the last was published)."""
    sent: list[int] = []
    failed: list[BaseException] = []
    ended: list[float] = []

    def work() -> None:
        try:
            sent.append(send(job, sending, should_stop=lambda: bool(ended)))
        except BaseException as error:
            failed.append(error)

    def over() -> bool:
        if not (failed or (not sender.is_alive() and drained())):
            return False
        ended.append(time.monotonic())
        return True

    sender = threading.Thread(target=work, daemon=True)
    begun = time.monotonic()
    sender.start()
    try:
        Engine(sending.settings, sending.url).run(should_stop=over)
    finally:
        ended.append(time.monotonic())  # interrupted, the sender ends as well
        sender.join()
    if failed:
        raise failed[0]
    return sent[0], ended[0] - begun


def day(shape: str, directory: Path, register: Path, backlog_mb: int) -> Day:
    """One shape of the day, from an empty store to the comparison with the ledger."""
    directory.mkdir()
    (directory / "register").symlink_to(register)
    town = Town(seed=3, threads=len(os.sched_getaffinity(0)))
    job = Job(town, (DAY,), TYPICAL, shape, ledger=directory / "ledger")
    with store(directory, backlog_mb) as (settings, connection, server):
        watch = Watch(connection, settings, Register.open(register))
        watch.introduce()
        sending = Sending(settings, settings.store.url, register)
        before, store_before = total(usage().values()), total(usage(server).values())
        with Peak() as peak:
            sent, seconds = stream(job, sending, watch.drained)
        after, store_after = total(usage().values()), total(usage(server).values())
        log = store_after.written
        results, opened = Results(connection, settings), Register.open(register)
        truth = ledger.truth(town, opened, job.days, ledger.read(directory / "ledger"))
        verdict = compare(results, opened, truth)
        unaccounted = sum(abs(found - told) for found, told in verdict.counts.values())
        if not results.conservation().holds:
            print(results.conservation().line())
        return Day(
            sent,
            seconds,
            cpu_of(before, after, store_after.cpu_s - store_before.cpu_s),
            {part: total(peak.parts, role).memory for part, role in PARTS.items()},
            log,
            after.written - before.written - log,
            unaccounted + verdict.wrong,
        )


def cpu_of(before: Usage, after: Usage, store_s: float) -> dict[str, float]:
    """CPU seconds of each part. The workers have ended by then, so theirs are their parent's."""
    engine_s = after.ended_s - before.ended_s
    return {
        "generator": after.cpu_s - before.cpu_s - engine_s - store_s,
        "engine": engine_s,
        "store": store_s,
    }


def build(meters: int, partitions: int, source: Path, register: Path) -> None:
    """In a process of its own: the memory that it takes is not the day's."""
    write_register(Town(seed=3), meters, source)
    build_register([source], register, partition_size=-(-meters // partitions))
    source.unlink()


def main() -> None:
    arguments = parse(__doc__, meters=35_000_000, partitions=64, only="", backlog_mb=512)
    with tempfile.TemporaryDirectory(prefix="wattstorm-bench-") as name:
        directory = Path(name)
        source, register = directory / "meters.parquet", directory / "register"
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as beside:
            meters, partitions = arguments.meters, arguments.partitions
            beside.submit(build, meters, partitions, source, register).result()
        shapes = [shape for shape in (NIGHTLY, LIVE) if arguments.only in ("", shape)]
        days = {
            shape: day(shape, directory / shape, register, arguments.backlog_mb) for shape in shapes
        }
    rows: list[tuple[str, float, str]] = []
    figures: dict[str, float] = {"meters": arguments.meters}
    for shape, it in days.items():
        rows += [
            (f"{shape}: readings sent", it.sent / 1e6, "M"),
            ("to the last published result", it.seconds, "s"),
            ("rate", it.sent / it.seconds / 1e6, "M readings/s"),
            ("CPU", it.cpu_s, "s"),
            *((f"of it the {part}", seconds, "s") for part, seconds in it.cpu_of.items()),
            ("idle", it.idle * 100, "% of the cores"),
            ("most memory, all processes", it.peak / GB, "GB"),
            *((f"of it the {part}", held / GB, "GB") for part, held in it.peak_of.items()),
            ("written for the log", it.log_bytes / GB, "GB"),
            ("written to save state", it.state_bytes / GB, "GB"),
            ("lost, or not as foretold", it.lost, "readings and values"),
        ]
        figures |= {
            f"{shape}_s": it.seconds,
            f"{shape}_cpu_s": it.cpu_s,
            f"{shape}_idle": it.idle,
            f"{shape}_log_gb": it.log_bytes / GB,
            f"{shape}_state_gb": it.state_bytes / GB,
            f"{shape}_peak_gb": it.peak / GB,
        }
        for part in PARTS:
            figures[f"{shape}_{part}_cpu_s"] = it.cpu_of[part]
            figures[f"{shape}_{part}_peak_gb"] = it.peak_of[part] / GB
    figures["lost"] = sum(it.lost for it in days.values())
    figures["peak_gb"] = max(it.peak for it in days.values()) / GB
    figures["written_gb"] = max(it.log_bytes + it.state_bytes for it in days.values()) / GB
    report("a national day, generator and store on the same cores", rows, figures, arguments.json)
    if figures["lost"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
