"""The forms of an answer: what was asked for, not sent again where known, errors as problems."""

from __future__ import annotations

import doctest
import io
from pathlib import Path

import httpx
import polars as pl
import pytest

from tests.readers.publishing import PARIS, Published
from tests.serve.conftest import SATURDAY, SUNDAY, serving, settings_for
from tests.servers import TestServer
from wattstorm.serve import formats, limits

PROBLEM = "application/problem+json"


def test_the_examples_hold() -> None:
    for module in (formats, limits):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


def test_the_same_numbers_come_as_json_csv_parquet_and_arrow(api: httpx.Client) -> None:
    wanted = [
        (curve["label"], row["slot"], row["wh"], row["status"])
        for curve in api.get("/v1/curves", params={"first": str(SUNDAY)}).json()["curves"]
        for row in curve["rows"]
    ]
    readers = {
        "text/csv": pl.read_csv,
        "application/vnd.apache.parquet": pl.read_parquet,
        "application/vnd.apache.arrow.stream": pl.read_ipc_stream,
    }
    for media, read in readers.items():
        got = api.get("/v1/curves", params={"first": str(SUNDAY)}, headers={"Accept": media})
        assert got.headers["content-type"].split(";")[0] == media
        frame = read(io.BytesIO(got.content))
        assert frame.select("label", "slot", "wh", "status").rows() == wanted, media
    refused = api.get("/v1/curves", headers={"Accept": "image/png"})
    assert (refused.status_code, refused.headers["content-type"]) == (406, PROBLEM)


def test_what_a_client_has_already_is_not_sent_again(api: httpx.Client, publish: Published) -> None:
    got = api.get("/v1/curves/nation")
    again = api.get("/v1/curves/nation", headers={"If-None-Match": f'"x", {got.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == got.headers["etag"]
    publish({PARIS.day_slots(SUNDAY)[25]: 77}, final=False)
    anew = api.get("/v1/curves/nation", headers={"If-None-Match": got.headers["etag"]})
    assert anew.status_code == 200
    assert anew.json()["rows"][25]["wh"] == 77
    csv = api.get("/v1/curves/nation", headers={"Accept": "text/csv"})
    assert csv.headers["etag"] != anew.headers["etag"]


def test_long_ranges_come_in_pages_that_name_the_next(api: httpx.Client) -> None:
    seen, path = [], f"/v1/curves?scope=nation&first={SATURDAY}&last={SUNDAY}&limit=1"
    while path:
        got = api.get(path)
        seen += [curve["first"] for curve in got.json()["curves"]]
        path = got.json()["next"]
        assert ("link" in got.headers) == (path is not None)
    assert seen == [str(SATURDAY), str(SUNDAY)]
    days, path = [], "/v1/days?limit=1"
    while path:
        got = api.get(path).json()
        days, path = days + got["days"], got["next"]
    assert days == [str(SATURDAY), str(SUNDAY)]


def test_now_stands_beside_then(api: httpx.Client) -> None:
    """The day with an hour more: its second hour from two to three stands beside the only one."""
    both = api.get("/v1/curves/nation/comparison", params={"days_before": [1]}).json()
    assert len(both["now"]["rows"]) == len(both["difference"]["1"]) == 50
    assert both["at_the_time"]["1"][2:10] == [*(1046, 1047, 1000, 1001, 1000, 1001, 1002, 1003)]
    assert both["difference"]["1"][30] is None
    revised = api.get(f"/v1/curves/nation/revisions?first={SATURDAY}").json()["revisions"]
    assert len(revised) == 48


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/v1/curves/tariff:c", 404, "no curve 'tariff:c'"),
        ("/v1/curves?first=yesterday", 422, "first"),
        ("/v1/curves?first=2025-10-26&last=2025-10-25", 422, "last is before first"),
        ("/v1/curves?first=1971-01-01&last=2090-01-01&limit=1000", 200, ""),
        ("/v1/curves/nation?first=1971-01-01&last=2090-01-01", 413, "rows are asked at once"),
        ("/v1/changes?after=x", 422, "after"),
        ("/v1/nothing", 404, "Not Found"),
    ],
)
def test_errors_are_problems_that_say_what_and_what_to_do(
    api: httpx.Client, path: str, status: int, detail: str
) -> None:
    got = api.get(path)
    assert got.status_code == status, got.text[:300]
    if status != 200:
        assert got.headers["content-type"] == PROBLEM
        assert detail in got.json()["detail"]
        assert got.json()["status"] == status


def test_a_store_that_is_away_is_503_and_comes_back_by_itself(tmp_path: Path) -> None:
    """Without a word of where it is; and the server lives on meanwhile."""
    with (
        TestServer(tmp_path / "redis", tcp=True, appendfsync="always") as redis,
        serving(settings_for(redis, tmp_path)) as api,
    ):
        Published(redis.url)({PARIS.day_slots(SUNDAY)[0]: 5})
        assert api.get("/v1/curves/nation").status_code == 200
        redis.kill()
        away = api.get("/v1/curves/nation")
        assert (away.status_code, away.headers["content-type"]) == (503, PROBLEM)
        assert away.headers["retry-after"]
        assert str(redis.port) not in away.text
        assert api.get("/metrics").text.count("\nwattstorm_up 0.0") == 1
        assert api.get("/healthz").json() == {"status": "ok"}
        redis.start()
        assert api.get("/v1/curves/nation").json()["total_wh"] == 5


def test_an_empty_store_says_what_to_do_first(tmp_path: Path) -> None:
    with (
        TestServer(tmp_path / "redis") as redis,
        serving(settings_for(redis, tmp_path)) as api,
    ):
        assert api.get("/v1/").json()["first"] is None
        got = api.get("/v1/curves/nation")
        assert (got.status_code, got.json()["remedy"][:16]) == (404, "wattstorm ingest")
        assert "wattstorm_up 1.0" in api.get("/metrics").text
