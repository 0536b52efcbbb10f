"""The logs that there are, under the contract of all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stream.contracts.holes import LogWithHoles
from tests.stream.contracts.logs import LogContract
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log
from wattstorm.store.writes import Event, Writes


class TestLogOfTheStore(LogContract):
    @pytest.fixture
    def log(self, connection: Connection) -> Log:
        return Log(connection, "w", name="other")

    @pytest.fixture
    def append(self, log: Log, connection: Connection) -> Callable[..., int]:
        """As a consumer of a third log writes it: with its commits."""
        feeder = PartitionStore(connection, "w", 0, log="feed", consumer="feeder")
        token = feeder.acquire(1).token

        def append(data: bytes, kind: str = "") -> int:
            at, writes = feeder.fence().position, Writes(events=[Event("other", kind, data)])
            feeder.commit(token, at, at + 1, writes, committed_bytes=0)
            return log.tails([0])[0]

        return append


class TestLogWithHoles(LogContract):
    @pytest.fixture
    def log(self, connection: Connection) -> LogWithHoles:
        return LogWithHoles(connection, "w")

    @pytest.fixture
    def append(self, log: LogWithHoles) -> Callable[..., int]:
        return log.append
