"""`wattstorm deploy` and its kin, on the real cluster: what works, and what stands in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.site import Feeding, Site
from tests.stream.town import a_stream, wait_until
from wattstorm.cluster import development, submission
from wattstorm.cluster.deployment import Deployment
from wattstorm.cluster.development import Cluster, free_ports
from wattstorm.cluster.environment import Environment
from wattstorm.cluster.home import StormHome, storm_home
from wattstorm.errors import ClusterError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240, method="signal")]
PYTHON = {"use_virtualenv": False}


@dataclass
class Shell:
    """A utility's terminal: a project with a config.json, and the `wattstorm` command."""

    project: Path
    environ: dict[str, str]

    def __call__(self, *words: str, code: int = 0) -> str:
        """Run `wattstorm` and return what it printed; stdout first."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("wattstorm")), *words],
            cwd=self.project,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=180,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said


def a_shell(site: Site, tmp_path: Path, **environments: Any) -> Shell:
    """`environments`: name → what differs from the cluster's own."""
    own = {"nimbus": site.cluster.nimbus, **PYTHON}
    envs = {name: {**own, **config} for name, config in {"here": {}, **environments}.items()}
    (tmp_path / "config.json").write_text(json.dumps({"envs": envs}))
    environ = {
        **os.environ,
        "REDIS_URL": site.server.url,
        "WATTSTORM_DATA_DIRECTORY": str(site.town.directory),
    }
    return Shell(tmp_path, environ)


def assert_nothing_left(site: Site, topology: str = "wattstorm") -> None:
    with site.nimbus() as nimbus:
        assert nimbus.topology(topology) is None
    wait_until(lambda: not site.cluster.worker_pids(), 20, "the end of the workers")
    assert not site.tasks()


