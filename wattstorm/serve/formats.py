"""What an answer looks like: JSON, CSV, Parquet or Arrow, as asked for; unchanged ones not sent."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import Request
from starlette.responses import Response

from wattstorm.readers.curve import Curve
from wattstorm.serve.problems import Refused

JSON, CSV = "application/json", "text/csv"
PARQUET, ARROW = "application/vnd.apache.parquet", "application/vnd.apache.arrow.stream"
TABLES: Final = (JSON, CSV, PARQUET, ARROW)


def chosen(accept: str, offered: Sequence[str] = TABLES) -> str:
    """The media type of `offered` that an Accept header wants most (RFC 9110, 12.5.1).

    >>> chosen("text/csv;q=0.5, application/*;q=0.1"), chosen("*/*"), chosen("")
    ('text/csv', 'application/json', 'application/json')
    """
    best, chosen = 0.0, ""
    ranges = [_range(each) for each in accept.split(",") if each.strip()] or [("*/*", 1.0)]
    for media in offered:
        kind = media.partition("/")[0] + "/*"
        fitting = [(len(name.rstrip("*")), q) for name, q in ranges if name in (media, kind, "*/*")]
        quality = max(fitting)[1] if fitting else 0.0
        if quality > best:
            best, chosen = quality, media
    if not chosen:
        raise Refused(406, f"nothing here is {accept!r:.100}", f"there is {', '.join(offered)}")
    return chosen


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return name, 0.0
    return name, 1.0


def answer(
    request: Request, body: bytes, media: str = JSON, headers: dict[str, str] | None = None
) -> Response:
    """The body with its ETag; without it (304) where the client has the same already."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    told = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization",
        **(headers or {}),
    }
    known = [each.strip().removeprefix("W/") for each in _header(request, "if-none-match")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=told)
    return Response(body, headers=told, media_type=media)


def as_json(request: Request, value: Any, headers: dict[str, str] | None = None) -> Response:
    return answer(request, orjson.dumps(value), JSON, headers)


def page(request: Request, value: dict[str, Any], more: str | None) -> Response:
    """One page; more: path of the page that follows, if one does."""
    return answer(request, orjson.dumps({**value, "next": more}), JSON, links(more))


def path_to(request: Request, **query: Any) -> str:
    """This path with another query; what is None is left out."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{request.url.path}?{urlencode(given, doseq=True)}"


def links(more: str | None) -> dict[str, str]:
    """The header that names the page that follows."""
    return {"Link": f'<{more}>; rel="next"'} if more else {}


def as_table(curves: Sequence[Curve], media: str) -> bytes:
    """Curves below each other, a row a slot: CSV, Parquet or Arrow's stream."""
    import polars as pl

    out = io.BytesIO()
    frame = pl.concat([curve.to_polars() for curve in curves])
    if media == PARQUET:
        frame.write_parquet(out)
    elif media == ARROW:
        frame.write_ipc_stream(out)
    else:
        frame.write_csv(out, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return out.getvalue()


def _header(request: Request, name: str) -> list[str]:
    return request.headers.get(name, "").split(",")
