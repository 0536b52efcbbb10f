"""The topology's configuration on Storm, and its submission by streamparse.

`sparse submit` in a checkout and `wattstorm deploy` come through the same hook, `pre_submit`:
what Storm is told is written down here once. Nimbus shows a topology's configuration to
everybody, so no password is in it: workers find theirs in their environment or in a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wattstorm.cluster.environment import Environment
from wattstorm.cluster.package import write_jar
from wattstorm.errors import ClusterError
from wattstorm.setting_values import split_password
from wattstorm.settings import Settings
from wattstorm.shipped import PACKAGES, check_neighbours, code_digest
from wattstorm.store.workers import TOPOLOGY as TOPOLOGY_NAME
from wattstorm.tuples import WHEN

TOPOLOGY = "load_curves"
DEFAULT_TOPOLOGY = Settings().engine.topology
OPTIONS_VARIABLE = "WATTSTORM_SUBMIT_OPTIONS"
SUBMIT_S = 120

STORM: dict[str, Any] = {
    # Batches in flight are the spout's own business (batch.pending a partition); this only
    # bounds what a spout with very many partitions may have under way.
    "topology.max.spout.pending": 1024,
    # Longer than a batch may ever wait: behind a task that replays a log of snapshot.every_mb.
    # A replay of a batch that still runs costs work, never a Wh.
    "topology.message.timeout.secs": 120,
    # A task answers no heartbeat while it compiles its kernels (once a deployment and node) or
    # replays its log; one that is silent longer than this hangs, and its worker is restarted.
    "topology.subprocess.timeout.secs": 90,
    # Storm's default of 32,768 would queue hours of references in front of a slow bolt.
    "topology.executor.receive.buffer.size": 256,
    # References are few and each names thousands of readings: count every one of them.
    "topology.stats.sample.rate": 1.0,
    # Each empty question to a spout costs both sides a message: at most 500 a second.
    "topology.spout.wait.progressive.level3.sleep.millis": 2,
    "topology.sleep.spout.wait.strategy.time.ms": 2,
    # An executor that waits does not spin. By Storm's default it asks its queue 1,000 times with
    # a nap of some 60 microseconds before it sleeps for 1 ms: at 40 batches a second it never
    # gets so far, and four executors take half a core from the tasks whose answers they wait
    # for. Asked each millisecond, they take a twentieth. `python -m bench.storm --legs` shows it.
    "topology.bolt.wait.progressive.level1.count": 0,
    "topology.bolt.wait.progressive.level2.count": 0,
    "topology.backpressure.wait.progressive.level2.count": 0,
    # Java only passes references on: it gains nothing by a second compiler or a collector with
    # threads of its own, which take cores from the tasks in the first minutes.
    "topology.worker.childopts": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    # A poisoned block may raise often: a few errors tell as much as thousands.
    "topology.max.error.report.per.interval": 5,
    # What Java holds of a task is a queue of references; the tasks themselves are declared by
    # the topology.
    "topology.component.resources.onheap.memory.mb": 64,
    # Nimbus refuses a topology with a task that takes more than this, on heap and off it together.
    "topology.worker.max.heap.size.mb": 1024,
}


def topology_options(
    settings: Settings, store_url: str, *, workers: int | None = None
) -> dict[str, Any]:
    """What goes into the topology's configuration; `workers` None: streamparse's own default."""
    check_neighbours()
    options: dict[str, Any] = {
        "wattstorm": settings.to_conf(),
        "wattstorm.store_url": split_password(store_url)[0],
        "wattstorm.code": code_digest(),
        TOPOLOGY_NAME: settings.engine.topology.rpartition(":")[2],
        **STORM,
    }
    if workers is not None:
        options["topology.workers"] = options["topology.acker.executors"] = workers
    return options


def pre_submit(
    topology_name: str, env_name: str, env_config: Mapping[str, Any], options: dict[str, Any]
) -> None:
    """streamparse's hook; what config.json or `sparse submit -o` gave wins over `STORM`."""
    given = os.environ.get(OPTIONS_VARIABLE)
    if given:
        for name, value in json.loads(Path(given).read_text()).items():
            if name not in STORM:
                options[name] = value
            else:  # config.json may say otherwise
                options.setdefault(name, value)
        return
    settings = Settings.load()
    if not settings.store.url:
        raise ClusterError(
            "store.url is empty, and a cluster's workers need a store that they all reach",
            "set REDIS_URL, or store.url in wattstorm.toml",
        )
    for name, value in topology_options(settings, settings.store.url).items():
        options.setdefault(name, value)


