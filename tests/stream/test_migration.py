"""Snapshots of before: of an earlier schema, and of other open days. Nothing is closed by them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bolts.aggregate import AggregateBolt
from tests.servers import TestServer
from tests.stream.parts import append, nation, save, started
from tests.stream.town import DAY0, Town, a_town, audit
from wattstorm.errors import SnapshotError
from wattstorm.metering import block as blocks
from wattstorm.metering.checks import Outcome
from wattstorm.metering.partition import Partition, Rules
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.disk import Disk
from wattstorm.store.snapshots import Mark, SnapshotDir

OLD = Path(__file__).parent / "schema_3"
"""A partition of ten meters, as the version 9cf9e90 saved it (files of schema 3, header of schema
2, a register of schema 1); what.json: what it held. Made by hand with that version's `Partition`
and `SnapshotDir`: every sixth slot of three days, two values beside the cells, a claim."""
METERS = 10


def opened_with(open_days: int, tmp_path: Path) -> Partition:
    """The old snapshot, restored under rules with so many open days."""
    where = SnapshotDir(tmp_path, 1, "there")
    where.directory.mkdir(parents=True)
    for file in (OLD / "state").iterdir():
        (where.directory / file.name).write_bytes(file.read_bytes())
    arrays, header = where.load(Mark(27, "nonce"))
    return Partition.restore(1, Register.open(OLD / "register"), rules(open_days), arrays, header)


def rules(open_days: int) -> Rules:
    return Rules.from_settings(Settings.load(environ={}, options={"stream.open_days": open_days}))


def what_was_held() -> dict[tuple[int, int, int], tuple[int, int]]:
    """(channel, slot, meter) → (Wh, rank)."""
    said = json.loads((OLD / "what.json").read_text())
    return {tuple(map(int, key.split(":"))): tuple(value) for key, value in said["held"].items()}


def outcome(state: Partition, slot: int, wh: int, version: int) -> Outcome:
    """What becomes of one reading of meter 12 in a slot of the first of the three days."""
    made = blocks.readings(1, np.array([12]), DAY0 + slot, [wh], version=version)
    tally = state.apply(made, state.position + 1, 2**50).tally
    state.undo()
    return Outcome(int(np.flatnonzero(tally)[0]))


def test_a_snapshot_of_schema_3_restores_with_all_it_held(tmp_path: Path) -> None:
    """Values, versions, the watermark and what was held back."""
    state = opened_with(3, tmp_path)
    assert (state.position, state.highest) == (27, DAY0 + 138)
    held = what_was_held()
    assert len(held) > 200
    assert {key: state.held(*key) for key in held} == held
    header = state.snapshot()[1]
    assert header["claims"] == {"0": [DAY0 + 40 * 48, 1, [15]]}
    again = Partition.restore(1, state.register, state.rules, *state.snapshot())
    assert again.snapshot()[1] == header
    assert {key: again.held(*key) for key in held} == held


@pytest.mark.parametrize("open_days", [3, 4, 7])
def test_more_open_days_close_nothing(tmp_path: Path, open_days: int) -> None:
    """Doubles are doubles, corrections are taken; what had closed before stays closed."""
    state = opened_with(open_days, tmp_path)
    wh, rank = what_was_held()[0, DAY0 + 42, 12]
    assert outcome(state, 42, wh, rank // 4) == Outcome.DOUBLE
    assert outcome(state, 42, wh + 1, 3) == Outcome.CORRECTED
    assert outcome(state, 43, 5, 0) == Outcome.NEW
    assert outcome(state, -60, 5, 0) == Outcome.TOO_OLD
    assert state.rules.open_days == open_days


def test_fewer_open_days_close_the_oldest_alone(tmp_path: Path) -> None:
    """As if they had always been so few: the watermark stands in the third day."""
    state = opened_with(2, tmp_path)
    wh, rank = what_was_held()[0, DAY0 + 96 + 6, 12]
    assert outcome(state, 96 + 6, wh, rank // 4) == Outcome.DOUBLE
    assert outcome(state, 6, 5, 3) == Outcome.TOO_OLD


def test_another_partitions_snapshot_is_refused_still(tmp_path: Path) -> None:
    """Migration is of versions, not of what a snapshot is about."""
    arrays, header = opened_with(3, tmp_path).snapshot()
    register = Register.open(OLD / "register")
    with pytest.raises(SnapshotError, match="partition and shape"):
        Partition.restore(0, register, rules(3), arrays, header)
    with pytest.raises(SnapshotError, match="schema"):
        Partition.restore(1, register, rules(3), arrays, header | {"schema": 1})


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with TestServer(tmp_path / "r") as server:
        yield a_town(tmp_path, server.url, METERS, METERS, snapshot__every_s=3600.0)


def block(slot: int, wh: int = 100, version: int = 0) -> bytes:
    made: Any = blocks.readings(0, np.arange(METERS), DAY0 + slot, [wh] * METERS, version=version)
    return blocks.encode(made)


@pytest.mark.parametrize("open_days", [2, 5])
def test_a_stream_goes_on_with_other_open_days_though_its_log_is_trimmed(
    town: Town, monkeypatch: pytest.MonkeyPatch, open_days: int
) -> None:
    """A correction of an open slot is one: no slot was closed by the change."""
    monkeypatch.setattr(Disk, "holds", lambda *_: True)
    append(town, 0, [block(0), block(1), block(2)])
    before = started(AggregateBolt, town)
    for position in (1, 2, 3):
        assert before.give(0, position, position, 1) == "ack"
        save(before)
        before.tick()
    town.options["stream.open_days"] = open_days
    append(town, 0, [block(1, 150, version=1)], first=4)
    assert started(AggregateBolt, town).give(0, 4, 4, 1) == "ack"
    assert nation(town)[1] == (1500, METERS)
    with town.connect() as connection:
        assert town.log(connection).status(0).first > 1
        counts = audit(town, connection)
    assert "state_lost" not in counts
    assert counts["corrected"] == METERS
