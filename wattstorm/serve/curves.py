"""/v1/: what there is, curves, days, now against then, revisions."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from wattstorm import __version__
from wattstorm.errors import DataError
from wattstorm.readers.results import Results
from wattstorm.serve import models
from wattstorm.serve.access import at_least
from wattstorm.serve.formats import (
    ARROW,
    CSV,
    JSON,
    PARQUET,
    answer,
    as_json,
    as_table,
    chosen,
    links,
    page,
    path_to,
)
from wattstorm.serve.problems import Refused, documented
from wattstorm.serve.state import Client
from wattstorm.serve.tokens import Role

MOST_ROWS: Final = 200_000
"""Slots × scopes of one answer."""
EARLIEST, LATEST = date(1970, 1, 2), date(2099, 12, 30)

router = APIRouter(
    prefix="/v1",
    tags=["curves"],
    dependencies=[Depends(at_least(Role.READER))],
    responses=documented(401, 404, 422, 429, 503),
)
Day = Annotated[date | None, Query(ge=EARLIEST, le=LATEST, examples=["2025-03-28"])]
Scope = Annotated[str, Query(max_length=200, examples=["tariff:base_6"])]
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_TABLE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {CSV: {"schema": {"type": "string"}}, PARQUET: _BYTES, ARROW: _BYTES}},
    304: {"description": "Not Modified"},
    **documented(406, 413),
}
_SAME: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "Not Modified"}}


@router.get("/", response_model=models.About, responses=_SAME)
def about(request: Request, results: Client) -> Response:
    """What the store holds: scopes, days, the length of a slot."""
    try:
        first, last = (day.isoformat() for day in results.days())
    except DataError:
        first = last = None  # type: ignore[assignment]
    value = {
        "version": __version__,
        "time_zone": results.calendar.time_zone,
        "slot_minutes": results.calendar.grid.minutes,
        "scopes": results.labels,
        "first": first,
        "last": last,
    }
    return as_json(request, value)


@router.get("/days", response_model=models.DaysPage, responses=_SAME)
def days(
    request: Request,
    results: Client,
    after: Day = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 366,
) -> Response:
    """Local days from the first to the last that has results, ascending."""
    first, last = results.days()
    if after is not None:
        first = max(first, after + timedelta(1))
    found = [first + timedelta(i) for i in range(max(0, min(limit, (last - first).days + 1)))]
    more = path_to(request, after=found[-1], limit=limit) if found and found[-1] < last else None
    return page(request, {"days": [day.isoformat() for day in found]}, more)


@router.get("/curves", response_model=models.CurvesPage, responses=_TABLE)
def curves(
    request: Request,
    results: Client,
    scope: Annotated[list[str] | None, Query(max_length=1000, examples=[["nation"]])] = None,
    first: Day = None,
    last: Day = None,
    channel: models.Channel = "import",
    limit: Annotated[int, Query(ge=1, le=1000, description="days of one page")] = 31,
) -> Response:
    """Curves of some scopes (without: all) over local days, without any the newest one. All of a
    page are of one moment: tariffs and regions add up to the nation."""
    media = chosen(request.headers.get("accept", ""))
    first, last = first or last, last or first
    until, more = last, None
    if first and last:
        until = min(last, first + timedelta(limit - 1))
        _check_size(results, len(scope or results.labels), (until - first).days + 1)
        if until < last:
            following = {"first": until + timedelta(1), "last": last, "limit": limit}
            more = path_to(request, scope=scope, channel=channel, **following)
    found = list(results.curves(scope, first, until, channel).values())
    if media == JSON:
        return page(request, {"curves": [curve.as_dict() for curve in found]}, more)
    return answer(request, as_table(found, media), media, links(more))


@router.get("/curves/{scope}", response_model=models.CurveModel, responses=_TABLE)
def curve(
    request: Request,
    results: Client,
    scope: str,
    first: Day = None,
    last: Day = None,
    channel: models.Channel = "import",
) -> Response:
    """One scope's curve, such as /v1/curves/nation or /v1/curves/tariff:base_6."""
    media = chosen(request.headers.get("accept", ""))
    if first and last:
        _check_size(results, 1, (last - first).days + 1)
    found = results.curves([scope], first, last, channel)[scope]
    if media == JSON:
        return as_json(request, found.as_dict())
    return answer(request, as_table([found], media), media)


@router.get("/curves/{scope}/comparison", response_model=models.ComparisonModel, responses=_SAME)
def comparison(
    request: Request,
    results: Client,
    scope: str,
    day: Day = None,
    days_before: Annotated[list[int] | None, Query(max_length=31, examples=[[1, 7]])] = None,
    channel: models.Channel = "import",
) -> Response:
    """A day (without: the newest) beside earlier ones, without any yesterday and last week."""
    before = days_before or [1, 7]
    if not all(1 <= n <= 3660 for n in before):
        raise Refused(422, f"days_before is {before}", "give days from 1 to 3660")
    both = results.compare(scope, day, before, channel)
    value = {
        "now": both.now.as_dict(),
        "at_the_time": {str(n): _plain(both.at_the_time(n)) for n in before},
        "difference": {str(n): _plain(both.difference(n)) for n in before},
    }
    return as_json(request, value)


@router.get("/curves/{scope}/revisions", response_model=models.RevisionsModel, responses=_SAME)
def revisions(
    request: Request,
    results: Client,
    scope: str,
    first: Annotated[date, Query(ge=EARLIEST, le=LATEST, examples=["2025-03-28"])],
    last: Day = None,
    channel: models.Channel = "import",
) -> Response:
    """What was said of these days' slots, and when; of what the log of slots still holds."""
    _check_size(results, 1, ((last or first) - first).days + 1)
    found = results.revisions(scope, first, last, channel)
    value = {"label": scope, "channel": channel, "revisions": [each.as_dict() for each in found]}
    return as_json(request, value)


def _check_size(results: Results, scopes: int, days: int) -> None:
    if days < 1:
        raise Refused(422, "last is before first", "give the earlier day first")
    rows = scopes * days * results.calendar.grid.per_day
    if rows > MOST_ROWS:
        what = f"{rows:,} rows are asked at once, {MOST_ROWS:,} may be"
        raise Refused(413, what, "ask for fewer days or scopes, or for smaller pages by limit")


def _plain(values: Any) -> list[float | None]:
    """NaN is null in JSON."""
    return [None if math.isnan(each) else each for each in values.tolist()]
