"""Refused readings in whole blocks: they never take the place of those that can be summed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import append, started
from tests.stream.town import DAY0, a_town
from wattstorm.metering import block as blocks
from wattstorm.store.deadletters import DeadLetters

METERS, READINGS = 10, 25_000


@pytest.mark.parametrize("keep_mb", [1, 256])
def test_refused_blocks_do_not_fill_the_store(tmp_path: Path, keep_mb: int) -> None:
    """Two and a half times its memory of them, which a commit passes. However much may be
    kept, a good block is still taken, and what was dropped is counted to the reading."""
    unknown = blocks.readings(
        0, np.arange(READINGS) + 1000, np.full(READINGS, DAY0), np.arange(READINGS) % 3000
    )
    refused = blocks.encode(unknown)
    with TestServer(tmp_path / "r", maxmemory="12mb") as server:
        town = a_town(
            tmp_path,
            server.url,
            METERS,
            METERS,
            snapshot__every_s=3600.0,
            dead_letters__keep_mb=keep_mb,
        )
        bolt = started(AggregateBolt, town)
        count = 30_000_000 // len(refused)
        with town.connect() as connection:
            log, letters = town.log(connection), DeadLetters(connection, "wattstorm")
            for number in range(1, count + 1):
                append(town, 0, [refused], first=number)
                assert bolt.give(0, number, number, 1) == "ack"
                log.trim(0, number, bolt.component.consumer.owned[0].token)
            account = letters.account([0])
            assert 0 < account.held_bytes <= min(keep_mb, 1.5) * (1 << 20) / 2
            assert account.held + account.dropped == count
            assert account.dropped_readings == READINGS * account.dropped
            used = connection.redis.info("memory")["used_memory"]
        assert used < 8_000_000
        good = blocks.readings(0, np.arange(METERS), np.full(METERS, DAY0), [100] * METERS)
        append(town, 0, [blocks.encode(good)], first=count + 1)
        assert bolt.give(0, count + 1, count + 1, 1) == "ack"
