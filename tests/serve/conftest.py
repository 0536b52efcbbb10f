"""A store with two days of curves in it, and `wattstorm serve` in front of it: a real server, on
loopback, in a thread of the tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import pytest

from tests.readers.publishing import PARIS, Published
from tests.servers import TestServer
from wattstorm.readers.results import Results
from wattstorm.serve.app import make_app
from wattstorm.serve.server import Server
from wattstorm.settings import Settings

SATURDAY, SUNDAY = date(2025, 10, 25), date(2025, 10, 26)


@pytest.fixture(scope="package")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("ws")) as server:
        yield server


@pytest.fixture(scope="module")
def publish(redis: TestServer) -> Iterator[Published]:
    """Saturday whole, Sunday until noon."""
    published = Published(redis.url)
    published({slot: 1000 + slot % 48 for slot in PARIS.day_slots(SATURDAY)})
    published({slot: 1000 + slot % 48 for slot in PARIS.day_slots(SUNDAY)[:26]}, final=False)
    yield published
    published.close()


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    """A client of a server that runs meanwhile."""
    with Results.open(settings) as results:
        addresses: list[str] = []
        up = threading.Event()

        def told(address: str) -> None:
            addresses.append(address)
            up.set()

        server = Server(make_app(settings, results), settings, told)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert up.wait(20)
            with httpx.Client(base_url=addresses[0], timeout=20) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(20)


def settings_for(redis: TestServer, directory: Path, **serve: object) -> Settings:
    options = {f"serve.{name}": value for name, value in {"port": 0, **serve}.items()}
    where = {"store.url": redis.url, "data.directory": directory}
    return Settings.load(environ={}, options={**where, **options})


@pytest.fixture(scope="module")
def api(
    redis: TestServer, publish: Published, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Who asks is on loopback and needs no token."""
    directory = tmp_path_factory.mktemp("data")
    with serving(settings_for(redis, directory, burst=100_000)) as client:
        yield client
