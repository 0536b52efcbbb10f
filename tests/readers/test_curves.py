"""Curves have the length of their days, whatever is missing; and now beside then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest

from tests.servers import TestServer
from wattstorm.errors import DataError, UsageError
from wattstorm.metering.results import SlotResult
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.readers.results import Results
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.keys import day_keys, store_keys
from wattstorm.store.results import ResultStore

PARIS = LocalCalendar(SlotGrid(30), "Europe/Paris")
SUMMER, SUNDAY = date(2025, 3, 30), date(2025, 10, 26)
CARD = {"labels": '["nation","tariff:a"]', "time_zone": "Europe/Paris", "slot_minutes": "30"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    with TestServer(tmp_path_factory.mktemp("ws")) as server:
        yield server


@pytest.fixture
def results(server: TestServer) -> Iterator[Results]:
    settings = Settings.load(environ={}, options={"store.url": server.url})
    with Results.open(settings) as client:
        client.connection.redis.flushall()
        ResultStore(client.connection, "wattstorm").write_meta(CARD)
        yield client


def publish(
    connection: Connection, slots: dict[int, int], label: str = "nation", *, final: bool = True
) -> None:
    """slot → Wh, as rows of nine meters of ten."""
    for slot, wh in slots.items():
        row = SlotResult(wh, 9, 10, 1, final).to_json()
        connection.redis.hset(day_keys("wattstorm", slot // 48).curve(0, label), str(slot), row)
        connection.redis.zadd(store_keys("wattstorm").days, {str(slot // 48): "+inf"})


def test_a_curve_is_as_long_as_its_days_and_says_what_is_missing(results: Results) -> None:
    """A hole in the day is "missing", what lies behind the newest result "awaited"; neither has
    energy or coverage, and both expect the meters that were expected before."""
    day = PARIS.day_slots(SUNDAY)
    publish(
        results.connection, {slot: 100 + slot - day.start for slot in [*day[2:10], *day[20:30]]}
    )
    curve = results.national(SUNDAY)
    assert len(curve) == len(curve.wh) == 50
    assert curve.status.tolist() == (
        2 * ["missing"] + 8 * ["final"] + 10 * ["missing"] + 10 * ["final"] + 20 * ["awaited"]
    )
    assert curve.total_wh == sum(range(102, 110)) + sum(range(120, 130))
    assert set(curve.coverage[~curve.published]) == {0.0}
    assert set(curve.coverage[curve.published]) == {0.9}
    assert set(curve.expected.tolist()) == {10}
    assert np.isnan(curve.kwh).tolist() == (~curve.published).tolist()
    rows = curve.rows()
    assert [row["wh"] for row in rows[:3]] == [None, None, 102]
    assert curve.to_csv().splitlines()[1].endswith("T00:00+02:00,,0,10,0.0,0,missing")


def test_a_scope_that_fell_silent_is_missing_where_the_nation_went_on(results: Results) -> None:
    day = PARIS.day_slots(SUNDAY)
    publish(results.connection, dict.fromkeys(day, 7))
    publish(results.connection, dict.fromkeys(day[:10], 7), "tariff:a")
    assert set(results.tariff("a", SUNDAY).status.tolist()[10:]) == {"missing"}


def test_days_that_nobody_reported_in_are_whole_days_of_missing(results: Results) -> None:
    publish(results.connection, {PARIS.day_slots(SUNDAY)[0]: 5})
    curve = results.curve("nation", date(2025, 10, 24), SUNDAY)
    assert len(curve) == 48 + 48 + 50
    assert curve.status.tolist()[:96] == 96 * ["missing"]
    assert set(curve.status.tolist()[97:]) == {"awaited"}
    assert len(results.national(SUMMER)) == 46


def test_the_newest_day_is_found_anew_when_it_moves_on(results: Results) -> None:
    with pytest.raises(DataError, match="no results yet"):
        results.national()
    monday, tuesday = date(2025, 10, 27), date(2025, 10, 28)
    publish(results.connection, {PARIS.day_slots(monday)[-1]: 5})
    assert results.national().first == monday
    publish(results.connection, {PARIS.day_slots(tuesday)[0]: 5})  # the same day of UTC
    assert results.national().first == tuesday
    publish(results.connection, {PARIS.day_slots(tuesday)[47]: 5, 40 + 48 * 20_500: 5})
    assert results.national().last == date(2026, 2, 16)


def test_a_day_stands_beside_earlier_ones_by_the_clock_of_its_wall(results: Results) -> None:
    """The day the clocks go back has the hour from two to three twice, and both stand beside the
    one hour of the week before; a day that has no such hour gives no value."""
    for day in (date(2025, 10, 19), SUNDAY):
        slots = PARIS.day_slots(day)
        publish(results.connection, {slot: i for i, slot in enumerate(slots)})
    both = results.compare("nation", SUNDAY, (7,))
    then = both.at_the_time(7)
    assert then.tolist() == [0, 1, 2, 3, 4, 5, 4, 5, *range(6, 48)]
    assert both.difference(7).tolist() == [0, 0, 0, 0, 0, 0, *[2] * 44]
    missing = results.compare("nation", date(2025, 10, 20), (1, 7))
    assert np.isnan(missing.difference(1)).all()
    spring = results.compare("nation", date(2025, 3, 31), (1,))
    assert np.isnan(spring.at_the_time(1)).all()
    with pytest.raises(UsageError, match="0 days before"):
        results.compare(days_before=[0])


def test_a_new_tariff_of_a_register_that_grew_is_there_at_once(results: Results) -> None:
    publish(results.connection, {PARIS.day_slots(SUNDAY)[0]: 5})
    assert list(results.curves()) == ["nation", "tariff:a"]
    grown = {**CARD, "labels": '["nation","tariff:a","tariff:b"]'}
    ResultStore(results.connection, "wattstorm").write_meta(grown)
    assert len(results.tariff("b", SUNDAY)) == 50
    assert list(results.curves()) == ["nation", "tariff:a", "tariff:b"]


def test_frames_hold_the_same_numbers_and_no_value_where_none_is(results: Results) -> None:
    day = PARIS.day_slots(SUNDAY)
    publish(results.connection, {day[1]: 1500})
    curve = results.national(SUNDAY)
    frame = curve.to_polars()
    assert frame["wh"].to_list()[:3] == [None, 1500, None]
    assert str(frame["start"][0]) == "2025-10-25 22:00:00+00:00"
    local = curve.to_pandas()
    assert local["wh"].isna().sum() == 49
    assert str(local.index[1]) == "2025-10-26 00:30:00+02:00"


def test_a_row_of_another_schema_is_refused_by_name(results: Results) -> None:
    slot = PARIS.day_slots(SUNDAY)[0]
    publish(results.connection, {slot: 5, slot + 1: 5})
    key = day_keys("wattstorm", slot // 48).curve(0, "nation")
    for bad in ("[2,5,1,1,1,1]", "[1,5,1,1,1]", "[1,5.5,1,1,1,1]", "{}", "["):
        results.connection.redis.hset(key, str(slot), bad)
        with pytest.raises(DataError, match="this wattstorm reads schema 1"):
            results.national(SUNDAY)


def test_reading_is_one_round_trip_whatever_the_register_does(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days and weeks, the newest day, and now beside then."""
    publish(results.connection, dict.fromkeys(PARIS.day_slots(SUNDAY), 7))
    results.national()
    asked: list[str] = []
    real = Connection.run
    monkeypatch.setattr(
        Connection, "run", lambda self, what, call: asked.append(what) or real(self, what, call)
    )
    results.national()
    results.curves()
    results.curves(first=SUMMER, last=SUNDAY)
    results.compare("tariff:a", SUNDAY)
    assert asked == 4 * ["read curves"]
