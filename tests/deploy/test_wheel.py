"""The wheel: all that the rooms hold is in it, and it runs where no checkout is."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.deploy.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
ROOMS = ("wattstorm", "generator", "models", "spouts", "bolts", "topologies")
MADE = {"__pycache__"}


def run(*command: object, cwd: Path, **environ: str) -> str:
    """What it said; nothing of the checkout or of the developer's settings reaches it."""
    hidden = ("PYTHON", "WATTSTORM_", "REDIS_", "VIRTUAL_ENV")
    mine = {name: v for name, v in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**mine, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}"
    return done.stdout


@functools.cache
def python(version: str) -> str:
    """A Python of this version that starts; "" where there is none."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), reverse=True)
    for name in (shutil.which(f"python{version}"), *map(str, pyenv)):
        if name and subprocess.run([name, "-c", ""], capture_output=True).returncode == 0:
            return name
    return ""


MINE = f"{sys.version_info[0]}.{sys.version_info[1]}"
PYTHONS = {MINE: sys.executable, **{v: python(v) for v in ("3.11", "3.12") if v != MINE}}
"""The one of this environment, and the others that wattstorm is said to run on."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: building leaves things behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ROOMS:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*MADE))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation")
    run(*pip, "--wheel-dir", out, source, cwd=out)
    (found,) = out.glob("wattstorm-*.whl")
    return found


def test_every_file_of_the_rooms_is_in_the_wheel(wheel: Path) -> None:
    """Scripts of the store, the sample, the fitted model, what `storm up` compiles and fetches."""
    held = set(zipfile.ZipFile(wheel).namelist())
    there = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and not MADE & set(path.parts)
    }
    assert there - held == set()
    assert {name.split("/")[0] for name in held} - set(ROOMS) == {
        next(name for name in held if name.endswith("/METADATA")).split("/")[0]
    }


@pytest.mark.parametrize("version", [version for version in PYTHONS if PYTHONS[version]])
def test_a_wheel_alone_streams_a_town(version: str, wheel: Path, tmp_path: Path) -> None:
    """A fresh environment with what the wheel asks for: the demos are exact, `storm up`'s parts
    are there, and what `wattstorm deploy` would ship is the wheel's own."""
    run(PYTHONS[version], "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    bin_, pins = tmp_path / "venv" / "bin", ROOT / "requirements" / "run.txt"
    pip = (bin_ / "python", "-m", "pip", "install", "--quiet", "--constraint", pins)
    run(*pip, wheel, cwd=tmp_path)
    numba = str(tmp_path / "numba")
    said = run(
        bin_ / "python",
        "-c",
        "import sys; from pathlib import Path\n"
        "from wattstorm.cluster import home\n"
        "from wattstorm.shipped import check_neighbours, shipped_files\n"
        "check_neighbours()\n"
        "print(home.loopback_shim(Path(sys.argv[1])), (home.PARTS / 'home/pom.xml').is_file())\n"
        "print({path.parents[len(Path(name).parts) - 1] for name, path in shipped_files()})",
        tmp_path / "cache",
        cwd=tmp_path,
    )
    assert said.startswith(f"{tmp_path}/cache/loopback.so True\n")
    assert str(ROOT) not in said
    for demo in (("--real",), ("--once", "--homes", 1000)):
        told = run(
            bin_ / "wattstorm", "demo", "--workers", 1, *demo, cwd=tmp_path, NUMBA_CACHE_DIR=numba
        )
        assert "received" in told
