"""What readers wait for while the engine works, and what many followers cost.

    python -m bench.readers [--json] [--rate 200000] [--seconds 8] [--clients 1000] [--changes 50]

Under bench.local's live load of 200,000 readings/s a client in a process of its own asks, 50 times
a second, for the newest day of the nation and 12 tariffs (`latest_p99_ms`). Then `--clients`
follow the changes of one `wattstorm serve`, idle and while `--changes` slots are published one
after the other: from the publication to the last of them (`last_follower_ms`), and what the server
takes for each (`follower_kb`). `unseen`: changes that some follower did not get.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection as Pipe
from typing import Any

import numpy as np

from bench._arguments import parse
from bench._following import Following, follow, memory_mb, served
from bench._load import METERS, PARTITION, SLOT, live
from bench._pipeline import Pipeline, pipeline, stage
from bench._report import report
from wattstorm.metering.results import SlotResult, SlotRows
from wattstorm.readers.results import Results
from wattstorm.settings import Settings
from wattstorm.store.results import ResultStore, Seen

PAUSE_S = 0.02
LABELS = ["nation", *(f"tariff:{i}" for i in range(12))]


def _ask(conf: dict[str, Any], told: Pipe) -> None:
    """Ask until told to stop; the milliseconds of each, once there is something to be read."""
    taken = []
    with Results.open(Settings.from_conf(conf)) as results:
        while not told.poll(PAUSE_S):
            if set(LABELS) <= set(results.labels) and results.utc_days():
                begun = time.perf_counter()
                assert len(results.curves(LABELS)) == len(LABELS)
                taken.append((time.perf_counter() - begun) * 1e3)
    told.send(taken)


def asked_under_load(rate: int, seconds: float) -> list[float]:
    """Milliseconds of each question."""
    with pipeline(METERS, PARTITION) as run:
        mine, its = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=_ask, args=(run.settings.to_conf(), its)
        )
        process.start()
        live(run, rate, seconds)
        mine.send("stop")
        taken: list[float] = mine.recv()
        process.join(10)
    return taken


async def followed(run: Pipeline, clients: int, changes: int) -> dict[str, float]:
    store = ResultStore(run.connection, run.settings.store.prefix)
    store.write_meta({"labels": '["nation"]', "time_zone": "Europe/Paris", "slot_minutes": "30"})
    store.write_meta({"partitions": "1"})
    _publish(store, SLOT - 1, 0)
    with served(run.settings) as (host, port, pid):
        before = memory_mb(pid)
        told = Following()
        tasks = await follow(host, port, clients, told)
        idle = memory_mb(pid)
        delays = []
        for slot in range(SLOT, SLOT + changes):
            begun = time.monotonic()
            _publish(store, slot, slot - SLOT)
            while len(told.seen.get(slot, ())) < clients and time.monotonic() < begun + 20:
                await asyncio.sleep(0.002)
            delays.append((max(told.seen.get(slot, [begun])) - begun) * 1e3)
        after, alive = memory_mb(pid), told.alive
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    seen = sum(len(each) for slot, each in told.seen.items() if slot >= SLOT)
    return {
        "last_follower_ms": float(np.percentile(delays, 50)),
        "last_follower_p99_ms": float(np.percentile(delays, 99)),
        "follower_kb": (after - before) / clients * 1024,
        "follower_grown_kb": (after - idle) / clients * 1024,
        "left": clients - alive,
        "unseen": clients * changes - seen,
    }


def _publish(store: ResultStore, slot: int, wh: int) -> None:
    rows = SlotRows({"nation": SlotResult(wh, 9, 10, 1, False)})
    store.write(slot // 48, {(0, slot): rows}, [0], Seen.of([{}]))


def main() -> None:
    arguments = parse(__doc__, rate=200_000, seconds=8.0, clients=1000, changes=50)
    taken = asked_under_load(arguments.rate, arguments.seconds)
    with stage(1000, 1000) as run:
        following = asyncio.run(followed(run, arguments.clients, arguments.changes))
    figures = {
        "latest_p50_ms": float(np.percentile(taken, 50)),
        "latest_p99_ms": float(np.percentile(taken, 99)),
        "clients": arguments.clients,
        **following,
    }
    rows = [
        ("newest day, nation and 12 tariffs, p50", figures["latest_p50_ms"], "ms under load"),
        ("newest day, nation and 12 tariffs, p99", figures["latest_p99_ms"], "ms under load"),
        ("a change to the last follower, p50", figures["last_follower_ms"], "ms"),
        ("a change to the last follower, p99", figures["last_follower_p99_ms"], "ms"),
        ("a follower costs the server", figures["follower_kb"], "KB"),
        ("of it by changes", figures["follower_grown_kb"], "KB"),
        ("followers that were let go", figures["left"], ""),
        ("changes that a follower did not get", figures["unseen"], ""),
    ]
    report(f"readers: {arguments.clients:,} followers", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
