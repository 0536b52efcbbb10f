"""The typed client against the sample, recomputed with polars."""

from __future__ import annotations

import csv
import doctest
import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import pytest

import wattstorm.readers.accounts
import wattstorm.readers.reader
import wattstorm.readers.results
import wattstorm.store.curves
from tests.cli.commands import Wattstorm
from wattstorm import Results
from wattstorm.errors import UsageError
from wattstorm.sample import READINGS, REGISTER, TIME_ZONE
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection

WHOLE = date(2013, 3, 1), date(2013, 6, 30)


@pytest.fixture(scope="module")
def settings(sampled: Wattstorm) -> Settings:
    return Settings.load(environ={}, options={"data.directory": sampled.directory / "data"})


@pytest.fixture(scope="module")
def results(settings: Settings) -> Iterator[Results]:
    with Results.open(settings) as client:
        yield client


@pytest.fixture(scope="module")
def truth() -> pl.DataFrame:
    """One row a reading: slot, Wh, scopes."""
    register = pl.read_csv(REGISTER).select(meter="external_id", tariff="tariff", region="region")
    return (
        pl.read_parquet(READINGS)
        .with_columns(
            slot=(pl.col("ts_utc").dt.epoch("s") // 1800).cast(pl.Int32),
            wh=(pl.col("kwh").cast(pl.Float64) * 1000).round(mode="half_to_even").cast(pl.Int64),
            day=pl.col("ts_utc").dt.convert_time_zone(TIME_ZONE).dt.date(),
        )
        .join(register, on="meter")
    )


def test_every_curve_equals_a_polars_recomputation_bit_for_bit(
    results: Results, truth: pl.DataFrame
) -> None:
    scopes = {"nation": pl.lit(True)}
    for kind in ("tariff", "region"):
        scopes |= {f"{kind}:{name}": pl.col(kind) == name for name in truth[kind].unique()}
    assert set(scopes) == set(results.labels)
    for label, members in scopes.items():
        sums = truth.filter(members).group_by("slot").agg(pl.col("wh").sum(), n=pl.len())
        plain = sums.sort("slot")
        curve = results.curve(label, *WHOLE)
        there = curve.readings > 0  # a scope of one home may have slots that nobody reported in
        assert curve.slots[there].tolist() == plain["slot"].to_list(), label
        assert curve.wh[there].tolist() == plain["wh"].to_list(), label
        assert curve.readings[there].tolist() == plain["n"].to_list(), label
        assert not curve.wh[~there].any(), label


def test_tariffs_and_regions_add_up_to_the_nation_in_every_slot(results: Results) -> None:
    nation = results.curve("nation", *WHOLE)
    for kind in ("tariff", "region"):
        total = dict.fromkeys(nation.slots.tolist(), 0)
        for label in results.labels:
            if label.startswith(f"{kind}:"):
                part = results.curve(label, *WHOLE)
                for slot, wh in zip(part.slots.tolist(), part.wh.tolist(), strict=True):
                    total[slot] += wh
        assert list(total.values()) == nation.wh.tolist()


def test_all_curves_of_a_day_come_in_one_round_trip(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And are those that come one by one; without a date those of the newest day."""
    day = date(2013, 6, 1)
    one_by_one = {label: results.curve(label, day, day).to_json() for label in results.labels}
    asked = []
    real = Connection.run

    def run(self: Connection, action: str, call: Any) -> Any:
        asked.append(action)
        return real(self, action, call)

    monkeypatch.setattr(Connection, "run", run)
    together = results.curves(first=day)
    assert asked == ["read curves"]
    assert {label: curve.to_json() for label, curve in together.items()} == one_by_one
    assert results.curves(["nation"])["nation"].first == date(2013, 6, 30)
    with pytest.raises(UsageError, match="no curve 'tariff:x'"):
        results.curves(["nation", "tariff:x"])


def test_the_day_of_a_clock_change_has_fifty_slots(results: Results, truth: pl.DataFrame) -> None:
    curve = results.national(date(2013, 4, 7))
    assert len(curve) == 50
    assert curve.total_wh == truth.filter(pl.col("day") == date(2013, 4, 7))["wh"].sum()
    assert len(set(curve.local_labels())) == 50


def test_without_a_date_the_newest_day_is_taken(results: Results) -> None:
    assert results.national().first == date(2013, 6, 30)


def test_types_are_those_of_the_contract(results: Results) -> None:
    curve = results.tariff("base_6", date(2013, 6, 1))
    names = ("slots", "starts", "wh", "readings", "expected", "coverage")
    dtypes = [str(getattr(curve, name).dtype) for name in names]
    assert dtypes == ["int32", "datetime64[s]", "int64", "int64", "int64", "float64"]


def test_json_and_csv_carry_the_same_exact_numbers(results: Results) -> None:
    curve = results.region("north", date(2013, 6, 1))
    rows = json.loads(curve.to_json())["rows"]
    lines = list(csv.DictReader(io.StringIO(curve.to_csv())))
    assert [row["wh"] for row in rows] == curve.wh.tolist()
    assert [int(line["wh"]) for line in lines] == curve.wh.tolist()
    assert rows[0]["start_utc"] == lines[0]["start_utc"] == "2013-05-31T14:00:00Z"


def test_all_readings_are_accounted_for_and_none_waits(
    results: Results, truth: pl.DataFrame
) -> None:
    account = results.conservation()
    assert account.holds
    assert account.received == account.accepted == len(truth)
    assert all(lag.waiting_blocks == 0 and lag.waiting_bytes == 0 for lag in results.lag())
    health = results.health()
    assert not health.running
    assert health.dead_letters == 0


def test_a_name_that_is_nearly_right_is_suggested(results: Results) -> None:
    with pytest.raises(UsageError, match="did you mean base_6"):
        results.tariff("bas_6", date(2013, 6, 1))
    with pytest.raises(UsageError, match="import or export"):
        results.national(date(2013, 6, 1), channel="water")


def test_the_documentation_runs(settings: Settings) -> None:
    """The doctests of the client, on the real store."""
    found = doctest.testmod(wattstorm.readers.results, extraglobs={"settings": settings})
    assert found.attempted > 5
    assert found.failed == 0
    for module in (wattstorm.readers.accounts, wattstorm.readers.reader, wattstorm.store.curves):
        assert doctest.testmod(module).failed == 0
