"""A partition's state is a function of what was sent, not of how it arrived."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.register.registers import RULES, small_register
from wattstorm.errors import RegisterError
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering.aggregates import Scopes, SlotSums
from wattstorm.metering.checks import (
    ACCEPTED,
    DOUBLES,
    OUTCOMES,
    REJECTED,
    WH_ACCEPTED,
    WH_REPLACED,
    Outcome,
    join_entries,
)
from wattstorm.metering.partition import Partition
from wattstorm.register.register import Register

METERS, SIZE = 40, 20
DAY0 = 19_700 * 48
NOW_MS = (DAY0 + 4 * 48) * 1_800_000


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return small_register(tmp_path_factory.mktemp("register"), METERS, SIZE)


def a_stream(seed: int, n: int) -> pl.DataFrame:
    """n readings over two days, then doubles 5 %, corrections 5 %, in any order;
    a tenth of the order is late: moved to the end."""
    rng = np.random.default_rng(seed)
    keys = rng.choice(SIZE * 96, n, replace=False)
    base = pl.DataFrame(
        {
            "meter": keys % SIZE,
            "slot": DAY0 + keys // SIZE,
            "wh": rng.integers(0, 3601, n),
            "version": np.zeros(n, np.int64),
        }
    )
    some = max(1, n // 20)
    corrections = base.sample(some, seed=seed).with_columns(
        wh=rng.integers(0, 3601, some), version=rng.integers(0, 3, some)
    )
    stream = pl.concat([base, base.sample(some, seed=seed + 1), corrections])
    stream = stream.sample(fraction=1, shuffle=True, seed=seed)
    late = rng.random(len(stream)) < 0.1
    return pl.concat([stream.filter(~late), stream.filter(late)])


def recomputed(stream: pl.DataFrame, register: Register) -> dict[int, tuple[list[int], list[int]]]:
    """The truth, plainly: of each key the highest (version, Wh), summed by slot and tariff."""
    best = stream.sort("version", "wh").group_by("meter", "slot", maintain_order=True).last()
    by = (
        best.with_columns(tariff=pl.col("meter") % 12)
        .group_by("slot", "tariff")
        .agg(pl.col("wh").sum(), pl.len().alias("n"))
    )
    truth = {}
    for slot in best["slot"].unique():
        rows = {r["tariff"]: r for r in by.filter(pl.col("slot") == slot).to_dicts()}
        truth[slot] = (
            [rows[t]["wh"] if t in rows else 0 for t in range(12)],
            [rows[t]["n"] if t in rows else 0 for t in range(12)],
        )
    return truth


def in_blocks(stream: pl.DataFrame, rng: np.random.Generator) -> Iterator[blocks.Block]:
    at = 0
    while at < len(stream):
        part = stream[at : at + int(rng.integers(1, 200))]
        at += len(part)
        yield blocks.readings(0, part["meter"], part["slot"], part["wh"], version=part["version"])


def by_tariff(scopes: Scopes, changes: dict[tuple[int, int], SlotSums]) -> dict[int, Any]:
    out = {}
    for (_, slot), sums in changes.items():
        wh, n = scopes.roll_up(sums)
        out[slot] = (wh[1:13].tolist(), n[1:13].tolist())
        assert wh[0] == wh[1:13].sum() == wh[13:].sum()
    return out


@settings(max_examples=300)
@given(st.integers(0, 2**31), st.integers(1, 1200), st.data())
def test_any_arrival_order_gives_the_recomputed_sums(
    register: Register, seed: int, n: int, data: st.DataObject
) -> None:
    """Shuffled, doubled, corrected, late; batches undone and sent again; snapshots
    taken and restored midway: bit for bit the plain recomputation, and
    received = accepted + rejected + doubles."""
    stream = a_stream(seed, n)
    rng = np.random.default_rng(seed)
    state = Partition(0, register, RULES)
    sums: dict[tuple[int, int], SlotSums] = {}
    tally, energy = np.zeros(OUTCOMES, np.int64), 0
    for position, block in enumerate(in_blocks(stream, rng), 1):
        fate = rng.random()
        if fate < 0.15:
            state.apply(block, position, NOW_MS)
            state.undo()
        applied = state.apply(block, position, NOW_MS)
        sums |= state.changes()
        state.keep()
        tally += applied.tally
        energy += sum(int(day[WH_ACCEPTED] - day[WH_REPLACED]) for day in applied.by_day.values())
        assert applied.tally.sum() == len(block.meter)
        assert sum(day[:-2].sum() for day in applied.by_day.values()) == len(block.meter)
        if fate > 0.9:
            state = Partition.restore(0, register, RULES, *state.snapshot())
    assert by_tariff(Scopes(register), sums) == recomputed(stream, register)
    assert tally[list(ACCEPTED)].sum() + tally[list(DOUBLES)].sum() == len(stream)
    assert tally[list(REJECTED)].sum() == 0
    assert energy == sum(int(s.wh.sum()) for s in sums.values())
    assert tally[Outcome.NEW] == sum(int(s.readings.sum()) for s in sums.values())


def one(state: Partition, slot: int, wh: int, meter: int = 1, **fields: Any) -> Outcome:
    """Apply one reading and say what became of it."""
    block = blocks.readings(state.number, [meter], slot, [wh], **fields)
    tally = state.apply(block, state.position + 1, NOW_MS).tally
    state.keep()
    return Outcome(int(np.flatnonzero(tally)[0]))


def test_each_check_has_its_own_reason(register: Register) -> None:
    """One reading for every outcome that a stream can meet."""
    state = Partition(1, register, RULES)
    now = NOW_MS // 1_800_000
    assert one(state, now - 1, 500, 25) is Outcome.NEW
    assert one(state, now - 1, 500, 25) is Outcome.DOUBLE
    assert one(state, now - 1, 700, 25) is Outcome.CONFLICT_WON
    assert one(state, now - 1, 600, 25) is Outcome.CONFLICT_LOST
    assert one(state, now - 1, 600, 25, version=1) is Outcome.CORRECTED
    assert one(state, now - 1, 700, 25) is Outcome.SUPERSEDED
    assert one(state, now - 1, 650, 25, version=1, quality=1) is Outcome.SUPERSEDED
    assert one(state, now - 1, 500, 5) is Outcome.UNKNOWN_METER
    assert one(state, now - 1, 500, 40) is Outcome.UNKNOWN_METER
    assert one(state, now + 1, 500, 25) is Outcome.FUTURE
    assert one(state, now - 1 - 4 * 48, 500, 25) is Outcome.TOO_OLD
    assert one(state, now - 1, -1, 25, channel=1) is Outcome.NEGATIVE
    assert one(state, now - 1, -1, 28, channel=1) is Outcome.NEW
    assert one(state, now - 1, 3601, 26) is Outcome.TOO_HIGH
    assert one(state, now - 1, 3600, 26) is Outcome.NEW
    assert one(state, now - 1, -3601, 35) is Outcome.TOO_HIGH
    assert one(state, now - 1, 5, 25, slot_minutes=10) is Outcome.WRONG_GRID


def test_a_block_of_another_partition_is_refused_whole(register: Register) -> None:
    """A misrouted block never touches the state, and is kept for the dead letters."""
    state = Partition(1, register, RULES)
    applied = state.apply(blocks.readings(0, [25], DAY0, [5]), 1, NOW_MS)
    assert applied.tally[Outcome.WRONG_PARTITION] == 1
    assert applied.rejected[0][0] is Outcome.WRONG_PARTITION
    assert state.changes() == {}


def test_a_stray_clock_does_not_close_the_open_days(register: Register) -> None:
    """History is replayed: one meter in a block of 200 that is ten days ahead is
    FUTURE, and the days of the others stay open."""
    state = Partition(0, register, RULES)
    slots = np.full(200, DAY0)
    slots[17] += 480
    late = NOW_MS + 480 * 1_800_000
    meters = np.arange(200) % SIZE
    applied = state.apply(blocks.readings(0, meters, slots, np.full(200, 7)), 1, late)
    assert applied.tally[Outcome.FUTURE] == 1
    assert state.watermark == {0: DAY0}


def test_rejected_readings_are_kept_as_they_were_sent(register: Register) -> None:
    """The dead letter of a refused reading decodes to that reading."""
    state = Partition(0, register, RULES)
    sent = blocks.readings(
        0,
        [1, 2, 3],
        [DAY0, DAY0 + 1, DAY0 + 2],
        [5, 99_999, -4],
        version=[0, 3, 0],
        quality=[0, 1, 0],
    )
    rejected = dict(state.apply(sent, 1, NOW_MS).rejected)
    high = blocks.decode(blocks.encode(rejected[Outcome.TOO_HIGH]))
    assert (high.meter[0], high.slot[0], high.wh[0]) == (2, DAY0 + 1, 99_999)
    assert (high.version[0], high.quality[0]) == (3, 1)
    assert rejected[Outcome.NEGATIVE].wh.tolist() == [-4]


def test_late_and_corrected_readings_raise_the_revision(register: Register) -> None:
    """A slot's revision counts corrections, and readings after its deadline."""
    state = Partition(0, register, RULES)
    one(state, DAY0, 5)
    assert one(state, DAY0, 6, version=1) is Outcome.CORRECTED
    one(state, DAY0 + 60, 5)
    block = blocks.readings(0, [2], DAY0, [7])
    state.apply(block, 9, NOW_MS)
    assert state.changes()[0, DAY0].revision == 2
    assert state.changes()[0, DAY0].wh.sum() == 13


