"""Errors as `application/problem+json` (RFC 9457): what, and the remedy."""

from __future__ import annotations

import logging
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from wattstorm.errors import DataError, StoreError, UsageError, WattstormError

PROBLEM_JSON: Final = "application/problem+json"
_log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What went wrong. `remedy` says what to do about it."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field("", examples=["the store has no curve 'tariff:bas_6'"])
    remedy: str = Field("", examples=["did you mean base_6?"])


class Refused(HTTPException):
    """A request that is not answered, with its remedy."""

    def __init__(
        self, status: int, what: str, remedy: str = "", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(status, what, headers)
        self.remedy = remedy


_TITLES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    413: "Content Too Large",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def problem(
    status: int, what: str = "", remedy: str = "", headers: dict[str, str] | None = None
) -> Response:
    body = Problem(
        type="about:blank",
        title=_TITLES.get(status, f"Status {status}"),
        status=status,
        detail=what,
        remedy=remedy,
    )
    return JSONResponse(body.model_dump(), status, headers, PROBLEM_JSON)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a path that may end so."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": _TITLES[status], "content": {PROBLEM_JSON: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """All errors of the app come as problems."""

    @app.exception_handler(WattstormError)
    def ours(request: Request, error: WattstormError) -> Response:
        if isinstance(error, StoreError):
            _log.warning("%s", error)
            # Not with its address: that is for who runs the server.
            return problem(503, "the store does not answer", "try again", {"Retry-After": "2"})
        if isinstance(error, UsageError | DataError):
            return problem(404, error.what, error.remedy)
        raise error

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return problem(error.status_code, error.detail, getattr(error, "remedy", ""), headers)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        told = "; ".join(
            f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()
        )
        return problem(422, told, "see /v1/openapi.json")

    @app.exception_handler(Exception)
    def unexpected(request: Request, error: Exception) -> Response:
        return problem(500, "the server failed; its log says why")
