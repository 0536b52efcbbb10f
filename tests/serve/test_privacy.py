"""Who may not see single meters sees no curve of few, on any path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from tests.readers.publishing import LABELS, NOBODY, PARIS, Published
from tests.register.registers import register_rows
from tests.serve.conftest import SUNDAY, serving, settings_for
from tests.servers import TestServer
from tests.stream.town import wait_until
from wattstorm.engine.watch import Watch
from wattstorm.files.meters import build_register
from wattstorm.metering.results import SlotResult, SlotRows
from wattstorm.readers.public import Public
from wattstorm.readers.results import Results
from wattstorm.serve.page.feed import Feed
from wattstorm.serve.tokens import TokenFile
from wattstorm.settings import Settings

HELD, FEW = "tariff:b", PARIS.day_slots(SUNDAY)[26]
Clients = tuple[httpx.Client, dict[str, str]]


@pytest.fixture(scope="module")
def clients(
    redis: TestServer, publish: Published, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clients]:
    """(a client without a token, what an analyst sends). Nine meters a curve are enough; tariff b
    is withheld, and of one slot tariff a has four readings so far."""
    publish.store.write_meta({"withheld": json.dumps([HELD]), "group_size": "9"})
    rows = {
        label: SlotResult(100, 4 if label == "tariff:a" else 9, 10, 1, False) for label in LABELS
    }
    publish.store.write(FEW // 48, {(0, FEW): SlotRows(rows)}, [0], NOBODY)
    settings = settings_for(redis, tmp_path_factory.mktemp("data"), burst=10_000)
    secret = TokenFile.of(settings).add("research", "analyst")
    with serving(settings) as api:
        yield api, {"Authorization": f"Bearer {secret}"}


def found(api: httpx.Client, path: str, headers: dict[str, str] | None = None) -> Any:
    answer = api.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_curve_that_is_withheld_is_nowhere_to_be_seen_by_a_reader(clients: Clients) -> None:
    api, analyst = clients
    for path in ("/v1/", "/v1/curves", f"/v1/curves?first={SUNDAY}", "/v1/changes"):
        assert HELD not in api.get(path).text, path
        assert HELD in api.get(path, headers=analyst).text, path
    assert HELD not in api.get("/metrics").text
    for path in ("", "/comparison", f"/revisions?first={SUNDAY}"):
        refused = api.get(f"/v1/curves/{HELD}{path}")
        assert refused.status_code in (403, 404, 422), path
        assert "fewer than 9 meters" in refused.text, path
        assert api.get(f"/v1/curves/{HELD}{path}", headers=analyst).status_code == 200, path


def test_a_slot_in_which_few_have_reported_shows_the_nation_alone(clients: Clients) -> None:
    api, analyst = clients

    def wh(label: str, headers: dict[str, str] | None = None) -> Any:
        curve = found(api, f"/v1/curves/{label}?first={SUNDAY}", headers)
        return curve["rows"][FEW - PARIS.day_slots(SUNDAY)[0]]["wh"]

    assert wh("nation") == 100
    assert not wh("tariff:a")
    assert wh("tariff:a", analyst) == 100
    newest = [c for c in found(api, "/v1/changes")["changes"] if c["slot"] == FEW][-1]
    assert list(newest["rows"]) == ["nation"]


def test_an_engine_tells_what_is_withheld_by_the_register_and_the_rule(
    redis: TestServer, tmp_path: Path
) -> None:
    """Twelve tariffs of about 25 meters, each in one region, and one of three meters, one in each
    region: a region less its other tariffs is one meter, so of each region one tariff goes."""
    rows = register_rows(300)
    rows = rows.with_columns(tariff=pl.Series(["tariff_new"] * 3 + rows["tariff"].to_list()[3:]))
    rows.write_csv(tmp_path / "meters.csv")
    register = build_register([tmp_path / "meters.csv"], tmp_path / "register")
    options = {"store.url": redis.url, "store.prefix": "card", "data.directory": tmp_path}
    for size, held in ((15, 4), (1, 0), (30, 13)):
        settings = Settings.load(
            environ={}, options={**options, "privacy.group_size": size, "privacy.dominance": 0.5}
        )
        with Results.open(settings) as results:
            Watch(results.connection, settings, register).introduce()
            public = Public(results.connection, settings)
            assert len(public.withheld) == held
            assert set(public.labels) == set(results.labels) - set(public.withheld)
            assert ("tariff:tariff_new" in public.labels) == (held == 0)


def test_a_curve_that_one_meter_dominates_is_withheld(redis: TestServer, tmp_path: Path) -> None:
    rows = register_rows(600)
    rows[5, "contracted_power_va"] = 2_000_000
    rows.write_csv(tmp_path / "meters.csv")
    register = build_register([tmp_path / "meters.csv"], tmp_path / "register")
    options = {"store.url": redis.url, "store.prefix": "mill", "data.directory": tmp_path}
    settings = Settings.load(environ={}, options={**options, "privacy.dominance": 0.4})
    with Results.open(settings) as results:
        Watch(results.connection, settings, register).introduce()
        withheld = Public(results.connection, settings).withheld
    assert "tariff:tariff_05" in withheld
    assert "region:region_2" in withheld


def test_the_page_shows_what_a_reader_may_see(
    redis: TestServer, publish: Published, clients: Clients, tmp_path: Path
) -> None:
    """In what it loads at its start, and in what it is told later."""
    feed = Feed(lambda: Public.open(settings_for(redis, tmp_path)))
    feed.start()
    try:
        wait_until(lambda: feed.now.views, 10, "the page's curves")
        later = {label: SlotResult(50, 4, 10, 1, False) for label in LABELS}
        later["nation"] = SlotResult(100, 9, 10, 1, False)
        publish.store.write(FEW // 48, {(0, FEW + 1): SlotRows(later)}, [0], NOBODY)
        place = FEW + 1 - PARIS.day_slots(SUNDAY)[0]
        wait_until(lambda: feed.now.views["nation"].rows[place], 10, "the newest slot")
        views = feed.now.views
        assert set(views) == {"nation", "tariff:a"}
        assert [views["tariff:a"].rows[place + back] for back in (-1, 0)] == [None, None]
        assert views["tariff:a"].rows[place - 2] is not None
    finally:
        feed.stop()