def test_lost_state_closes_what_might_be_counted_twice(register: Register) -> None:
    """Without a snapshot or a log to rebuild from, slots up to the newest accepted
    one are set aside; later ones go on."""
    state = Partition(0, register, RULES)
    state.start_after(position=70, highest=DAY0 + 10)
    assert one(state, DAY0 + 10, 5) is Outcome.STATE_LOST
    assert one(state, DAY0 + 11, 5) is Outcome.NEW
    assert one(state, DAY0 + 10, 5, meter=2) is Outcome.STATE_LOST
    state.closed = {0: DAY0 + 14}
    assert one(state, DAY0 + 13, 5) is Outcome.STATE_LOST
    assert one(state, DAY0 + 14, 5) is Outcome.NEW


def test_a_reading_is_joined_with_the_tariff_valid_on_its_local_date(
    tmp_path: Any,
) -> None:
    """A meter that changes tariff on a date is summed under the old one before
    local midnight, and under the new one after."""
    change = date(2024, 3, 31)
    source = tmp_path / "meters.csv"
    head = "external_id,tariff,region,contracted_power_va,producer,valid_from\n"
    source.write_text(head + f"77,a,r,6000,false,2010-01-01\n77,b,r,6000,false,{change}\n")
    register = build_register([source], tmp_path / "register")
    first = RULES.calendar.day_slots(change).start
    state = Partition(0, register, RULES)
    wh = blocks.readings(0, [0, 0], [first - 1, first], [5, 7])
    state.apply(wh, 1, (first + 5) * 1_800_000)
    scopes = Scopes(register)
    sums = {slot: scopes.roll_up(s)[0].tolist() for (_, slot), s in state.changes().items()}
    assert scopes.labels() == ["nation", "tariff:a", "tariff:b", "region:r"]
    assert sums == {first - 1: [5, 5, 0, 5], first: [7, 0, 7, 7]}


