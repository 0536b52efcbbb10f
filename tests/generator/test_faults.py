"""Faults do not depend on who draws them, and the ledger foretells what the stream counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.feed import faults as faults_module
from generator.feed import ledger
from generator.feed.deliveries import PartitionDays
from generator.feed.faults import RATES, TYPICAL, Events, Faults, Kind, events
from generator.feed.publish import SHAPES, Job, Lane
from generator.town.layers import Layers
from generator.town.outputs import days_from
from generator.town.register import write_register
from generator.town.town import Town
from tests.generator.towns import MANY
from wattstorm.errors import UsageError
from wattstorm.files.meters import build_register
from wattstorm.metering.aggregates import SlotSums
from wattstorm.metering.block import encode
from wattstorm.metering.checks import OUTCOMES, Outcome
from wattstorm.metering.partition import Partition, Rules
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.register.register import Register

DAY = 20_170
ARRIVED_MS = 2_000_000_000_000


def draw(faults: Faults, meters: np.ndarray, day: int = DAY, seed: int = 3) -> Events:
    return events(faults, seed, meters, day, 48, 48, 48)


def test_shards_in_any_order_draw_the_same_faults() -> None:
    meters = np.arange(700, 3000)
    whole = draw(MANY, meters)
    for count in (2, 7):
        parts = {
            i: draw(MANY, p) for i, p in reversed(list(enumerate(np.array_split(meters, count))))
        }
        starts = np.cumsum([0, *(len(p) for p in np.array_split(meters, count))])
        for name in Events._fields:
            column = [
                getattr(parts[i], name) + (starts[i] if name == "at" else 0) for i in range(count)
            ]
            assert np.array_equal(np.concatenate(column), getattr(whole, name)), name


def test_the_compiler_draws_what_the_interpreter_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silences and wrong clocks in one meter: in another form of the loop LLVM's vectoriser left
    out places that were silent. And chunks are no more than shards."""
    often = replace(MANY, silent=0.5, clock=0.5, stuck=0.2)
    meters = np.arange(400)
    compiled = draw(often, meters)
    assert {Kind.SILENT, Kind.CLOCK, Kind.STUCK} <= set(compiled.kind)
    for name in ("draw", "meter_key"):  # their bits come out of the compiler as int
        real = getattr(faults_module, name)
        monkeypatch.setattr(faults_module, name, lambda *given, real=real: np.uint64(real(*given)))
    monkeypatch.setattr(faults_module, "_draw", faults_module._draw.py_func)
    monkeypatch.setattr(faults_module, "_CHUNK", 150)
    with np.errstate(over="ignore"):
        interpreted = draw(often, meters)
    for name, ours, theirs in zip(Events._fields, compiled, interpreted, strict=True):
        np.testing.assert_array_equal(ours, theirs, name)


def test_each_kind_comes_at_its_rate() -> None:
    meters = np.arange(120_000)
    rates = {
        "gap": 0.01,
        "late": 0.02,
        "too_late": 0.005,
        "doubled": 0.01,
        "corrected": 0.01,
        "conflict": 0.01,
        "spike": 0.004,
    }
    found = draw(Faults(**rates), meters)
    for name, rate in rates.items():
        share = (found.kind == Kind[name.upper()]).mean() * len(found.kind) / meters.size / 48
        assert share == pytest.approx(rate, rel=0.03), name
    for name, rate in {"gap_day": 0.02, "clock": 0.03, "stuck": 0.02}.items():
        one = draw(Faults(**{name: rate}), meters)
        assert np.unique(one.at).size / meters.size == pytest.approx(rate, rel=0.08), name
    month = [
        np.unique(draw(Faults(dead=0.1), meters, day).at).size for day in range(20_160, 20_188)
    ]
    assert month == sorted(month)
    assert month[-1] / meters.size == pytest.approx(0.1, rel=0.05)


