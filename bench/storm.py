"""The whole path through a Storm cluster on this machine, beside the local engine.

    python -m bench.storm [--json] [--seconds 8] [--beside N] [--legs]

The same load through both in one run, producer, store and engine on the same cores: flat out
with blocks of 50,000 and of 5,000 readings, then the time from append to committed sums at
200,000 readings/s. Then two other topologies on the same cluster: blocks inside the tuples,
and one reading a tuple (which only looks up and adds: no check, no fence). Needs Java and
Maven the first time. Each figure is printed when it is known; a part that delivers nothing
says so and is null in the JSON; one that fails says why, and the exit code is 1.

--beside N: beside N processes that each want a core. --legs: only the live load through
Storm, with stamps on its way, and where the time goes.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench._arguments import parse
from bench._beside import busy
from bench._legs import TRACED, print_legs
from bench._load import METERS, PARTITION, Feed, flat_out, live
from bench._pipeline import Pipeline, pipeline, stage
from bench._report import Figure, as_json, heading, ratio, row
from bench._storm_baselines import COUNT
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
START_S = 90.0
MPS, MS = "M readings/s", "ms at 200,000/s"
ON_STORM = (
    "storm_50k_mps",
    "storm_5k_mps",
    "storm_p50_ms_at_200k",
    "storm_p99_ms_at_200k",
    "inline_5k_mps",
    "single_mps",
)
SIZES = ((50_000, "50k"), (5_000, "5k"))


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


def one_reading_a_tuple(
    cluster: Cluster, seconds: float, *, topology: str = SINGLE, start_s: float = START_S
) -> Figure:
    """M readings/s of the topology with a tuple a reading, None if it delivers none within
    start_s or then; its tasks send no heartbeats."""
    with stage(METERS, PARTITION, **{"engine.topology": topology}) as run:
        first = Feed(run, 5000).next()
        run.log.append(0, "bench", 1, blocks.encode(first), 5000)
        deployed = deployment(cluster, run)
        redis = run.connection.redis
        with deployed.nimbus() as nimbus:
            deployed.submit(tasks={"readings": 1, "aggregate": 2})
            try:
                deadline = time.monotonic() + start_s
                while not redis.get(COUNT) and time.monotonic() < deadline:
                    time.sleep(0.1)
                time.sleep(2)
                before, start = int(redis.get(COUNT) or 0), time.perf_counter()
                time.sleep(seconds)
                counted = int(redis.get(COUNT) or 0) - before
                rate = counted / (time.perf_counter() - start) / 1e6
            finally:
                nimbus.kill(deployed.name)
            while nimbus.topology(deployed.name) is not None:
                time.sleep(0.1)
        return rate or None


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


class Findings:
    """What was measured so far: on the screen at once, in the JSON at the end."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}
        self.lost, self.failed = 0, False

    def add(self, key: str, value: Figure, name: str, unit: str) -> None:
        self.figures[key] = value
        row(name, value, unit)

    @contextmanager
    def part(self, *keys: str) -> Iterator[None]:
        """One part of the benchmark; if it fails, that is said, and the next one begins."""
        try:
            yield
        except (Exception, SystemExit) as error:
            self.failed = True
            print(f"  {', '.join(keys)}: {type(error).__name__}: {error}", file=sys.stderr)
        for key in keys:
            self.figures.setdefault(key, None)


def local_parts(found: Findings, seconds: float) -> None:
    for size, key in SIZES:
        with found.part(f"local_{key}_mps"), pipeline(METERS, PARTITION) as run:
            rate, lost = flat_out(run, size, seconds)
            found.add(f"local_{key}_mps", rate, f"local engine, blocks of {size:,}", MPS)
            found.lost += lost


def storm_parts(found: Findings, cluster: Cluster, seconds: float) -> None:
    memory: dict[str, float] = {}
    for size, key in SIZES:
        with found.part(f"storm_{key}_mps"), on_storm(cluster) as run:
            rate, lost = flat_out(run, size, seconds)
            found.add(f"storm_{key}_mps", rate, f"Storm, blocks of {size:,}", MPS)
            found.lost += lost
            memory = memory_mb(cluster, run)
    with found.part("storm_p50_ms_at_200k", "storm_p99_ms_at_200k"), on_storm(cluster) as run:
        done = live(run, 200_000, seconds)
        found.lost += done.lost
        for q in (50, 99):
            key = f"storm_p{q}_ms_at_200k"
            found.add(key, done.percentile(q), f"append to committed sums, p{q}", MS)
    with found.part("inline_5k_mps"), on_storm(cluster, INLINE) as run:
        rate, lost = flat_out(run, 5_000, seconds)
        found.add("inline_5k_mps", rate, "blocks of 5,000 inside the tuples", MPS)
        found.lost += lost
    with found.part("single_mps"):
        single = one_reading_a_tuple(cluster, seconds)
        found.add("single_mps", single, "one reading a tuple", MPS)
    for name, mb in memory.items():
        found.add(f"{name}_mb", mb, f"memory, {name.replace('_', ' ')}", "MB")


def ratios(found: Findings) -> None:
    for key, name, of, to in (
        ("ratio_to_inline_5k", "references to inline blocks, 5,000", "storm_5k", "inline_5k"),
        ("ratio_to_single", "blocks of 50,000 to single readings", "storm_50k", "single"),
        ("ratio_to_local_50k", "cluster to local engine, 50,000", "storm_50k", "local_50k"),
    ):
        of_to = ratio(found.figures[f"{of}_mps"], found.figures[f"{to}_mps"])
        found.add(key, of_to, name, "x")


def legs(seconds: float) -> None:
    with a_cluster() as cluster, on_storm(cluster, TRACED) as run:
        print_legs(run, live(run, 200_000, seconds))


def measure(seconds: float, beside: int, json_too: bool) -> bool:
    """Whether all parts could be measured."""
    found = Findings()
    heading("the same load through Storm and the local engine")
    local_parts(found, seconds)
    with found.part(*ON_STORM), a_cluster() as cluster:
        storm_parts(found, cluster, seconds)
    ratios(found)
    found.add("lost", found.lost, "lost", "readings")
    found.figures["beside"] = beside
    if json_too:
        print(as_json(found.figures))
    return not found.failed


def main() -> int:
    arguments = parse(__doc__, seconds=8.0, beside=0, legs=False)
    with busy(arguments.beside):
        if arguments.legs:
            legs(arguments.seconds)
            return 0
        return 0 if measure(arguments.seconds, arguments.beside, arguments.json) else 1


if __name__ == "__main__":
    sys.exit(main())
