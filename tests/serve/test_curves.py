"""Curves over HTTP: the same numbers as the client's, in the form that was asked for."""

from __future__ import annotations

import httpx

from tests.serve.conftest import SUNDAY


def test_a_curve_holds_what_was_published_and_says_what_is_awaited(api: httpx.Client) -> None:
    got = api.get("/v1/curves/nation", params={"first": str(SUNDAY)}).json()
    assert len(got["rows"]) == 50
    assert [row["wh"] for row in got["rows"]][24:28] == [1020, 1021, None, None]
    assert [row["status"] for row in got["rows"]][24:28] == ["provisional"] * 2 + ["awaited"] * 2


def test_all_scopes_of_a_day_add_up_to_the_nation(api: httpx.Client) -> None:
    curves = {c["label"]: c for c in api.get("/v1/curves").json()["curves"]}
    assert list(curves) == ["nation", "tariff:a", "tariff:b"]
    assert curves["nation"]["first"] == str(SUNDAY)
    parts = curves["tariff:a"]["total_wh"] + curves["tariff:b"]["total_wh"]
    assert parts == curves["nation"]["total_wh"] > 0
    api.get("/v1/").raise_for_status()
