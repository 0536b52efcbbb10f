"""Servers for the tests of the store: real ones, private to a test module."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.servers import TestServer, binaries
from tests.store.helpers import server_pid, wait_for
from wattstorm.store.connection import Connection


@pytest.fixture(autouse=True)
def _no_store_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the developer has set must not lead a test to a store that holds something."""
    for name in ("REDIS_URL", "WATTSTORM_STORE_URL", "WATTSTORM_STORE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def short_dir() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name (pytest's own may not)."""
    path = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(params=sorted(binaries()))
def binary(request: pytest.FixtureRequest) -> Path:
    """Each server program of this machine in turn."""
    return binaries()[request.param]


@pytest.fixture
def start_server(binary: Path) -> Iterator[Callable[..., TestServer]]:
    """Start private servers of the current program; all end with the test."""
    base = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    started: list[TestServer] = []

    def start(**options: object) -> TestServer:
        server = TestServer(base / str(len(started)), binary=binary, **options)  # type: ignore[arg-type]
        started.append(server)
        return server

    yield start
    for server in started:
        server.kill()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture
def server(start_server: Callable[..., TestServer]) -> TestServer:
    """A private server of the current program, fresh for this test."""
    return start_server()


@pytest.fixture(scope="module")
def _module_server(short_dir: Path) -> Iterator[TestServer]:
    with TestServer(short_dir / "server") as server:
        yield server


@pytest.fixture
def store_url(_module_server: TestServer) -> str:
    """The URL of one server a module, emptied before each test."""
    if not _module_server.answers():
        _module_server.start()
    with redis.Redis(unix_socket_path=str(_module_server.socket)) as client:
        client.flushall()
        client.script_flush()
    return _module_server.url


@pytest.fixture
def connect() -> Iterator[Callable[..., Connection]]:
    """Connections that are closed with the test."""
    made: list[Connection] = []

    def make(url: str, **options: object) -> Connection:
        made.append(Connection(url, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def data() -> Iterator[Path]:
    """A data directory with a short path; a server left in it is ended."""
    base = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    yield base / "data"
    if pid := server_pid(base / "data"):
        os.kill(pid, signal.SIGCONT)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not server_pid(base / "data"))
    shutil.rmtree(base, ignore_errors=True)
