"""/v1/changes: what is published, as a list to page through, and as it happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Send

from wattstorm.errors import WattstormError
from wattstorm.readers.change import Change
from wattstorm.readers.changes import AT_ONCE
from wattstorm.readers.results import Results
from wattstorm.serve import models
from wattstorm.serve.access import at_least
from wattstorm.serve.fanout import Ended, Fanout, Full, TooSlow
from wattstorm.serve.formats import page, path_to
from wattstorm.serve.problems import Refused, documented
from wattstorm.serve.state import Changes, Client
from wattstorm.serve.tokens import Role

EVENTS: Final = "text/event-stream"
PULSE_S: Final = 15.0
"""After so long a line that says nothing, so that proxies keep the connection."""
STUCK_S: Final = 30.0
"""A client whose buffers take nothing for so long is let go."""
CATCH_UP: Final = 64
"""So many pages of the log, at most, are sent to who comes back, before it follows."""
_log = logging.getLogger(__name__)

router = APIRouter(
    prefix="/v1/changes",
    tags=["changes"],
    dependencies=[Depends(at_least(Role.READER))],
    responses=documented(401, 404, 422, 429, 503),
)
PLACE: Final = r"^([0-9]{1,18}-[0-9a-f]{1,40})?$"
Place = Annotated[str, Query(max_length=64, pattern=PLACE, description="id of a change")]
Scopes = Annotated[list[str] | None, Query(max_length=1000, description="without: all")]


@router.get("", response_model=models.ChangesPage, responses={304: {"description": "Not Modified"}})
def changes(
    request: Request,
    results: Client,
    after: Place = "",
    scope: Scopes = None,
    limit: Annotated[int, Query(ge=1, le=AT_ONCE)] = AT_ONCE,
) -> Response:
    """What the log holds behind `after` (without: from the oldest on), each slot as it was
    published. `next` is there as long as there is more."""
    found = results.changes(after, limit)
    more = path_to(request, after=found[-1].id, scope=scope, limit=limit) if found else None
    told = [change.of(scope).as_dict() if scope else change.as_dict() for change in found]
    return page(request, {"changes": told}, more)


@router.get(
    "/stream",
    response_class=StreamingResponse,
    responses={200: {"content": {EVENTS: {"schema": {"type": "string"}}}}},
)
async def stream(
    results: Client,
    fanout: Changes,
    scope: Scopes = None,
    last_event_id: Annotated[
        str, Header(pattern=PLACE, max_length=64, description="goes on behind it")
    ] = "",
) -> Response:
    """Server-sent events: `change`, as in /v1/changes, with its id; `dropped`, with the reason,
    before the server ends it. A client that comes back with Last-Event-ID misses none that the
    log still holds; where it does, the next change says `gap`."""
    if len(fanout) >= fanout.most:
        raise Refused(
            503, f"{fanout.most:,} clients follow already", "try again", {"Retry-After": "30"}
        )
    if scope:
        known = await run_in_threadpool(lambda: results.labels)
        if unknown := sorted(set(scope) - set(known)):
            raise Refused(404, f"the store has no curve {unknown[0]!r}", "see scopes in /v1/")
    told = _events(fanout, results, last_event_id, tuple(scope or ()))
    return Events(told, media_type=EVENTS, headers={"Cache-Control": "no-store"})


class Events(StreamingResponse):
    """Ends where the client takes nothing any more."""

    async def stream_response(self, send: Send) -> None:
        async def timed(message: Message) -> None:
            async with asyncio.timeout(STUCK_S):
                await send(message)

        try:
            await super().stream_response(timed)
        except TimeoutError:
            _log.warning("a client that follows took nothing for %g s: let go", STUCK_S)


async def _events(
    fanout: Fanout, results: Results, after: str, labels: tuple[str, ...]
) -> AsyncIterator[bytes]:
    try:
        with fanout.listening() as listener:
            yield b": you follow the changes\nretry: 2000\n\n"
            last = 0
            async for change in _missed(results, after):
                last = _position(change)
                yield fanout.encoded(change, labels, _event)
            while True:
                told = await listener.next(PULSE_S)
                if told is None:
                    yield b": nothing new\n\n"
                elif _position(told) > last or told.gap:
                    last = 0  # what waited meanwhile is passed
                    yield fanout.encoded(told, labels, _event)
    except Ended:
        yield _dropped("the server stops; come back with the id of your last change")
    except (TooSlow, Full) as error:
        yield _dropped(str(error))
    except WattstormError as error:
        _log.warning("%s", error)
        yield _dropped("the store does not answer; come back")


async def _missed(results: Results, after: str) -> AsyncIterator[Change]:
    """What the log holds behind the place that the client had come to."""
    for _ in range(CATCH_UP if after else 0):
        found = await run_in_threadpool(results.changes, after, AT_ONCE)
        for change in found:
            yield change
        if not found:
            return
        after = found[-1].id


def _event(change: Change, labels: tuple[str, ...]) -> bytes:
    told = (change.of(labels) if labels else change).as_dict()
    return b"event: change\nid: %b\ndata: %b\n\n" % (change.id.encode(), orjson.dumps(told))


def _dropped(reason: str) -> bytes:
    told: dict[str, Any] = {"reason": reason}
    return b"event: dropped\ndata: %b\n\n" % orjson.dumps(told)


def _position(change: Change) -> int:
    return int(change.id.partition("-")[0])