def test_a_concentrator_is_silent_as_a_whole_and_delivers_at_once() -> None:
    found = draw(Faults(silent=0.3, concentrator=100), np.arange(20_000))
    for group in np.unique(found.at // 100):
        mine = found.at // 100 == group
        assert np.unique(found.at[mine]).size == 100
        due = found.place[mine] + found.delay[mine]
        assert np.unique(due).size <= 2  # yesterday's silence may reach into today's
        assert (found.delay[mine] > 0).all()


def test_rates_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="late"):
        Faults(late=1.5)
    with pytest.raises(UsageError, match="add up"):
        Faults(late=0.6, gap=0.6)
    with pytest.raises(UsageError, match="concentrator"):
        Faults(concentrator=0)
    assert {f.name for f in fields(Faults)} == {*RATES, "concentrator", "open_days"}
    assert TYPICAL.any


def a_day(town: Town, faults: Faults, meters: range) -> pl.DataFrame:
    source = PartitionDays(
        town, faults, meters, [date(2025, 1, 14)], power_va=np.full(len(meters), 36_000)
    )
    return source.plan(0).ledger


def test_the_ledger_says_what_was_sent_and_what_is_true() -> None:
    town, homes = Town(seed=3), range(3000)
    true = town.local_day(np.array(homes), date(2025, 1, 14))
    first = town.calendar.day_slots(date(2025, 1, 14)).start
    rows = a_day(town, MANY, homes)
    wanted = true[rows["meter"].to_numpy(), rows["slot"].to_numpy() - first]
    assert np.array_equal(rows["true_wh"].to_numpy(), wanted)
    sent = rows.drop_nulls("sent_wh")
    by = {kind: sent.filter(pl.col("kind") == kind) for kind in ledger.kinds(rows)}
    for honest in ("late", "silent", "doubled"):
        assert (by[honest]["sent_wh"] == by[honest]["true_wh"]).all()
    assert (by["dead_zero"]["sent_wh"] == 0).all()
    assert (
        by["corrected"]
        .filter(version=0)["sent_wh"]
        .ne(by["corrected"].filter(version=0)["true_wh"])
        .all()
    )
    assert (by["spike"]["sent_wh"] > 36_000 / 2 * 1.2).all()
    assert set(rows.filter(pl.col("sent_wh").is_null())["kind"]) >= {"dead", "gap", "gap_day"}


