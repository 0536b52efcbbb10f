"""A Storm cluster on this machine's loopback, for trials and tests.

    up       write the settings, start the keeper, wait until Nimbus knows the supervisors
    down     stop the keeper, the daemons and the workers, by process id
    find     the cluster of a directory, if it runs

Storm's daemons are fail-fast: they count on being started again when they die. Here the
keeper does that, as systemd does on a real cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wattstorm.cluster.home import StormHome, cache_directory, loopback_shim
from wattstorm.cluster.nimbus import Nimbus
from wattstorm.errors import ClusterError
from wattstorm.processes import is_alive, started

HOST = "127.0.0.1"
UP_S = 90.0
DOWN_S = 20.0
NIMBUS_PORT = 6627
QUICK_START = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""For a JVM that has little to do: one compiler, no threads that only collect."""


@dataclass(frozen=True)
class Cluster:
    """Where a development cluster lives, and its ports; `cluster.json` in its directory."""

    directory: Path
    nimbus_port: int
    zookeeper_port: int
    supervisors: Sequence[Mapping[str, Any]]
    """One a supervisor: its thrift `port`, and the ports of its `slots`."""
    version: str
    store_directory: str = ""
    """Data directory whose embedded store the keeper holds, too; empty: none."""
    keeper: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nimbus(self) -> str:
        return f"{HOST}:{self.nimbus_port}"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    def pids(self) -> dict[str, int]:
        """Daemon → process id, as the keeper wrote them; "keeper" among them."""
        try:
            found = json.loads((self.directory / "pids.json").read_text())
        except (OSError, ValueError):
            found = {}
        return {"keeper": int(self.keeper["pid"]), **found}

    def worker_pids(self) -> list[int]:
        """The running workers' JVMs, by the files that their supervisors keep."""
        files = self.directory.glob("supervisor-*/workers/*/pids/*")
        pids = sorted(int(file.name) for file in files if file.name.isdigit())
        return [pid for pid in pids if self._is_ours(pid)]

    def _is_ours(self, pid: int) -> bool:
        """Whether `pid` is still a worker of this cluster, not another process of that number."""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return f"{self.directory}/".encode() in command and is_alive(pid)

    def runs(self) -> bool:
        keeper = self.keeper
        return bool(keeper) and started(int(keeper["pid"])) == keeper["started"]


def find(directory: Path) -> Cluster | None:
    """The cluster whose keeper runs for `directory`, or None."""
    try:
        card = json.loads((directory / "cluster.json").read_text())
    except (OSError, ValueError):
        return None
    cluster = Cluster(**{**card, "directory": directory})
    return cluster if cluster.runs() else None


def up(
    directory: Path,
    home: StormHome,
    *,
    supervisors: int = 1,
    slots: int = 4,
    nimbus_port: int = NIMBUS_PORT,
    store_directory: str = "",
) -> Cluster:
    """Start a cluster and wait until it is ready. nimbus_port 0: any free one.

    ClusterError: one runs there already, a port is taken, or it is not ready in time.
    """
    running = find(directory)
    if running is not None:
        raise ClusterError(
            f"a cluster runs in {directory} (Nimbus on {running.nimbus})", "wattstorm storm down"
        )
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    ports = free_ports(2 + supervisors * (1 + slots))
    if nimbus_port and not is_free(nimbus_port):
        raise ClusterError(
            f"port {nimbus_port}, on which Nimbus is to listen, is taken",
            "stop what listens there, or choose another one: --nimbus-port",
        )
    nimbus, zookeeper, *rest = ports
    cluster = Cluster(
        directory,
        nimbus_port or nimbus,
        zookeeper,
        [
            {"port": rest[i * (slots + 1)], "slots": rest[i * (slots + 1) + 1 :][:slots]}
            for i in range(supervisors)
        ],
        home.version,
        store_directory,
    )
    _write_settings(cluster)
    (directory / "daemons.json").write_text(json.dumps(_daemons(cluster, home), indent=1))
    cluster = _start_keeper(cluster, loopback_shim(cache_directory()))
    try:
        _wait_ready(cluster)
    except BaseException:
        down(cluster)
        raise
    return cluster


def down(cluster: Cluster) -> None:
    """Stop everything of `cluster`; what does not listen is killed."""
    workers = cluster.worker_pids()
    with suppress(ProcessLookupError):
        os.kill(int(cluster.keeper["pid"]), signal.SIGTERM)
    deadline = time.monotonic() + DOWN_S
    while cluster.runs() and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in {*workers, *cluster.worker_pids()}:  # they would outlive their supervisors
        if cluster._is_ours(pid):
            os.kill(pid, signal.SIGKILL)
    if cluster.runs():
        os.kill(int(cluster.keeper["pid"]), signal.SIGKILL)
    (cluster.directory / "cluster.json").unlink(missing_ok=True)


# --- starting --------------------------------------------------------------------------


