"""`wattstorm storm`: a Storm cluster on this machine's loopback, for trials and tests."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated

import typer

from wattstorm.cli.common import say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.cluster import development
from wattstorm.cluster.development import NIMBUS_PORT, Cluster
from wattstorm.cluster.environment import default_cluster
from wattstorm.cluster.home import is_missing, storm_home
from wattstorm.cluster.nimbus import Nimbus
from wattstorm.errors import ClusterError
from wattstorm.processes import is_alive

app = typer.Typer(no_args_is_help=True, help="A Storm cluster on this machine, for trials.")


def running() -> Cluster:
    """The development cluster, or ClusterError."""
    cluster = development.find(default_cluster())
    if cluster is None:
        raise ClusterError("no development cluster runs", "start it: wattstorm storm up")
    return cluster


@app.command("up")
def up(
    context: typer.Context,
    supervisors: Annotated[int, typer.Option(min=1, max=8, help="Two for takeover trials.")] = 1,
    slots: Annotated[int, typer.Option(min=1, max=16, help="Workers a supervisor.")] = 4,
    nimbus_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where Nimbus listens; 0: any free port.")
    ] = NIMBUS_PORT,
) -> None:
    """\b
    wattstorm storm up
    wattstorm storm up --supervisors 2

    Start ZooKeeper, Nimbus and supervisors, on loopback only, and wait until they are ready.
    Fetches Storm by Maven the first time (200 MB), or uses STORM_HOME. Where no store is
    configured, the embedded one is held as long as the cluster is up.
    """
    settings = settings_of(context)
    if is_missing():
        say("fetching Storm by Maven, once; this takes a minute")
    cluster = development.up(
        default_cluster(),
        storm_home(),
        supervisors=supervisors,
        slots=slots,
        nimbus_port=nimbus_port,
        store_directory="" if settings.store.url else str(settings.data.directory),
    )
    say(
        f"Storm {cluster.version} is up: Nimbus on {cluster.nimbus}, "
        f"{supervisors * slots} slots; wattstorm deploy --env local"
    )


@app.command("down")
def down() -> None:
    """\b
    wattstorm storm down

    Stop the development cluster and all its workers. What was committed stays in the store.
    """
    cluster = running()
    development.down(cluster)
    say("the cluster is down")


@app.command("status")
def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """\b
    wattstorm storm status

    The daemons, the workers and the topologies of the development cluster.
    """
    cluster = running()
    daemons = [
        {"daemon": name, "pid": pid, "alive": is_alive(pid)} for name, pid in cluster.pids().items()
    ]
    daemons += [{"daemon": "worker", "pid": pid, "alive": True} for pid in cluster.worker_pids()]
    with Nimbus(development.HOST, cluster.nimbus_port) as nimbus:
        summary = nimbus.summary()
    topologies = [
        {"topology": t.id, "status": t.status, "workers": t.num_workers, "uptime_s": t.uptime_secs}
        for t in summary.topologies
    ]
    if as_json:
        print_json({"nimbus": cluster.nimbus, "daemons": daemons, "topologies": topologies})
        return
    print(f"Storm {cluster.version}, Nimbus on {cluster.nimbus}, {cluster.directory}\n")
    for rows in (daemons, topologies):
        if rows:
            print(table(list(rows[0]), [[str(v) for v in row.values()] for row in rows]) + "\n")


@app.command("logs")
def logs(
    name: Annotated[
        str, typer.Argument(help="nimbus, supervisor-1, zookeeper, keeper, or worker.")
    ] = "worker",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="The last ones of each.")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
) -> None:
    """\b
    wattstorm storm logs
    wattstorm storm logs nimbus --follow

    The end of the logs. A worker's log holds what its Python tasks say.
    """
    directory = default_cluster() / "logs"
    found = log_files(directory, name)
    if not found:
        there = sorted({path.stem for path in directory.glob("*.log")} | {"worker"})
        raise ClusterError(
            f"there is no log called {name} in {directory}", f"one of {', '.join(there)}"
        )
    command = ["tail", f"--lines={lines}", *(["--follow=name"] if follow else [])]
    subprocess.run([*command, *map(str, found)], check=False)


def log_files(directory: Path, name: str) -> list[Path]:
    """The logs of a daemon, or of all workers, the newest last."""
    pattern = "workers/*/*/worker.log" if name == "worker" else f"{name}.log"
    return sorted(directory.glob(pattern), key=lambda path: path.stat().st_mtime)
