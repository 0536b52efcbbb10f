"""What is sent through a whole wattstorm: flat out, or live with the time of each block."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from bench._pipeline import Pipeline, wh_pool
from wattstorm.metering import block as blocks
from wattstorm.store.producer import Producer

METERS, PARTITION = 1_100_000, 550_000
SLOT = int(time.time()) // 1800 - 48 * 30  # far enough back that no run reaches the present


class Feed:
    """Slot by slot, every meter once a slot in random order, in blocks of `size`."""

    def __init__(self, run: Pipeline, size: int) -> None:
        rng = np.random.default_rng(1)
        self.size = size
        self.orders = [
            (p * PARTITION + rng.permutation(PARTITION)).astype(np.uint32) for p in run.partitions
        ]
        self.wh = wh_pool(2 * PARTITION)
        self.slot, self.at, self.sent = SLOT, 0, 0
        self.turn = 0

    def next(self) -> blocks.Block:
        partition = self.turn % len(self.orders)
        meters = self.orders[partition][self.at : self.at + self.size]
        shift = (self.slot * 7919 + partition) % PARTITION
        wh = self.wh[shift + self.at : shift + self.at + len(meters)]
        made = blocks.readings(partition, meters, self.slot, wh, producer="bench")
        self.sent += len(meters)
        self.turn += 1
        if partition == len(self.orders) - 1:
            self.at += self.size
            if self.at >= PARTITION:
                self.at, self.slot = 0, self.slot + 1
        return made


def flat_out(run: Pipeline, size: int, seconds: float) -> tuple[float, int]:
    """(M readings/s from the first append to the last commit, readings lost)."""
    feed = Feed(run, size)
    producer = Producer(
        run.log,
        "bench",
        run.partitions,
        backlog_bytes=run.settings.log.backlog_mb << 20,
        when_full="block",
        full_timeout_s=60,
    )
    for _ in run.partitions:
        producer.send(feed.next())
    producer.flush()
    run.wait_committed(60)  # imports, kernels and the partitions' states are up
    begun, start = feed.sent, time.perf_counter()
    while time.perf_counter() - start < seconds:
        producer.send(feed.next())
    producer.flush()
    run.wait_committed(120)
    rate = (feed.sent - begun) / (time.perf_counter() - start) / 1e6
    return rate, feed.sent - run.audit().get("new", 0)


@dataclass
class Live:
    """How a live load went: when each block (partition, position) was begun to be appended,
    was in the log, and was seen in the committed sums; in s of CLOCK_MONOTONIC."""

    times: dict[tuple[int, int], tuple[float, float, float]]
    lost: int

    @property
    def ms(self) -> list[float]:
        """Milliseconds from append to committed sums, by block of 5,000."""
        return [(seen - begun) * 1e3 for begun, _, seen in self.times.values()]

    def percentile(self, q: float) -> float:
        return float(np.percentile(self.ms, q))


def live(run: Pipeline, rate: float, seconds: float) -> Live:
    """`rate` readings/s in blocks of 5,000; the fences are looked at while a block waits."""
    feed = Feed(run, 5000)
    waiting: list[list[tuple[int, float, float]]] = [[] for _ in run.partitions]
    times: dict[tuple[int, int], tuple[float, float, float]] = {}
    for _ in run.partitions:  # the first blocks wake the engine up and are not counted
        first = feed.next()
        run.log.append(first.partition, "bench", 1, blocks.encode(first), 5000)
    run.wait_committed(60)
    numbers = [1] * len(waiting)
    sent, start = 0, time.perf_counter()
    while sent < rate * seconds or any(waiting):
        due = start + sent / rate
        if sent < rate * seconds and time.perf_counter() >= due:
            made = feed.next()
            numbers[made.partition] += 1
            data = blocks.encode(made)
            begun = time.perf_counter()
            answer = run.log.append(made.partition, "bench", numbers[made.partition], data, 5000)
            waiting[made.partition].append((answer.position, begun, time.perf_counter()))
            sent += 5000
        if not any(waiting):  # looking all the time would be a load of its own
            time.sleep(max(0.0, due - time.perf_counter()))
            continue
        fences = run.committed()
        now = time.perf_counter()
        for partition, fence in enumerate(fences):
            while waiting[partition] and waiting[partition][0][0] <= fence:
                position, begun, appended = waiting[partition].pop(0)
                times[partition, position] = begun, appended, now
        time.sleep(0.0005)
    return Live(times, feed.sent - run.audit().get("new", 0))
