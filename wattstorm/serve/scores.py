"""/v1/scores and /v1/meters: whose behaviour changed. Of single homes, so for analysts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from pydantic import BaseModel, Field
from starlette.responses import Response

from wattstorm.readers.scores import Scored
from wattstorm.serve.access import at_least
from wattstorm.serve.curves import Day
from wattstorm.serve.formats import as_json, page, path_to
from wattstorm.serve.problems import documented
from wattstorm.serve.state import Client
from wattstorm.serve.tokens import Role

router = APIRouter(
    prefix="/v1",
    tags=["scores"],
    dependencies=[Depends(at_least(Role.ANALYST))],
    responses={304: {"description": "Not Modified"}, **documented(401, 403, 404, 422, 429, 503)},
)
LARGEST_ID: Final = 2**63 - 1


class ScoredModel(BaseModel):
    """A meter's day. p: how often a usual day is as odd, among its peers."""

    meter: int
    tariff: str
    region: str
    day: date
    p: float
    kind: str = Field(examples=["more"], description="more, less, moved, dead, flat, stuck, spike")
    why: str = Field(description="the stretches that weigh most")


class ScopeScoresModel(BaseModel):
    scope: str
    day: date
    running: bool = Field(description="the day has not closed")
    stretches: int = Field(description="of eight that have come")
    meters: int
    scored: int = Field(description="meters that have a p-value")
    at_most: dict[str, int] = Field(examples=[{"0.01": 12}], description="by p, how many have it")
    rules: dict[str, int] = Field(examples=[{"dead": 3}])
    top: list[ScoredModel]


class AlarmsPage(BaseModel):
    alarms: list[ScoredModel]
    next: str | None


class MeterModel(BaseModel):
    """history: the last closed days, the newest first; null where nothing could be said."""

    meter: int
    tariff: str
    region: str
    closed: date | None
    history: list[float | None]
    today: ScoredModel | None
    alarms: list[ScoredModel]
    base_wh: float = Field(description="Wh of a slot that never goes away")
    usual_wh: list[float] = Field(description="Wh of a usual day's eight stretches")
    percentile: float | None = Field(description="0 to 1 among its peers")
    peers: int
    usual_word: str = Field(description="the usual day as symbols")
    last_word: str


@router.get("/scores/{scope}", response_model=ScopeScoresModel)
def scores(
    request: Request,
    results: Client,
    scope: str,
    day: Annotated[Literal["closed", "running"], Query()] = "closed",
    top: Annotated[int, Query(ge=0, le=1000)] = 20,
) -> Response:
    """A scope's last closed day, or its running one: how many are how odd, and the oddest."""
    found = results.scores(scope, running=day == "running", top=top)
    value = {**asdict(found), "day": str(found.day), "top": [_plain(row) for row in found.top]}
    value["at_most"] = {f"{p:g}": n for p, n in found.at_most.items()}
    return as_json(request, value)


@router.get("/alarms", response_model=AlarmsPage)
def alarms(
    request: Request,
    results: Client,
    since: Day = None,
    skip: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> Response:
    """Homes that behave unlike themselves, by day, as long as their log holds them."""
    found = results.score_alarms(since)
    shown, more = found[skip : skip + limit], len(found) > skip + limit
    following = path_to(request, since=since, skip=skip + limit, limit=limit) if more else None
    return page(request, {"alarms": [_plain(row) for row in shown]}, following)


@router.get("/meters/{meter}", response_model=MeterModel)
def meter(
    request: Request, results: Client, meter: Annotated[int, InPath(ge=0, le=LARGEST_ID)]
) -> Response:
    """One meter, on the machine that scores."""
    found = results.meter(meter)
    known = found.insights
    value: dict[str, Any] = {
        "meter": found.meter,
        "tariff": found.tariff,
        "region": found.region,
        "closed": str(found.closed) if found.closed else None,
        "history": list(found.history),
        "today": _plain(found.today) if found.today else None,
        "alarms": [_plain(row) for row in found.alarms],
        "base_wh": known.base_wh,
        "usual_wh": known.usual_wh.tolist(),
        "percentile": known.percentile,
        "peers": known.peers,
        "usual_word": known.usual_word,
        "last_word": known.last_word,
    }
    return as_json(request, value)


def _plain(row: Scored) -> dict[str, Any]:
    return {**asdict(row), "day": str(row.day)}
