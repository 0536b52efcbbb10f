"""streamparse's own command works in a checkout, with lein and without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.conftest import ROOT
from tests.cluster.site import Feeding, Site
from tests.stream.town import a_stream, wait_until
from wattstorm.cluster.package import write_jar

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180, method="signal")]
NAME = "from_checkout"


@pytest.mark.parametrize("builder", ["prebuilt", "lein"])
def test_sparse_submits_lists_and_kills_from_a_checkout(
    site: Callable[..., Site], tmp_path: Path, builder: str
) -> None:
    """submit, list, kill; its tasks give exact sums, and git sees nothing in the checkout."""
    if builder == "lein" and shutil.which("lein") is None:
        pytest.skip("lein is not installed (Debian: apt-get install leiningen)")
    before = git_status()
    here = site(1_000, 300)
    jar = []
    if builder == "prebuilt":
        write_jar(tmp_path / "topology.jar")
        jar = ["--local_jar_path", str(tmp_path / "topology.jar")]
    here.names.append(NAME)
    said = sparse(
        here,
        "submit",
        "--name",
        "load_curves",
        "--override_name",
        NAME,
        "--inactive",
        "--workers",
        "1",
        *jar,
    )
    assert f"Submitting {NAME} topology to nimbus...done" in said
    assert {f"name{NAME}", "statusINACTIVE"} <= columns(sparse(here, "list"))
    with here.nimbus() as nimbus:  # streamparse has no command for it
        nimbus.activate(NAME)
    stream = a_stream(9, 1_000, 48)
    feeding = Feeding(here.town, stream, 2_000)
    feeding.start()
    feeding.finish()
    here.wait_drained(60)
    here.assert_exact(stream)
    sparse(here, "kill", "--name", NAME, "--wait", "0")
    wait_until(lambda: "No topologies found" in sparse(here, "list"), 40, "the topology's end")
    assert git_status() == before


def sparse(here: Site, command: str, *arguments: str) -> str:
    """What `sparse COMMAND --environment local …` prints; run in the checkout's root."""
    environ = {
        **os.environ,
        "LEIN_ROOT": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "STREAMPARSE_NIMBUS": here.cluster.nimbus,
        "REDIS_URL": here.server.url,
        "WATTSTORM_DATA_DIRECTORY": str(here.town.directory),
    }
    program = Path(sys.executable).with_name("sparse")
    done = subprocess.run(
        [str(program), command, "--environment", "local", *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def columns(table: str) -> set[str]:
    """The columns of streamparse's table, which breaks words anywhere, each as one word."""
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return {"".join(cells).replace(" ", "") for cells in zip(*rows, strict=True)}


def git_status() -> str:
    """What git would show of the checkout; "" where this is none."""
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