def _write_settings(cluster: Cluster) -> None:
    """A directory of settings a daemon; JSON is YAML."""
    shared = {
        "storm.zookeeper.servers": [HOST],
        "storm.zookeeper.port": cluster.zookeeper_port,
        "nimbus.seeds": [HOST],
        "nimbus.thrift.port": cluster.nimbus_port,
        "storm.local.hostname": HOST,
        "storm.log4j2.conf.dir": "log4j2",
        "storm.metricstore.rocksdb.location": str(cluster.directory / "metrics"),
        "storm.workers.artifacts.dir": str(cluster.logs / "workers"),
        "worker.heap.memory.mb": 256,
        "worker.childopts": "-Xmx%HEAP-MEM%m -Djava.net.preferIPv4Stack=true",
        "topology.worker.logwriter.childopts": f"-Xmx64m {' '.join(QUICK_START)}",
        # A trial wants to see a takeover in seconds; a real cluster keeps Storm's minutes.
        "nimbus.monitor.freq.secs": 1,
        "nimbus.task.timeout.secs": 10,
        "nimbus.supervisor.timeout.secs": 10,
        "supervisor.heartbeat.frequency.secs": 1,
        "supervisor.monitor.frequency.secs": 1,
        "supervisor.worker.timeout.secs": 15,
        "supervisor.worker.shutdown.sleep.secs": 1,
        "storm.zookeeper.session.timeout": 10_000,
        "task.refresh.poll.secs": 1,
        "executor.metrics.frequency.secs": 5,
    }
    own: dict[str, dict[str, Any]] = {"nimbus": {}}
    for i, supervisor in enumerate(cluster.supervisors, 1):
        own[f"supervisor-{i}"] = {
            "supervisor.thrift.port": supervisor["port"],
            "supervisor.slots.ports": supervisor["slots"],
        }
    for name, settings in own.items():
        place = {"storm.local.dir": str(cluster.directory / name)}
        path = cluster.directory / "conf" / name / "storm.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**shared, **settings, **place}, indent=1))
    (cluster.directory / "conf" / "zoo.cfg").write_text(
        f"dataDir={cluster.directory / 'zookeeper'}\nclientPort={cluster.zookeeper_port}\n"
        f"clientPortAddress={HOST}\nadmin.enableServer=false\nmaxClientCnxns=0\ntickTime=1000\n"
    )
    cluster.logs.mkdir()


def _daemons(cluster: Cluster, home: StormHome) -> list[dict[str, Any]]:
    """Name and command line of each, in the order in which they start."""

    def java(name: str, main: str, *arguments: str, heap: int = 256) -> dict[str, Any]:
        properties = {
            "daemon.name": name,
            "storm.home": home.directory,
            "storm.log.dir": cluster.logs,
            "logfile.name": f"{name}.log",
            "log4j.configurationFile": home.directory / "log4j2" / "cluster.xml",
            "java.deserialization.disabled": "true",
            "java.net.preferIPv4Stack": "true",
        }
        options = [f"-D{key}={value}" for key, value in properties.items()]
        classpath = home.classpath(cluster.directory / "conf" / name)
        command = [
            home.java,
            f"-Xmx{heap}m",
            *QUICK_START,
            *options,
            "-cp",
            classpath,
            main,
            *arguments,
        ]
        return {"name": name, "command": command}

    zookeeper = java(
        "zookeeper",
        "org.apache.storm.shade.org.apache.zookeeper.server.ZooKeeperServerMain",
        str(cluster.directory / "conf" / "zoo.cfg"),
        heap=128,
    )
    supervisors = [
        java(f"supervisor-{i}", "org.apache.storm.daemon.supervisor.Supervisor")
        for i in range(1, len(cluster.supervisors) + 1)
    ]
    return [zookeeper, java("nimbus", "org.apache.storm.daemon.nimbus.Nimbus"), *supervisors]


def _start_keeper(cluster: Cluster, shim: Path) -> Cluster:
    environ = dict(os.environ)
    environ["LD_PRELOAD"] = " ".join(filter(None, [str(shim), environ.get("LD_PRELOAD")]))
    # The workers' shells look for streamparse_run where this Python is.
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ.get('PATH', os.defpath)}"
    with (cluster.logs / "keeper.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "wattstorm.cluster.keeper", str(cluster.directory)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environ,
            start_new_session=True,
        )
    keeper = {"pid": process.pid, "started": started(process.pid)}
    cluster = Cluster(**{**vars(cluster), "keeper": keeper})
    card = {**asdict(cluster), "directory": str(cluster.directory)}
    (cluster.directory / "cluster.json").write_text(json.dumps(card, indent=1))
    return cluster


def _wait_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + UP_S
    why = ""
    while time.monotonic() < deadline:
        if not cluster.runs():
            raise ClusterError(f"the keeper ended: {tail(cluster.logs / 'keeper.log')}")
        try:
            with Nimbus(HOST, cluster.nimbus_port, timeout_s=5) as nimbus:
                known = len(nimbus.summary().supervisors)
            if known == len(cluster.supervisors):
                return
            why = f"Nimbus knows {known} of {len(cluster.supervisors)} supervisors"
        except ClusterError as error:
            why = error.what
        time.sleep(0.25)
    raise ClusterError(f"the cluster is not ready after {UP_S:.0f} s: {why}", f"see {cluster.logs}")


def tail(path: Path, size: int = 600) -> str:
    """The end of a log, on one line."""
    with suppress(OSError):
        return " ".join(path.read_text("utf-8", "replace")[-size:].split())
    return ""


def is_free(port: int) -> bool:
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asking.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
