"""/v1/health: what became of every reading, how far the stream is, who works on it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from wattstorm.readers.results import Results
from wattstorm.serve.access import at_least
from wattstorm.serve.formats import as_json
from wattstorm.serve.problems import documented
from wattstorm.serve.state import Client
from wattstorm.serve.tokens import Role

router = APIRouter(tags=["health"])


class ConservationModel(BaseModel):
    """received = accepted + rejected + doubles."""

    received: int
    accepted: int
    doubles: int
    rejected: dict[str, int] = Field(examples=[{"too_old": 12}])
    refused_blocks: int
    poison_blocks: int
    holds: bool


class LagModel(BaseModel):
    partition: int
    tail: int = Field(description="last position of the log")
    fence: int = Field(description="last position in the sums")
    waiting_blocks: int
    waiting_bytes: int
    fault: str = Field(description="why the partition stands still; empty: it does not")


class TaskModel(BaseModel):
    """A process of the stream."""

    topology: str
    worker: str = Field(examples=["aggregate-0"])
    state: str
    alive: bool
    restarts: int


class HealthModel(BaseModel):
    running: bool = Field(description="an engine gave a sign of life lately")
    store: str = Field(examples=["Redis 7.0.15"])
    append_only: bool
    warnings: list[str]
    waiting_blocks: int
    dead_letters: int
    conservation: ConservationModel
    lag: list[LagModel]
    tasks: list[TaskModel]


class Alive(BaseModel):
    status: str = Field(examples=["ok"])


@router.get("/healthz", response_model=Alive)
def alive() -> Response:
    """That the server runs; of the store it says nothing, and it asks for no token."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/v1/health",
    response_model=HealthModel,
    responses={304: {"description": "Not Modified"}, **documented(401, 429, 503)},
    dependencies=[Depends(at_least(Role.READER))],
)
def health(request: Request, results: Client) -> Response:
    """Lag, what was refused and why, and the processes; without names of machines or files."""
    return as_json(request, gathered(results))


def gathered(results: Results) -> dict[str, Any]:
    """What `HealthModel` says, in plain values."""
    health = results.health()
    names = ("topology", "worker", "state")
    return {
        "running": health.running,
        "store": health.store,
        "append_only": health.append_only,
        "warnings": list(health.warnings),
        "waiting_blocks": health.waiting_blocks,
        "dead_letters": health.dead_letters,
        "conservation": results.conservation().as_dict(),
        "lag": [{**asdict(lag), "waiting_blocks": lag.waiting_blocks} for lag in results.lag()],
        "tasks": [
            {
                **{name: str(worker.get(name, "")) for name in names},
                "alive": bool(worker["alive"]),
                "restarts": int(worker.get("restarts") or 0),
            }
            for worker in health.workers
        ],
    }
