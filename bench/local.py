"""The whole path on this machine: producer, store, engine, all on the same cores.

    python -m bench.local [--json] [--seconds 8]

Flat out with blocks of 50,000 and of 5,000 readings, then 200,000 readings/s in
blocks of 5,000 with the time from append to committed sums of each block. All
durable (AOF every second), checked, joined, deduplicated, exactly once. Every
reading is accounted for at the end: `lost` is what the audit does not have.
"""

from __future__ import annotations

import time

import numpy as np

from bench._arguments import parse
from bench._pipeline import Pipeline, pipeline, wh_pool
from bench._report import report
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
        run.log, "bench", run.partitions,
        backlog_bytes=run.settings.log.backlog_mb << 20, when_full="block", full_timeout_s=60,
    )  # fmt: skip
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


def latencies_ms(run: Pipeline, rate: float, seconds: float) -> tuple[list[float], int]:
    """Milliseconds from append to committed sums of each block of 5,000."""
    feed = Feed(run, 5000)
    waiting: list[list[tuple[int, float]]] = [[] for _ in run.partitions]
    done: list[float] = []
    sent = 0
    for _ in run.partitions:  # the first blocks wake the engine up and are not counted
        first = feed.next()
        run.log.append(first.partition, "bench", 1, blocks.encode(first), 5000)
    run.wait_committed(60)
    numbers = [1] * len(waiting)
    begun = time.perf_counter()
    while sent < rate * seconds or any(waiting):
        now = time.perf_counter()
        if sent < rate * seconds and now >= begun + sent / rate:
            made = feed.next()
            numbers[made.partition] += 1
            data = blocks.encode(made)
            at = time.perf_counter()
            answer = run.log.append(made.partition, "bench", numbers[made.partition], data, 5000)
            waiting[made.partition].append((answer.position, at))
            sent += 5000
        fences = run.committed()
        now = time.perf_counter()
        for partition, fence in enumerate(fences):
            while waiting[partition] and waiting[partition][0][0] <= fence:
                done.append((now - waiting[partition].pop(0)[1]) * 1e3)
        time.sleep(0.0005)
    return done, feed.sent - run.audit().get("new", 0)


def main() -> None:
    arguments = parse(__doc__, seconds=8.0)
    with pipeline(METERS, PARTITION) as run:
        big, lost_big = flat_out(run, 50_000, arguments.seconds)
    with pipeline(METERS, PARTITION) as run:
        small, lost_small = flat_out(run, 5_000, arguments.seconds)
    with pipeline(METERS, PARTITION) as run:
        done, lost_live = latencies_ms(run, 200_000, arguments.seconds)
    p50, p99 = np.percentile(done, [50, 99])
    figures = {
        "flat_out_50k_mps": big,
        "flat_out_5k_mps": small,
        "p50_ms_at_200k": float(p50),
        "p99_ms_at_200k": float(p99),
        "max_ms_at_200k": max(done),
        "lost": lost_big + lost_small + lost_live,
    }
    rows = [
        ("flat out, blocks of 50,000", big, "M readings/s"),
        ("flat out, blocks of 5,000", small, "M readings/s"),
        ("append to committed sums, p50", float(p50), "ms at 200,000/s"),
        ("append to committed sums, p99", float(p99), "ms at 200,000/s"),
        ("append to committed sums, max", max(done), "ms at 200,000/s"),
        ("against the 2014 figure, 50,000", big / 0.2, "x, on 1/32 of its cores"),
        ("lost", figures["lost"], "readings"),
    ]
    report("whole path, producer and store on the same cores", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
