"""A consumer of the store's log, and of one whose positions have holes, under the same contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.stream.contracts.consumers import ConsumerContract
from tests.stream.contracts.holes import LogWithHoles
from tests.stream.town import Town
from wattstorm.store.connection import Connection
from wattstorm.store.log import Log


class TestOfTheStoresLog(ConsumerContract):
    @pytest.fixture
    def log(self, town: Town, connection: Connection) -> Log:
        return Log(connection, town.settings.store.prefix, name="other")

    @pytest.fixture
    def append(self, log: Log) -> Callable[[bytes], int]:
        return lambda data: log.append(0, "a", log.tails([0])[0] + 1, data, 1).position


class TestOfALogWithHoles(ConsumerContract):
    @pytest.fixture
    def log(self, town: Town, connection: Connection) -> LogWithHoles:
        return LogWithHoles(connection, town.settings.store.prefix)

    @pytest.fixture
    def append(self, log: LogWithHoles) -> Callable[[bytes], int]:
        return log.append
