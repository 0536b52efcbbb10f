"""The whole path through a Storm cluster on this machine, beside the local engine.

    python -m bench.storm [--json] [--seconds 8]

The same load through both in one run, producer, store and engine on the same cores: flat out
with blocks of 50,000 and of 5,000 readings, then the time from append to committed sums at
200,000 readings/s. Then two other topologies on the same cluster: blocks inside the tuples,
and one reading a tuple (which only looks up and adds: no check, no fence). Needs Java and
Maven the first time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from bench._arguments import parse
from bench._pipeline import Pipeline, pipeline, stage
from bench._report import report
from bench._storm_baselines import COUNT
from bench.local import METERS, PARTITION, Feed, flat_out, latencies_ms
from wattstorm.cluster import development
from wattstorm.cluster.deployment import Deployment
from wattstorm.cluster.development import Cluster
from wattstorm.cluster.environment import Environment
from wattstorm.cluster.home import storm_home
from wattstorm.metering import block as blocks
from wattstorm.store.workers import heartbeats

OURS = "topologies.load_curves:LoadCurves"
INLINE = "bench._storm_baselines:InlineCurves"
SINGLE = "bench._storm_baselines:OneReadingATuple"
ROOT = str(Path(__file__).parents[1])


@contextmanager
def a_cluster() -> Iterator[Cluster]:
    """A development cluster whose workers can import `bench`."""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [ROOT, os.environ.get("PYTHONPATH", "")])
    )
    with tempfile.TemporaryDirectory(prefix="wattstorm-bench-storm-") as name:
        cluster = development.up(Path(name) / "cluster", storm_home(), nimbus_port=0)
        try:
            yield cluster
        finally:
            development.down(cluster)


def deployment(cluster: Cluster, run: Pipeline) -> Deployment:
    environment = Environment("bench", {"nimbus": cluster.nimbus, "use_virtualenv": False})
    url = run.settings.store.url
    return Deployment(
        environment, run.settings, url, run.connection, run.register, lambda line: None
    )


@contextmanager
def on_storm(cluster: Cluster, topology: str = OURS) -> Iterator[Pipeline]:
    """A stage on which a topology runs on the cluster."""
    with stage(METERS, PARTITION, **{"engine.topology": topology}) as run:
        deployed = deployment(cluster, run)
        deployed.start()
        try:
            yield run
        finally:
            deployed.stop(now=True)


def one_reading_a_tuple(cluster: Cluster, seconds: float) -> float:
    """M readings/s of the topology with a tuple a reading; its tasks send no heartbeats."""
    with stage(METERS, PARTITION, **{"engine.topology": SINGLE}) as run:
        first = Feed(run, 5000).next()
        run.log.append(0, "bench", 1, blocks.encode(first), 5000)
        deployed = deployment(cluster, run)
        with deployed.nimbus() as nimbus:
            deployed.submit(tasks={"readings": 1, "aggregate": 2})
            redis = run.connection.redis
            deadline = time.monotonic() + 90
            while not redis.get(COUNT) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(2)
            before, start = int(redis.get(COUNT) or 0), time.perf_counter()
            time.sleep(seconds)
            counted = int(redis.get(COUNT) or 0) - before
            rate = counted / (time.perf_counter() - start) / 1e6
            nimbus.kill(deployed.name)
            while nimbus.topology(deployed.name) is not None:
                time.sleep(0.1)
        return rate


def memory_mb(cluster: Cluster, run: Pipeline) -> dict[str, float]:
    """Proportional set size of each kind of process, MB."""
    pids = {name: [pid] for name, pid in cluster.pids().items() if name != "keeper"}
    pids["worker"] = cluster.worker_pids()
    for beat in heartbeats(run.connection, run.settings.store.prefix):
        pids.setdefault(f"task_{beat['component']}", []).append(beat["pid"])
    pids["store"] = [int(run.connection.redis.info("server")["process_id"])]
    return {
        name: sum(psutil.Process(pid).memory_full_info().pss for pid in group) / 2**20
        for name, group in pids.items()
    }


def main() -> None:
    arguments = parse(__doc__, seconds=8.0)
    seconds = arguments.seconds
    figures: dict[str, float] = {}
    lost = 0
    for size, key in ((50_000, "50k"), (5_000, "5k")):
        with pipeline(METERS, PARTITION) as run:
            figures[f"local_{key}_mps"], missing = flat_out(run, size, seconds)
            lost += missing
    with a_cluster() as cluster:
        for size, key in ((50_000, "50k"), (5_000, "5k")):
            with on_storm(cluster) as run:
                figures[f"storm_{key}_mps"], missing = flat_out(run, size, seconds)
                lost += missing
                memory = memory_mb(cluster, run)
        with on_storm(cluster) as run:
            done, missing = latencies_ms(run, 200_000, seconds)
            lost += missing
        with on_storm(cluster, INLINE) as run:
            figures["inline_5k_mps"], missing = flat_out(run, 5_000, seconds)
            lost += missing
        figures["single_mps"] = one_reading_a_tuple(cluster, seconds)
    p50, p99 = np.percentile(done, [50, 99])
    figures |= {
        "storm_p50_ms_at_200k": float(p50),
        "storm_p99_ms_at_200k": float(p99),
        "ratio_to_inline_5k": figures["storm_5k_mps"] / figures["inline_5k_mps"],
        "ratio_to_single": figures["storm_50k_mps"] / figures["single_mps"],
        "ratio_to_local_50k": figures["storm_50k_mps"] / figures["local_50k_mps"],
        "lost": lost,
    }
    figures |= {f"{name}_mb": mb for name, mb in memory.items()}
    rows = [
        (name.removesuffix("_mps").replace("_", " "), value, "M readings/s")
        for name, value in figures.items()
        if name.endswith("_mps")
    ]
    rows += [
        ("append to committed sums, p50", float(p50), "ms at 200,000/s"),
        ("append to committed sums, p99", float(p99), "ms at 200,000/s"),
        ("references to inline blocks, 5,000", figures["ratio_to_inline_5k"], "x"),
        ("blocks of 50,000 to single readings", figures["ratio_to_single"], "x"),
        ("cluster to local engine, 50,000", figures["ratio_to_local_50k"], "x"),
        ("lost", lost, "readings"),
    ]
    rows += [(f"memory, {name.replace('_', ' ')}", mb, "MB") for name, mb in memory.items()]
    report("the same load through Storm and the local engine", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
