"""/v1/forecasts: what is said of the days to come, and what was said of those past."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from wattstorm.serve.access import at_least
from wattstorm.serve.curves import EARLIEST, LATEST, Day
from wattstorm.serve.formats import as_json
from wattstorm.serve.problems import documented
from wattstorm.serve.state import Client
from wattstorm.serve.tokens import Role

router = APIRouter(
    prefix="/v1/forecasts",
    tags=["forecasts"],
    dependencies=[Depends(at_least(Role.READER))],
    responses={304: {"description": "Not Modified"}, **documented(401, 404, 422, 429, 503)},
)
_QUANTILES: Final = {"0.05": [812000, 790000], "0.95": [901000, 880000]}


class MoneyModel(BaseModel):
    """€ as exact decimals in text. settled: all prices had been announced."""

    point: str = Field(examples=["120.51"])
    low: str
    high: str
    version: str = Field(description="of the prices")
    settled: bool
    slots: list[str]


class ErrorModel(BaseModel):
    """Absolute errors in % of the load: ours, and of the same day a week before."""

    ours: float
    d_7: float
    slots: int


class ForecastModel(BaseModel):
    """A curve's forecast of a local day, or of the rest of it; one value a slot."""

    label: str = Field(examples=["nation"])
    day: date
    time_zone: str = Field(examples=["Europe/Paris"])
    issued: str = Field(examples=["2025-03-28T12:00+01:00"])
    model: str = Field(examples=["mixture"], description="naive: the last day of its kind")
    version: str = Field(description="of the fitted model")
    weather_utc_s: int = Field(description="when the newest weather used was said; -1: none was")
    asleep: list[str] = Field(description="members of the model that did not answer")
    missing: list[str] = Field(description="what they lacked")
    start_utc: list[str]
    start_local: list[str]
    wh: list[int]
    quantiles_wh: dict[str, list[int]] = Field(examples=[_QUANTILES])
    total_wh: int
    total_90_wh: list[int] = Field(description="central 90 % interval of the total")
    eur: MoneyModel | None
    error_percent: dict[str, ErrorModel] = Field(description="by days back: 1 d, 7 d, 30 d")


class ForecastsModel(BaseModel):
    forecasts: list[ForecastModel]


@router.get("/{scope}", response_model=ForecastModel)
def forecast(request: Request, results: Client, scope: str, day: Day = None) -> Response:
    """What was said last of a local day; without it of tomorrow, or of today as long as nothing
    was said of tomorrow. Nation and tariffs are forecast."""
    return as_json(request, results.forecast(scope, day).to_dict())


@router.get("/{scope}/issued", response_model=ForecastsModel)
def issued(
    request: Request,
    results: Client,
    scope: str,
    day: Annotated[date, Query(ge=EARLIEST, le=LATEST, examples=["2025-03-28"])],
) -> Response:
    """All that was said of a local day, in order of issue."""
    found = results.forecasts(scope, day)
    return as_json(request, {"forecasts": [each.to_dict() for each in found]})