def test_deployed_watched_and_drained_from_the_command_line(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    """deploy, status, undeploy --drain; then the sums are those of a plain recomputation."""
    here = site(2_000, 400)
    shell = a_shell(here, tmp_path)
    stream = a_stream(11, 2_000, 96)
    feeding = Feeding(here.town, stream, 10_000)
    feeding.start()
    here.names.append("wattstorm")  # ended with the test, whatever happens
    said = shell("deploy", "--env", "here", "--aggregates", "3")
    assert "6 tasks after" in said
    feeding.finish()
    assert "Storm topology" in shell("run", code=1)  # not beside the cluster's
    status = json.loads(shell("status", "--env", "here", "--json"))
    assert status["storm"]["status"] == "ACTIVE"
    counts = {row["component"]: row for row in status["storm"]["components"]}
    assert counts["aggregate"]["tasks"] == 3
    assert len([w for w in status["workers"] if w["alive"]]) == 6
    assert "storm      wattstorm-" in shell("status", "--env", "here")
    shell("deactivate", "--env", "here")
    assert " INACTIVE, up" in shell("status", "--env", "here")
    shell("activate", "--env", "here")
    assert " ACTIVE, up" in shell("status", "--env", "here")
    assert "0 blocks wait" in shell("undeploy", "--env", "here", "--drain")
    here.names.remove("wattstorm")
    assert_nothing_left(here)
    here.assert_exact(stream)


def test_a_dry_run_says_what_would_be_and_submits_nothing(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    """Checks pass, the topology's configuration is printed, Nimbus has heard of nothing."""
    here = site(100, 50)
    said = a_shell(here, tmp_path)("deploy", "--env", "here", "--dry-run")
    assert '"topology.max.spout.pending"' in said
    assert "nothing was submitted" in said
    assert_nothing_left(here)


def test_without_nimbus_the_error_names_the_address(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    """Nobody listens on the port that config.json names."""
    here = site(100, 50)
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    shell = a_shell(here, tmp_path, nowhere={"nimbus": nowhere})
    assert f"no Nimbus answers at {nowhere}" in shell("deploy", "--env", "nowhere", code=1)


def test_more_workers_than_slots_are_refused(site: Callable[..., Site], tmp_path: Path) -> None:
    """The error says how many slots are free."""
    here = site(100, 50)
    said = a_shell(here, tmp_path)("deploy", "--env", "here", "--workers", "99", code=1)
    assert "99 workers are wanted, 8 of 8 slots free" in said
    assert_nothing_left(here)


def test_without_python_on_the_workers_nothing_is_left_behind(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    """The environment's virtualenv is on no node: the error names it, the topology is ended."""
    here = site(100, 50)
    bad = {
        "use_virtualenv": True,
        "install_virtualenv": False,
        "virtualenv_root": "/nowhere",
        "virtualenv_name": "at-all",
    }
    said = a_shell(here, tmp_path, bad=bad)("deploy", "--env", "bad", code=1)
    assert "/nowhere/at-all/bin/streamparse_run" in said
    assert "Python does not start there" in said
    assert_nothing_left(here)


def test_an_unknown_environment_is_a_usage_error(site: Callable[..., Site], tmp_path: Path) -> None:
    """With a hint at the one that was meant."""
    shell = a_shell(site(100, 50), tmp_path)
    assert "did you mean here?" in shell("deploy", "--env", "hare", code=2)


def test_tasks_refuse_other_code_than_was_submitted(
    site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the worker's Python reaches who deploys, and nothing is left behind."""
    here = site(100, 50)
    monkeypatch.setattr(submission, "code_digest", lambda: "0123456789abcdef")
    environment = Environment("here", {"nimbus": here.cluster.nimbus, **PYTHON})
    town = here.town
    deployed = Deployment(
        environment, town.settings, town.url, here.connection, town.register, print
    )
    with pytest.raises(ClusterError, match="the topology was submitted with 0123456789abcdef"):
        deployed.start()
    assert_nothing_left(here)


class OldStorm(StormHome):
    """Storm's own classes, which take themselves for another version."""

    def classpath(self, conf: Path) -> str:
        return f"{conf.parents[2]}/version:{super().classpath(conf)}"


def test_another_version_of_storm_is_refused(
    site: Callable[..., Site], tmp_path: Path, cluster: Cluster
) -> None:
    """A real Nimbus that says it is Storm 1.2.4."""
    (tmp_path / "version").mkdir()
    for part in ("core", "client"):
        (tmp_path / "version" / f"storm-{part}-version-info.properties").write_text(
            "version=1.2.4\nrevision=x\nbranch=x\ndate=x\nsrcChecksum=x\n"
        )
    old = development.up(
        tmp_path / "old", OldStorm(**vars(storm_home())), nimbus_port=0, supervisors=1
    )
    try:
        shell = a_shell(site(100, 50), tmp_path, old={"nimbus": old.nimbus})
        assert "is Storm 1.2.4" in shell("deploy", "--env", "old", code=1)
    finally:
        development.down(old)


def test_the_development_cluster_comes_and_goes_from_the_command_line(tmp_path: Path) -> None:
    """storm up, status, logs, down; on a Storm that STORM_HOME names; the store stays meanwhile."""
    environ = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path),
        "STORM_HOME": str(storm_home().directory),
        "WATTSTORM_DATA_DIRECTORY": str(tmp_path / "data"),
    }
    environ.pop("REDIS_URL", None)
    shell = Shell(tmp_path, environ)
    assert "start it: wattstorm storm up" in shell("storm", "status", code=1)
    shell("storm", "up", "--nimbus-port", "0")
    try:
        status = json.loads(shell("storm", "status", "--json"))
        assert [d["daemon"] for d in status["daemons"] if d["alive"]] == [
            "keeper",
            "zookeeper",
            "nimbus",
            "supervisor-1",
        ]
        assert "Nimbus" in shell("storm", "logs", "nimbus")
        assert "a cluster runs in" in shell("storm", "up", code=1)
        assert (tmp_path / "data" / "store" / "store.sock").exists()
    finally:
        shell("storm", "down")
    assert not (tmp_path / "data" / "store" / "store.sock").exists()