def link_sources(project: Path, root: Path) -> None:
    """Make `project`/src, the folder that streamparse ships: links to the packages in `root`."""
    source = project / "src"
    source.mkdir(exist_ok=True)
    for package in PACKAGES:
        link = source / package
        if not link.is_symlink():
            link.symlink_to(os.path.relpath(root / package, source), target_is_directory=True)


def submit(
    environment: Environment,
    options: Mapping[str, Any],
    *,
    name: str,
    tasks: Mapping[str, int],
    topology: str = DEFAULT_TOPOLOGY,
    say: Any = None,
) -> None:
    """Build the jar and let streamparse submit the topology as `name`.

    `topology`: module:Class, as engine.topology says it. The jar has what wattstorm itself
    ships; components of other packages must be on the Python path of the workers.
    """
    with project(environment, options, tasks, topology) as directory:
        count = write_jar(directory / "topology.jar")
        size = (directory / "topology.jar").stat().st_size
        if say is not None:
            say(f"jar        {count} files, {size / 1000:.0f} kB, code {options['wattstorm.code']}")
        _sparse(directory, environment, name)


@contextmanager
def project(
    environment: Environment,
    options: Mapping[str, Any],
    tasks: Mapping[str, int],
    topology: str = DEFAULT_TOPOLOGY,
) -> Iterator[Path]:
    """A streamparse project for one submission: one environment, one topology, our hook."""
    module, _, attribute = topology.partition(":")
    with tempfile.TemporaryDirectory(prefix="wattstorm-deploy-") as place:
        directory = Path(place)
        (directory / "options.json").write_text(json.dumps(dict(options)))
        (directory / "config.json").write_text(
            json.dumps(
                {
                    "topology_specs": "specs/",
                    "virtualenv_specs": "virtualenvs/",
                    "envs": {environment.name: environment.for_streamparse()},
                }
            )
        )
        (directory / "specs").mkdir()
        (directory / "specs" / f"{TOPOLOGY}.py").write_text(
            f"from {module} import {attribute} as topology\n"
            "from wattstorm.cluster.submission import set_tasks\n\n"
            f"set_tasks(topology, {dict(tasks)!r})\n"
        )
        (directory / "tasks.py").write_text(
            "from wattstorm.cluster.submission import pre_submit as pre_submit\n"
        )
        yield directory


def set_tasks(topology: Any, tasks: Mapping[str, int]) -> None:
    """Let `topology` have so many tasks a component, whatever its class says; a component that a
    setting switches on (`tuples.WHEN`) and that has none here is left out."""
    specs = {spec.name: spec for spec in topology.specs}
    for name, count in tasks.items():
        specs[name].common.parallelism_hint = count
    for name, spec in specs.items():
        if name not in tasks and WHEN in json.loads(spec.config or "{}"):
            topology.specs.remove(spec)
            for held in (topology.thrift_topology.spouts, topology.thrift_topology.bolts):
                held.pop(name, None)


def _sparse(directory: Path, environment: Environment, name: str) -> None:
    command = [
        sys.executable,
        "-m",
        "streamparse.cli.sparse",
        "submit",
        "--name",
        TOPOLOGY,
        "--environment",
        environment.name,
        "--override_name",
        name,
        "--local_jar_path",
        str(directory / "topology.jar"),
    ]
    environ = {**os.environ, OPTIONS_VARIABLE: str(directory / "options.json"), "LEIN_ROOT": "1"}
    environ.pop("STREAMPARSE_NIMBUS", None)  # it would win over the environment that was checked
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=environ,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SUBMIT_S,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"streamparse did not submit within {SUBMIT_S} s", "see Nimbus's log"
        ) from None
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise ClusterError(f"streamparse could not submit {name}: {' '.join(said[-3:])[:600]}")
