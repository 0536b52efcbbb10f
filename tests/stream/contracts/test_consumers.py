"""A consumer of the store's log, and of one whose positions have holes, under the same contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stream import parts
from tests.stream.contracts.consumers import ConsumerContract
from tests.stream.contracts.holes import LogWithHoles
from tests.stream.town import Town
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log


class TestOfTheStoresLog(ConsumerContract):
    @pytest.fixture
    def log(self, town: Town, connection: Connection) -> Log:
        return town.log(connection)

    @pytest.fixture
    def append(self, town: Town, log: Log) -> Callable[[bytes], int]:
        def append(data: bytes) -> int:
            at = log.tails([0])[0] + 1
            parts.append(town, 0, [data], first=at)
            return at

        return append


class TestOfALogWithHoles(ConsumerContract):
    @pytest.fixture
    def log(self, town: Town, connection: Connection) -> LogWithHoles:
        return LogWithHoles(connection, town.settings.store.prefix)

    @pytest.fixture
    def append(self, log: LogWithHoles) -> Callable[[bytes], int]:
        return log.append
