"""Engines that a test starts, ended with it; a connection to the store of its town."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.stream.town import Town
from wattstorm.store.connection import Connection


@pytest.fixture
def running() -> Iterator[Callable[..., Any]]:
    """Starts engines; whatever is left of them is ended with the test."""
    started: list[Any] = []

    def start(town: Town, **how: Any) -> Any:
        started.append(town.engine(**how))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(20)
            except Exception:
                process.kill()


@pytest.fixture
def connection(town: Town) -> Iterator[Connection]:
    with town.connect() as connection:
        yield connection
