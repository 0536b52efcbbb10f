"""One national half-hour: 35 M meters, from the log to published results.

    python -m bench.slot [--json] [--meters 35000000]

The half-hour stands in the log, 50,000 readings a block; the clock runs from
the engine's start, with its processes up, to the last published result.
`peak_gb` adds up the peaks of the engine's processes and of the store.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import numpy as np

from bench._arguments import parse
from bench._pipeline import Pipeline, pipeline, wh_pool
from bench._report import report
from wattstorm.metering import block as blocks
from wattstorm.readers.results import Results
from wattstorm.store.producer import Producer

PARTITION, BLOCK = 550_000, 50_000
SLOT = int(time.time()) // 1800 - 2


def send(run: Pipeline, meters: int, slot: int) -> int:
    """Every meter's reading of `slot` into the log; returns their sum in Wh."""
    rng = np.random.default_rng(3)
    wh = wh_pool(PARTITION)
    total = 0
    producer = Producer(
        run.log,
        f"slot-{slot}",
        run.partitions,
        backlog_bytes=4 << 30,
        when_full="block",
        full_timeout_s=60,
    )
    for at in range(0, PARTITION, BLOCK):
        for partition in run.partitions:
            first = partition * PARTITION
            ids = first + rng.permutation(min(BLOCK, PARTITION - at)).astype(np.uint32) + at
            ids = ids[ids < meters]
            if ids.size:
                producer.send(blocks.readings(partition, ids, slot, wh[ids - first], producer="x"))
                total += int(wh[ids - first].sum(dtype=np.int64))
    producer.flush()
    return total


def peak_gb(pids: list[int]) -> float:
    """Sum of the peak resident memories of processes."""
    peak = 0
    for pid in pids:
        status = Path(f"/proc/{pid}/status")
        if status.exists():
            line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
            peak += int(line.split()[1])
    return peak / 2**20


def processes(run: Pipeline) -> list[int]:
    """The engine's processes and the store's."""
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(run.engine_pid)], capture_output=True, text=True
    ).stdout.split()
    store = int(run.connection.redis.info("server")["process_id"])
    return [run.engine_pid, *map(int, children), store]


def nation(results: Results, slot: int) -> tuple[int, int]:
    """(Wh, readings) published for the slot, (0, 0) if none."""
    if "nation" not in results.labels:
        return 0, 0
    day = results.calendar.date_of(slot)
    curve = results.curve("nation", day, day)
    at = np.flatnonzero(curve.slots == slot)
    return (int(curve.wh[at[0]]), int(curve.readings[at[0]])) if at.size else (0, 0)


def main() -> None:
    arguments = parse(__doc__, meters=35_000_000)
    with pipeline(arguments.meters, PARTITION) as run:
        results = Results.open(run.settings)
        warm = send(run, arguments.meters, SLOT - 1)  # loads registers, compiles, claims memory
        wait(results, SLOT - 1, warm, arguments.meters)
        start = time.perf_counter()
        total = send(run, arguments.meters, SLOT)
        appended = time.perf_counter() - start
        wait(results, SLOT, total, arguments.meters)
        seconds = time.perf_counter() - start
        figures = {
            "seconds": seconds,
            "append_seconds": appended,
            "meters": arguments.meters,
            "peak_gb": peak_gb(processes(run)),
            "mps": arguments.meters / seconds / 1e6,
        }
        rows = [
            ("append of the last block after", appended, "s"),
            ("published, exact, after", seconds, "s"),
            ("rate", figures["mps"], "M readings/s"),
            ("peak memory, engine and store", figures["peak_gb"], "GB"),
            ("against 175 s in 2014", 175 / seconds, "x"),
        ]
        report("one national half-hour", rows, figures, arguments.json)


def wait(results: Results, slot: int, total: int, meters: int, timeout_s: float = 300) -> None:
    """Until the nation's published curve holds exactly what was sent."""
    deadline = time.monotonic() + timeout_s
    while nation(results, slot) != (total, meters):
        if time.monotonic() > deadline:
            raise SystemExit(f"slot {slot}: {nation(results, slot)}, sent {(total, meters)}")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
