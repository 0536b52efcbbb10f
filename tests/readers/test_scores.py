"""Scores as a client sees them: scopes, alarms, one meter; on the command line, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bolts.aggregate import AggregateBolt
from bolts.score import ScoreBolt
from tests.cli.commands import Wattstorm
from tests.register.registers import FIRST_ID
from tests.serve.conftest import serving
from tests.servers import TestServer
from tests.stream import homes
from tests.stream.parts import append, save, started
from tests.stream.town import Town, a_town
from wattstorm.engine.watch import Watch
from wattstorm.errors import DataError, UsageError
from wattstorm.metering.slots import date_of_day_number
from wattstorm.readers.results import Results
from wattstorm.serve.tokens import TokenFile

TOWN: dict[str, Any] = {
    "scores__enabled": True,
    "scores__alarm_p": 0.01,
    "stream__time_zone": "UTC",
    "stream__open_days": 2,
    "snapshot__every_s": 3600.0,
}
WRONG = date_of_day_number(19_700 + homes.WRONG)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Four weeks of homes through both bolts, as Storm would have them."""
    directory = tmp_path_factory.mktemp("town")
    with TestServer(directory / "r") as server:
        town = a_town(directory, server.url, homes.HOMES, homes.HOMES, **TOWN)
        with town.connect() as connection:
            Watch(connection, town.settings, town.register).introduce()
        data = homes.in_order(homes.days_of_homes())
        append(town, 0, data)
        sums, scores = started(AggregateBolt, town), started(ScoreBolt, town)
        for last in range(1, len(data) + 1, 5):
            assert sums.give(0, last, min(last + 4, len(data)), 1) == "ack"
        tail = scores.component.consumer.log_store.tails([0])[0]
        for last in range(1, tail + 1, 16):
            assert scores.give(0, last, min(last + 15, tail), 1) == "ack"
        save(scores)
        yield town


def test_scopes_say_who_is_highest_and_why(town: Town) -> None:
    """The nation's closed day has the homes that went wrong; a tariff has its own."""
    with Results.open(town.settings) as results:
        nation = results.scores(top=3)
        assert (nation.day, nation.scored, nation.meters) == (WRONG, homes.HOMES, homes.HOMES)
        found = {row.meter - FIRST_ID: row for row in nation.top}
        assert set(found) == {homes.DEAD, homes.MOVED, homes.TREBLE}
        assert " Wh" in found[homes.TREBLE].why
        assert nation.at_most[0.01] == 3
        of_one = results.scores("tariff:tariff_09", running=True)
        assert {row.meter - FIRST_ID for row in of_one.top} == {homes.TREBLE}
        assert (of_one.running, of_one.stretches, of_one.meters) == (True, 7, 1)
        with pytest.raises(UsageError):
            results.scores("tariff:nobody")


def test_alarms_are_told_with_their_day(town: Town) -> None:
    with Results.open(town.settings) as results:
        late = results.score_alarms(since=WRONG)
        assert {row.meter - FIRST_ID for row in late} == {homes.DEAD, homes.MOVED, homes.TREBLE}
        assert set(late) <= set(results.score_alarms())


def test_one_meter_is_told_out_of_the_snapshot(town: Town) -> None:
    """Its last days, its alarm, its household; of a dead day the symbols are the lowest."""
    with Results.open(town.settings) as results:
        dead = results.meter(FIRST_ID + homes.DEAD)
        assert (dead.closed, dead.tariff, dead.region) == (WRONG, "tariff_02", "region_2")
        assert dead.history[0] is not None
        assert dead.history[0] < 0.01
        assert dead.history[1] is not None
        assert dead.history[1] > 0.01
        assert [row.day for row in dead.alarms][-1] == WRONG
        usual = results.meter(FIRST_ID + 3)
        wh = homes.days_of_homes()[3]
        said = usual.insights
        assert said.usual_wh.sum() == pytest.approx(wh.sum(axis=1).mean(), rel=0.1)
        assert said.base_wh == pytest.approx(wh.min(axis=1).mean(), rel=0.15)
        assert said.change is not None
        assert abs(said.change) < 0.2
        assert (said.days, said.percentile, said.peers) == (homes.WRONG + 1, None, 0)
        assert usual.today is not None
        with pytest.raises(UsageError):
            results.meter(17)


