"""The register grows and rules change while readings flow and workers die: exact at the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.register.registers import register_rows
from tests.servers import TestServer
from tests.stream import oracle
from tests.stream.test_chaos import Feeding, kill_one
from tests.stream.town import Town, a_stream, assert_exact, drained, wait_until
from wattstorm.engine.watch import Watch
from wattstorm.files.meters import build_register
from wattstorm.ingest.replay import replay
from wattstorm.register.register import Register
from wattstorm.store.commit import fence_positions
from wattstorm.store.connection import Connection

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

METERS, FIRST, SIZE, SLOTS = 10_800, 8_800, 1_100, 4 * 48
OPTIONS: dict[str, Any] = {
    "snapshot.every_s": 1.0,
    "stream.open_days": 6,  # nothing closes: what is refused first may still be sent again
    "stream.deadline_hours": 744.0,
    "stream.power_margin": 1.0,  # of 6 kVA in half an hour: what is above 3,000 Wh is refused
    "stream.scopes": ["nation", "tariff"],
    "dead_letters.keep": 1_000_000,
}


class Growing(Town):
    """A town whose producers know the partitions that are to come."""

    @property
    def partitions(self) -> range:
        return range(-(-METERS // SIZE))


def versions(directory: Path) -> list[Path]:
    """Files of a register that grows: the first meters; the others, and the first change of
    tariffs in the days of the stream; the changes that are left."""
    rows = oracle.register_changes(register_rows(METERS))
    meter = pl.col("external_id") - register_rows(1)["external_id"][0]
    base = pl.col("valid_from") == "2010-01-01"
    early = pl.col("valid_from") == str(oracle.FIRST_TARIFF)
    parts = [
        rows.filter(base & (meter < FIRST)),
        rows.filter((base & (meter >= FIRST)) | early),
        rows.filter(~base & ~early),
    ]
    files = [directory / f"{i}.csv" for i in range(len(parts))]
    for part, file in zip(parts, files, strict=True):
        part.write_csv(file)
    return files


def extended(town: Town, file: Path) -> Register:
    """`wattstorm register build`, which a stream hears while it runs."""
    register = build_register([file], town.directory / "register")
    with town.connect() as connection:
        Watch(connection, town.settings, register).extend()
    return register


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
    files, rng = versions(tmp_path), random.Random(7)
    first = build_register([files[0]], tmp_path / "register", partition_size=SIZE)
    stream = a_stream(5, METERS, SLOTS)
    with TestServer(tmp_path / "redis") as server:
        town = Growing(tmp_path, server.url, first, dict(OPTIONS))
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
        assert extended(town, files[1]).partitions > first.partitions
        kills(3)
        town.register = extended(town, files[2])
        kills(3)
        engine.terminate()
        assert engine.wait(60) == 0
        town.options |= {
            "stream.power_margin": 1.2,
            "stream.scopes": ["nation", "tariff", "region"],
        }
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
