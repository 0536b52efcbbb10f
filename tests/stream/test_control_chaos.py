"""The register grows and rules change while readings flow and workers die: exact at the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.servers import TestServer
from tests.stream.growing import METERS, RULES, SLOTS, extended, growing
from tests.stream.test_chaos import Feeding, kill_one
from tests.stream.town import Town, a_stream, assert_exact, drained, wait_until
from wattstorm.ingest.replay import replay
from wattstorm.store.commit import fence_positions
from wattstorm.store.connection import Connection

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def summed(town: Town, connection: Connection) -> int:
    """Blocks that are in the sums, of all partitions together."""
    positions = fence_positions(connection, town.settings.store.prefix, town.partitions)
    return sum(positions.values())


def wait_drained(town: Town) -> None:
    with town.connect() as connection:
        wait_until(lambda: drained(town, connection), 240, "the log to be drained")


def test_register_and_rules_change_while_workers_are_killed(
    tmp_path: Path, running: Callable[..., Any]
) -> None:
    """2.1 million readings. The register gets 2,000 meters and two partitions, then tariffs and
    regions change in the open days, then margin and scopes: curves = counters = the plain
    recomputation under what holds at the end, once what was refused is sent again."""
    rng, stream = random.Random(7), a_stream(5, METERS, SLOTS)
    with TestServer(tmp_path / "redis") as server:
        town, files = growing(tmp_path, server.url)
        engine = running(town)
        feeding = Feeding(town, stream, 12_000, 30)
        feeding.start()

        def kills(n: int) -> None:
            """Some readings are summed, then as many workers die as are asked for."""
            with town.connect() as connection:
                before = summed(town, connection)
                wait_until(lambda: summed(town, connection) >= before + 100, 60, "progress")
            for _ in range(n):
                time.sleep(rng.uniform(0.2, 1.5))
                kill_one(town, engine, rng)

        kills(3)
        assert extended(town, files[0]).partitions > town.register.partitions
        kills(3)
        town.register = extended(town, files[1])
        kills(3)
        engine.terminate()
        assert engine.wait(60) == 0
        town.options |= RULES
        engine = running(town)
        for _ in range(3):
            kill_one(town, engine, rng)
            time.sleep(rng.uniform(0.2, 1.5))
        feeding.finish()
        wait_drained(town)
        with town.connect() as connection:
            done = replay(connection, town.settings, town.register, None)
            assert done.readings > 1_000, "nothing was refused: the test shows less than it says"
            kill_one(town, engine, rng)
            wait_drained(town)
            assert replay(connection, town.settings, town.register, None).readings == 0
        assert_exact(town, stream, again=True)