def test_where_nothing_is_scored_that_is_said(town: Town, tmp_path: Path) -> None:
    """Another store, and a machine without the state."""
    other = Town(tmp_path, town.url, town.register, {**town.options, "store.prefix": "other"})
    with (
        Results.open(other.settings) as results,
        pytest.raises(DataError, match=r"scores\.enabled"),
    ):
        results.scores()
    elsewhere = Town(tmp_path, town.url, town.register, town.options)
    (tmp_path / "register").symlink_to(town.directory / "register")
    with Results.open(elsewhere.settings) as results, pytest.raises(DataError, match="machine"):
        results.meter(FIRST_ID)


def test_the_commands_show_both(town: Town) -> None:
    """A table for a person, JSON for a program."""
    (town.directory / "data").symlink_to(town.directory)
    command = Wattstorm(town.directory, {"REDIS_URL": town.url})
    shown = command("results", "scores", "--top", 3).stdout
    assert f"nation on {WRONG}" in shown
    assert str(FIRST_ID + homes.MOVED) in shown
    plain = command.json("results", "meter", FIRST_ID + homes.DEAD)
    assert len(plain["insights"]["usual_wh"]) == 8


@pytest.fixture(scope="module")
def scored(town: Town) -> Iterator[tuple[httpx.Client, dict[str, dict[str, str]]]]:
    settings = town.settings.replaced({"serve.port": 0}, "test")
    tokens = TokenFile.of(settings)
    made = {
        role: {"Authorization": f"Bearer {tokens.add(role, role)}"}
        for role in ("reader", "analyst")
    }
    with serving(settings) as api:
        yield api, made


def test_an_analyst_sees_scopes_alarms_and_a_meter_over_http(
    scored: tuple[httpx.Client, dict[str, dict[str, str]]],
) -> None:
    api, tokens = scored
    api.headers.update(tokens["analyst"])
    nation = api.get("/v1/scores/nation?top=3").json()
    assert (nation["day"], nation["at_most"]["0.01"]) == (str(WRONG), 3)
    oddest = {row["meter"] - FIRST_ID for row in nation["top"]}
    assert oddest == {homes.DEAD, homes.MOVED, homes.TREBLE}
    assert api.get("/v1/scores/nation?day=running").json()["running"] is True
    seen, path = [], "/v1/alarms?limit=1"
    while path:
        got = api.get(path).json()
        seen, path = seen + got["alarms"], got["next"]
    assert {row["meter"] - FIRST_ID for row in seen} >= {homes.DEAD}
    one = api.get(f"/v1/meters/{FIRST_ID + homes.TREBLE}").json()
    assert one["history"][0] is not None
    assert len(one["usual_wh"]) == 8
    assert one["alarms"]
    assert api.get("/v1/meters/1").status_code == 404


def test_nobody_else_sees_a_meter_over_http(
    scored: tuple[httpx.Client, dict[str, dict[str, str]]],
) -> None:
    """401 without a token, on loopback too; 403 for a reader's; and no metric names one."""
    api, tokens = scored
    api.headers.pop("Authorization", None)
    for path in ("/v1/scores/nation", "/v1/alarms", f"/v1/meters/{FIRST_ID}"):
        assert api.get(path).status_code == 401, path
        assert api.get(path, headers=tokens["reader"]).status_code == 403, path
    told = api.get("/metrics").text + api.get("/v1/health").text
    assert not any(str(FIRST_ID + home) in told for home in range(homes.HOMES))
