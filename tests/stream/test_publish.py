"""Partial sums of all partitions → one result a slot and scope."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from tests.servers import TestServer
from tests.stream.parts import append, started
from tests.stream.town import DAY0, Town, a_town
from wattstorm.metering import block as blocks
from wattstorm.store.results import ResultStore

METERS = 100


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(
            tmp_path, server.url, 2 * METERS, METERS, results__publish_ms=1,
            stream__deadline_hours=24.0,
        )  # fmt: skip


def feed(town: Town, partition: int, slot: int, number: int, meters: int = METERS) -> None:
    """100 Wh of the first `meters` of a partition, appended and committed."""
    first = partition * METERS
    made = blocks.readings(partition, np.arange(first, first + meters), DAY0 + slot, [100] * meters)
    append(town, partition, [blocks.encode(made)], first=number)
    assert started(AggregateBolt, town).give(partition, 1, number, 1) == "ack"


def row(town: Town, slot: int, label: str = "nation") -> dict[str, Any]:
    with town.connect() as connection:
        return (
            ResultStore(connection, "wattstorm").curve(0, label, [DAY0 // 48]).get(DAY0 + slot, {})
        )


def dirty(town: Town) -> set[tuple[int, int]]:
    with town.connect() as connection:
        return ResultStore(connection, "wattstorm").dirty(list(town.partitions))


def test_all_partitions_make_one_result(town: Town) -> None:
    """Sum, coverage and status of a slot follow as its partitions come in."""
    publish = started(PublishBolt, town)
    feed(town, 0, 5, 1)
    assert publish.give(0, 1) == "ack"
    first = row(town, 5)
    assert (first["wh"], first["readings"], first["expected"]) == (10_000, 100, 200)
    assert (first["coverage"], first["status"]) == (0.5, "provisional")
    feed(town, 1, 5, 1)
    publish.tick()
    second = row(town, 5)
    assert (second["wh"], second["coverage"], second["status"]) == (20_000, 1.0, "final")
    assert sum(row(town, 5, f"tariff:tariff_{t:02}")["wh"] for t in range(12)) == 20_000
    assert dirty(town) == set()


def test_a_slot_becomes_final_at_its_deadline_without_a_reading(town: Town) -> None:
    """In event time: when the newest slot is a day ahead of it, in every scope."""
    publish = started(PublishBolt, town)
    feed(town, 0, 0, 1, meters=60)
    publish.tick()
    assert row(town, 0)["status"] == "provisional"
    feed(town, 0, 47, 2)
    publish.tick()
    assert row(town, 0)["status"] == "provisional"
    feed(town, 0, 48, 3)
    publish.tick()
    assert row(town, 0)["status"] == "final"
    assert {row(town, 0, f"region:region_{r}")["status"] for r in range(3)} == {"final"}


def test_a_late_publisher_overwrites_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """It read the sums before another one did, and wakes up after that one wrote."""
    slow, quick = started(PublishBolt, town), started(PublishBolt, town)
    feed(town, 0, 5, 1)
    old = slow.component.results.read_partials([(0, DAY0 + 5)], list(town.partitions))
    feed(town, 1, 5, 1)
    quick.tick()
    monkeypatch.setattr(slow.component.results, "read_partials", lambda *_: old)
    slow.component.publish([(0, DAY0 + 5)])
    assert row(town, 5)["wh"] == 20_000


def test_what_changes_while_it_publishes_stays_dirty(town: Town) -> None:
    """A commit between the reading of the sums and the clearing is published next time."""
    publish = started(PublishBolt, town)
    feed(town, 0, 5, 1, meters=50)
    real = publish.component.results.write

    def write(*arguments: Any) -> Any:
        feed(town, 0, 5, 2)
        return real(*arguments)

    publish.component.results.write = write
    publish.component.flush([0])
    assert row(town, 5)["wh"] == 5_000
    assert dirty(town) == {(0, DAY0 + 5)}
    publish.component.results.write = real
    publish.tick()
    assert row(town, 5)["wh"] == 10_000
    assert dirty(town) == set()
