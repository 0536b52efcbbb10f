"""Several publishers of one job: processes that share its partitions under one producer name.

The name says what is sent: another town, range, shape or fault has another one, so
that whoever starts the same job again goes on where it was interrupted.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from generator.feed.publish import Job, publish
from wattstorm.errors import UsageError
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import connected
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer

LOOK_S: Final = 0.2
_MOST_MEMORY: Final = 0.7
"""Share of the memory that is free now which the days may take."""
_shared: Any = None


@dataclass(frozen=True)
class Sending:
    """How to get at the log and the register. The producers share one backlog."""

    settings: Settings
    url: str
    register: Path
    producers: int = 1
    name: str = ""


def name_of(job: Job, register: Register) -> str:
    """14 characters that follow from all that decides what is sent, and in which blocks."""
    town = job.town
    said = (
        town.seed,
        town.time_zone,
        town.engine,
        str(town.generator.model.card.get("sha256")),
        town.driver,
        town.layers,
        job.days[0],
        job.days[-1],
        job.faults,
        job.shape,
        job.block,
        job.power_margin,
        register.count,
        register.partition_size,
        register.version,
    )
    return f"gen-{hashlib.sha256(repr(said).encode()).hexdigest()[:10]}"


def check(job: Job, sending: Sending, register: Register, free: int) -> None:
    """UsageError for what cannot go well: slots of another length, too little memory (bytes)."""
    minutes = sending.settings.stream.slot_minutes
    if job.town.generator.model.minutes != minutes:
        raise UsageError(
            f"the model has slots of {job.town.generator.model.minutes} minutes, "
            f"the stream of {minutes}",
            "fit a model with the stream's slots (setting stream.slot_minutes)",
        )
    if sending.producers < 1 or sending.producers > register.partitions:
        raise UsageError(
            f"{sending.producers} producers for {register.partitions} partitions",
            "a producer serves whole partitions: take 1 up to that many",
        )
    needed = job.bytes_held(register.count)
    if needed > _MOST_MEMORY * free:
        raise UsageError(
            f"days of {register.count:,} meters take {needed / 2**30:.1f} GB, "
            f"{free / 2**30:.1f} GB are free and {_MOST_MEMORY:.0%} of it may be used",
            "send nightly curves (--shape nightly), a day at a time, or fewer meters",
        )


def send(
    job: Job,
    sending: Sending,
    *,
    done: Callable[[int], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Publish the job with the producers asked for; readings that were sent.

    done: told again and again how many readings were sent since it was last told.
    """
    register = Register.open(sending.register)
    check(job, sending, register, _free_bytes())
    name = sending.name or name_of(job, register)
    n = sending.producers
    parts = [range(i, register.partitions, n) for i in range(n)]
    if n == 1:
        return _one(job, sending, name, parts[0], done, should_stop)
    context = multiprocessing.get_context("spawn")
    counts, stop = context.Array("q", n), context.Event()
    with ProcessPoolExecutor(n, context, _remember, (counts, stop)) as pool:
        running = [
            pool.submit(_in_process, i, job, sending, name, part) for i, part in enumerate(parts)
        ]
        try:
            _watch(running, counts, stop, done, should_stop)
        except BaseException:
            stop.set()
            raise
        return sum(future.result() for future in running)


def _watch(
    running: list[Future[int]],
    counts: Any,
    stop: Any,
    done: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> None:
    """Tell the progress until all have ended; one that fails ends the others."""
    told, open_ = 0, set(running)
    while open_:
        finished, open_ = wait(open_, LOOK_S)
        total = sum(counts)
        done(total - told)
        told = total
        if should_stop():
            stop.set()
        for future in finished:
            future.result()


def _remember(counts: Any, stop: Any) -> None:
    global _shared
    _shared = counts, stop


def _in_process(index: int, job: Job, sending: Sending, name: str, partitions: range) -> int:
    counts, stop = _shared

    def done(readings: int) -> None:
        counts[index] += readings

    return _one(job, sending, name, partitions, done, stop.is_set)


def _one(
    job: Job,
    sending: Sending,
    name: str,
    partitions: range,
    done: Callable[[int], None],
    should_stop: Callable[[], bool],
) -> int:
    settings, register = sending.settings, Register.open(sending.register)
    with connected(settings, sending.url) as connection:
        producer = Producer(
            Log(connection, settings.store.prefix),
            name,
            partitions,
            backlog_bytes=settings.log.backlog_mb << 20,
            of=register.partitions,
            hold_bytes=max(1, (settings.log.backlog_mb << 20) // sending.producers),
            when_full=settings.log.when_full,
            full_timeout_s=settings.log.full_timeout_s,
            should_stop=should_stop,
        )
        with producer:
            return publish(job, register, producer, done=done, should_stop=should_stop)


def _free_bytes() -> int:
    """Memory that can be had without swapping."""
    info = Path("/proc/meminfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