def test_sums_of_partitions_merge_and_revert_whatever_their_width() -> None:
    """A partition that has met a new tariff has more classes than its neighbour."""
    a = SlotSums(np.array([1, 2]), np.array([1, 1]), 3)
    b = SlotSums(np.array([10, 20, 30, 40]), np.array([1, 0, 1, 0]), 1)
    assert (a + b).wh.tolist() == [11, 22, 30, 40]
    assert a + b == b + a
    assert (a + b - b).widened(4) == a.widened(4)
    assert SlotSums.from_bytes((a + b).to_bytes()) == a + b


def test_a_register_that_grew_finds_what_its_snapshots_hold(tmp_path: Any) -> None:
    """Meters were added to the partition: corrected values are still known by their meters."""
    small = small_register(tmp_path, 6, SIZE)
    state = Partition(0, small, RULES)
    one(state, DAY0, 70, 4)
    assert one(state, DAY0, 90, 4, version=2) is Outcome.CORRECTED
    saved = state.snapshot()
    grown = small_register(tmp_path, 15, SIZE)
    state = Partition.restore(0, grown, RULES, *saved)
    assert one(state, DAY0, 90, 4, version=2) is Outcome.DOUBLE
    assert one(state, DAY0, 80, 14) is Outcome.NEW


def test_more_classes_than_an_entry_holds_are_refused() -> None:
    """Never joined with another class in silence."""
    flags = np.zeros(1, np.bool_)
    with pytest.raises(RegisterError, match="16382"):
        join_entries(np.array([16_383]), flags, np.array([1]), ~flags)
    assert join_entries(np.array([16_382]), flags, np.array([8191]), ~flags)[0] & 16_383 == 16_382
