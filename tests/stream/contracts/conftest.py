"""A store, and a town of one partition on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import TestServer
from tests.stream.town import Town, a_town
from wattstorm.store.connection import Connection


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, 10, 10, snapshot__every_s=3600.0)


@pytest.fixture
def connection(town: Town) -> Iterator[Connection]:
    with town.connect() as connection:
        yield connection
