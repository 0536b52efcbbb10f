"""Histories of days that open and close: bit for bit the plain recomputation."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.register.registers import GRID
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering import kernels, kernels_numpy
from wattstorm.metering.aggregates import Scopes, SlotSums
from wattstorm.metering.checks import OUTCOMES, WH_ACCEPTED, WH_REPLACED, Outcome
from wattstorm.metering.partition import Partition, Rules
from wattstorm.metering.slots import LocalCalendar, date_of_day_number
from wattstorm.register.register import Register

METERS, TARIFFS, DAYS, DAY = 20, 4, 8, 19_810  # across the clock change of 31 March 2024
NOW_MS = (DAY + 20) * 86_400_000
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo", "Australia/Sydney"]
Sums = dict[int, tuple[list[int], list[int]]]


def tariff_on(meter: int, day: int) -> int:
    """Every second meter changes its tariff on a day of its own, to the next one."""
    changed = meter % 2 == 0 and day >= DAY + meter % DAYS
    return (meter + changed) % TARIFFS


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    directory = tmp_path_factory.mktemp("register")
    rows = [
        f"{1000 + m},tariff_{tariff_on(m, day)},6000,{date_of_day_number(day)}"
        for m in range(METERS)
        for day in ([0, DAY + m % DAYS] if m % 2 == 0 else [0])
    ]
    head = "external_id,tariff,contracted_power_va,valid_from\n"
    (directory / "meters.csv").write_text(head + "\n".join(rows))
    names = [f"tariff_{t}" for t in range(TARIFFS)]
    return build_register(
        [directory / "meters.csv"], directory / "register", partition_size=METERS, tariffs=names
    )


def a_history(seed: int, n: int) -> pl.DataFrame:
    """n readings over eight days, a tenth of them corrected, some doubled; in order of time,
    give or take most of a day."""
    rng = np.random.default_rng(seed)
    keys = rng.choice(METERS * DAYS * 48, n, replace=False)
    base = pl.DataFrame(
        {
            "meter": keys % METERS,
            "slot": DAY * 48 + keys // METERS,
            "wh": rng.integers(0, 3001, n),
            "version": np.zeros(n, np.int64),
        }
    )
    again = base.sample(n // 10, seed=seed).with_columns(
        wh=pl.Series(rng.integers(0, 3001, n // 10)),
        version=pl.Series(rng.integers(0, 3, n // 10)),
    )
    stream = pl.concat([base, again, base.sample(n // 20, seed=seed + 1)])
    return stream[np.argsort(stream["slot"].to_numpy() + rng.uniform(0, 40, len(stream)))]


def recomputed(stream: pl.DataFrame, zone: str) -> Sums:
    """Of each key the highest (version, Wh), summed by slot and the tariff of its local date."""
    best = stream.sort("version", "wh").group_by("meter", "slot").last()
    start = pl.from_epoch(pl.col("slot") * 1800, "s").dt.replace_time_zone("UTC")
    best = best.with_columns(day=start.dt.convert_time_zone(zone).dt.date())
    out: Sums = {}
    for meter, slot, wh, day in best.select("meter", "slot", "wh", "day").iter_rows():
        tariff = tariff_on(meter, (day - date_of_day_number(0)) // timedelta(1))
        total, count = out.setdefault(slot, ([0] * TARIFFS, [0] * TARIFFS))
        total[tariff] += wh
        count[tariff] += 1
    return out


@settings(max_examples=100)
@given(st.integers(0, 2**31), st.integers(300, 3000), st.sampled_from(ZONES), st.booleans())
def test_days_that_close_under_undone_batches_change_no_sum(
    register: Register, seed: int, n: int, zone: str, compiled: bool
) -> None:
    """Tariffs change, days close within batches that are undone and sent again, the state is
    saved and restored: sums by tariff are those of a quiet store, and the counters' too."""
    rules = Rules(GRID, LocalCalendar(GRID, zone))
    stream, rng = a_history(seed, n if compiled else n // 10 + 300), np.random.default_rng(seed)
    kernel = kernels if compiled else kernels_numpy
    state, at = Partition(0, register, rules, kernel), 0
    latest: dict[int, SlotSums] = {}
    tally, energy = np.zeros(OUTCOMES, np.int64), 0
    while at < len(stream):
        batch = []
        for _ in range(int(rng.integers(1, 6))):
            part = stream[at : at + int(rng.integers(1, 1 + len(stream) // 8))]
            at += len(part)
            if len(part):
                batch.append(
                    blocks.readings(
                        0, part["meter"], part["slot"], part["wh"], version=part["version"]
                    )
                )
        for _ in range(int(rng.integers(0, 3))):
            for block in batch[: int(rng.integers(1, len(batch) + 1))]:
                state.apply(block, state.position + 1, NOW_MS)
            state.undo()
        for block in batch:
            applied = state.apply(block, state.position + 1, NOW_MS)
            tally += applied.tally
            energy += sum(int(d[WH_ACCEPTED] - d[WH_REPLACED]) for d in applied.by_day.values())
        latest |= {slot: sums for (_, slot), sums in state.changes().items()}
        state.keep()
        if rng.random() < 0.2:
            state = Partition.restore(0, register, rules, *state.snapshot())
    scopes, found = Scopes(register, ["tariff"]), {}
    for slot, sums in latest.items():
        wh, readings = scopes.roll_up(sums)
        found[slot] = (wh.tolist(), readings.tolist())
    wanted = recomputed(stream, zone)
    assert found == wanted
    assert tally[Outcome.UNKNOWN_METER :].sum() == 0
    assert tally[Outcome.NEW] == sum(sum(counts) for _, counts in wanted.values())
    assert energy == sum(sum(wh) for wh, _ in wanted.values())