@settings(max_examples=30)
@given(data=st.data())
def test_what_the_stream_makes_of_a_town_is_what_the_ledger_foretells(data: st.DataObject) -> None:
    rate = st.sampled_from([0.0, 0.02, 0.2])
    of_readings = {
        n: data.draw(st.sampled_from([0.0, 0.02, 0.14]), n) for n in RATES[:8] if n != "gap_day"
    }
    faults = Faults(
        **of_readings,
        gap_day=data.draw(rate),
        stuck=data.draw(rate),
        clock=data.draw(rate),
        dead=data.draw(rate),
        silent=data.draw(st.sampled_from([0.0, 0.3, 1.0])),
        concentrator=data.draw(st.integers(1, 90)),
        open_days=data.draw(st.integers(1, 5)),
    )
    zone = data.draw(st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe"]))
    first = data.draw(st.sampled_from([date(2025, 3, 28), date(2025, 10, 24), date(2025, 4, 4)]))
    layers = data.draw(st.sampled_from([None, Layers(off_peak=0.4, solar=0.4)]))
    town = Town(seed=data.draw(st.integers(0, 9)), time_zone=zone, layers=layers)
    days = days_from(first, first.replace(day=first.day + data.draw(st.integers(0, 3))))
    job = Job(
        town,
        tuple(days),
        faults,
        data.draw(st.sampled_from(SHAPES)),
        block=data.draw(st.sampled_from([100, 1000, 50_000])),
    )
    check(job, meters=data.draw(st.integers(1, 120)), size=data.draw(st.sampled_from([7, 50])))


@settings(max_examples=12)
@given(data=st.data())
def test_partitions_silent_for_days_are_foretold_too(data: st.DataObject) -> None:
    """Where few meters report after a silence, the stream holds the first of them back; what
    comes a second time is then the first. Each shape, partitions of one meter and of some."""
    often = {"late": 0.1, "doubled": 0.3, "corrected": 0.2, "conflict": 0.2, "spike": 0.1}
    faults = Faults(
        **data.draw(st.sampled_from([often, {"gap": 0.7, "doubled": 0.3}, {}])),
        gap_day=data.draw(st.sampled_from([0.6, 0.9])),
        open_days=data.draw(st.integers(1, 4)),
    )
    town = Town(seed=data.draw(st.integers(0, 1000)))
    job = Job(
        town,
        tuple(days_from(date(2025, 3, 27), date(2025, 4, 3))),
        faults,
        data.draw(st.sampled_from(SHAPES)),
        block=data.draw(st.sampled_from([100, 50_000])),
    )
    assert check(job, meters=6, size=data.draw(st.integers(1, 5))) >= 0


def test_a_reading_held_back_after_a_silence_stands_in_the_ledger() -> None:
    """One meter of three, two silent days: its first reading is FUTURE, the next one is taken."""
    faults = Faults(gap_day=0.75, doubled=0.2)
    days = tuple(days_from(date(2025, 3, 27), date(2025, 4, 12)))
    assert check(Job(Town(seed=3), days, faults, "live"), meters=6, size=3) > 0


def check(job: Job, meters: int, size: int) -> int:
    """The stream's own partitions over the job's blocks, against truth and ledger: how many
    honest readings were held back."""
    with TemporaryDirectory() as name:
        write_register(job.town, meters, Path(name) / "m.csv")
        register = build_register(
            [Path(name) / "m.csv"], Path(name) / "register", partition_size=size
        )
        grid = SlotGrid(30)
        rules = Rules(grid, LocalCalendar(grid, job.town.time_zone), job.faults.open_days)
        sums: dict[int, SlotSums] = {}
        tally, parts = np.zeros(OUTCOMES, np.int64), []
        for p in range(register.partitions):
            state, lane, position = Partition(p, register, rules), Lane(job, register, p, 0), 0
            latest: dict[int, SlotSums] = {}
            for index in range(len(job.days)):
                plan = lane.day(index)
                assert plan is not None
                parts.append(plan.ledger)
                for block in lane.of_day(plan):
                    position += 1
                    tally += state.apply(block, position, ARRIVED_MS).tally
                    latest |= {slot: s for (_, slot), s in state.changes().items()}
                    state.keep()
            for slot, found in latest.items():
                sums[slot] = sums[slot] + found if slot in sums else found
        told = ledger.truth(job.town, register, job.days, pl.concat(parts))
    counted = Counter({o.name.lower(): int(tally[o]) for o in Outcome if tally[o]})
    assert dict(counted) == {name: n for name, n in told.counts.items() if n}
    assert int(tally.sum()) == told.received
    for at, (wh, n) in enumerate(zip(told.wh, told.readings, strict=True)):
        mine = sums.pop(told.first + at, SlotSums(wh * 0, n * 0, 0)).widened(len(wh))
        assert np.array_equal(mine.wh, wh)
        assert np.array_equal(mine.readings, n)
    assert not sums
    return ledger.kinds(pl.concat(parts)).get("held", 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_job_that_goes_on_sends_the_same_blocks(shape: str) -> None:
    """Whatever the log has already, the rest is what it would have been."""
    job = Job(
        Town(seed=2),
        tuple(days_from(date(2025, 3, 26), date(2025, 4, 3))),
        replace(MANY, concentrator=30),
        shape,
        block=700,
    )
    with TemporaryDirectory() as name:
        write_register(job.town, 60, Path(name) / "m.csv")
        register = build_register([Path(name) / "m.csv"], Path(name) / "register")
        whole = all_blocks(job, register, 0)
        for known in (1, len(whole) // 3, len(whole) - 1, len(whole)):
            assert all_blocks(job, register, known) == whole[known:], known


def all_blocks(job: Job, register: Register, known: int) -> list[bytes]:
    """Bytes of the blocks that a lane would send behind `known`."""
    lane, out = Lane(job, register, 0, known), []
    for index in range(len(job.days)):
        if (plan := lane.day(index)) is not None:
            for block in lane.of_day(plan):
                lane.number += 1
                if lane.number > known:
                    out.append(encode(block))
    return out
