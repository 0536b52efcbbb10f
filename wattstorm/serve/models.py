"""What the answers hold, for OpenAPI: names, types, examples."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, Field

Channel = Literal["import", "export"]
Status = Literal["provisional", "final", "missing", "awaited"]


class About(BaseModel):
    """What the store holds."""

    version: str = Field(examples=["0.1.0"])
    time_zone: str = Field(examples=["Europe/Paris"])
    slot_minutes: int = Field(examples=[30])
    scopes: list[str] = Field(examples=[["nation", "tariff:base_6", "region:north"]])
    first: date | None = Field(description="first local day with results")
    last: date | None


class SlotRow(BaseModel):
    slot: int = Field(examples=[968398], description="slots since 1970-01-01T00:00Z")
    start_utc: str = Field(examples=["2025-03-27T23:00:00Z"])
    start_local: str = Field(examples=["2025-03-28T00:00+01:00"])
    wh: int | None = Field(examples=[17440], description="Wh; null: no result")
    readings: int = Field(examples=[103])
    expected: int = Field(examples=[103])
    coverage: float = Field(examples=[1.0], description="readings / expected")
    revision: int = Field(examples=[1], description="from 1; 0: no result")
    status: Status


class CurveModel(BaseModel):
    """All slots of a scope's local days."""

    label: str = Field(examples=["tariff:base_6"])
    channel: Channel
    first: date
    last: date
    time_zone: str = Field(examples=["Europe/Paris"])
    slot_minutes: int = Field(examples=[30])
    total_wh: int = Field(examples=[837120])
    rows: list[SlotRow]


class CurvesPage(BaseModel):
    """next: path of the page that follows; null: this is the last one."""

    curves: list[CurveModel]
    next: str | None = Field(examples=["/v1/curves?first=2025-04-28&last=2025-06-30"])


class DaysPage(BaseModel):
    days: list[date]
    next: str | None


class ComparisonModel(BaseModel):
    """at_the_time, difference: by days before; Wh at the same local times of the earlier day, and
    what now is above it; null where one has no result."""

    now: CurveModel
    at_the_time: dict[str, list[float | None]] = Field(examples=[{"7": [17011.0, None]}])
    difference: dict[str, list[float | None]] = Field(examples=[{"7": [429.0, None]}])


class RowModel(BaseModel):
    wh: int
    readings: int
    expected: int
    coverage: float
    revision: int
    status: Literal["provisional", "final"]


class ChangeModel(BaseModel):
    """A slot whose results changed or became final. gap: what came before it was not seen."""

    id: str = Field(examples=["1042-0a1b2c3d4e5f60718293"])
    at: str = Field(examples=["2025-03-28T00:31:02.120Z"])
    channel: Channel
    slot: int
    start_utc: str
    revision: int
    final: bool
    gap: bool
    rows: dict[str, RowModel]


class ChangesPage(BaseModel):
    changes: list[ChangeModel]
    next: str | None


class RevisionModel(BaseModel):
    at: str
    slot: int
    start_utc: str
    revision: int
    wh: int
    wh_before: int | None
    readings: int
    expected: int
    final: bool


class RevisionsModel(BaseModel):
    label: str
    channel: Channel
    revisions: list[RevisionModel]
