"""Private data directories, one of them with the sample in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Wattstorm, with_sample


@pytest.fixture(scope="session")
def sample_directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def sampled(sample_directory: Path) -> Wattstorm:
    """The sample, published. Tests only read it."""
    return with_sample(sample_directory)


@pytest.fixture
def wattstorm() -> Iterator[Wattstorm]:
    """An empty data directory."""
    path = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    yield Wattstorm(path)
    shutil.rmtree(path, ignore_errors=True)
