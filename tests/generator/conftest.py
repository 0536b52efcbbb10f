"""The twenty homes of the sample, and a model fitted on them once."""

from __future__ import annotations

from pathlib import Path

import pytest

import wattstorm.sample
from generator import Homes, Model, fit, read_homes

SAMPLE = Path(wattstorm.sample.__file__).parent / "sgsc_20_homes.parquet"


@pytest.fixture(scope="session")
def homes() -> Homes:
    return read_homes([SAMPLE], "Australia/Sydney")


@pytest.fixture(scope="session")
def model(homes: Homes) -> Model:
    return fit(homes, source="sample", licence="see wattstorm/sample/README.md")
