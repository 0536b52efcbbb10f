"""The wheels of requirements/worker.txt, fetched once for all tests of this package."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "deploy" / "python"
Script = Callable[..., str]


@pytest.fixture(scope="package")
def script() -> Script:
    """Runs a script of deploy/python with this Python; what it said, stderr included."""

    def run(name: str, *words: object, code: int = 0) -> str:
        done = subprocess.run(
            [SCRIPTS / name, *map(str, words)],
            env={**os.environ, "PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    return run


@pytest.fixture(scope="package")
def wheels(script: Script, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheels")
    script("wheels.sh", directory)
    return directory
