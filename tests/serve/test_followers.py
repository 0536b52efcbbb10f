"""Changes as they happen, to many at once, with memory that is bounded whoever is slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.readers.publishing import PARIS, Published
from tests.serve.conftest import SUNDAY, serving, settings_for
from tests.servers import TestServer
from wattstorm.readers.results import Results
from wattstorm.serve.fanout import QUEUED, Ended, Fanout, Full, TooSlow

AFTERNOON = PARIS.day_slots(SUNDAY)[30:]


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    kind = ""
    async for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))
        elif line.startswith(": you follow"):
            yield "began", {}


def test_two_hundred_followers_get_each_change_once_in_order(
    api: httpx.Client, publish: Published
) -> None:
    """From one reader of the log; each only of the scope that it asked for."""
    many, changes = 200, 5

    async def follow(client: httpx.AsyncClient, at: int, began: asyncio.Semaphore) -> list[int]:
        scope = ("nation", "tariff:a")[at % 2]
        seen = []
        async with client.stream("GET", "/v1/changes/stream", params={"scope": scope}) as answer:
            async for kind, told in events(answer.aiter_lines()):
                if kind == "began":
                    began.release()
                    continue
                assert list(told["rows"]) == [scope]
                seen.append(told["slot"])
                if len(seen) == changes:
                    return seen
        return seen

    async def all_of_them() -> list[list[int]]:
        began = asyncio.Semaphore(0)
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=api.base_url, timeout=60, limits=limits) as client:
            following = [asyncio.create_task(follow(client, i, began)) for i in range(many)]
            for _ in range(many):
                await began.acquire()
            for slot in AFTERNOON[:changes]:
                await asyncio.to_thread(publish, {slot: 7})
            return await asyncio.gather(*following)

    wanted = list(AFTERNOON[:changes])
    assert asyncio.run(all_of_them()) == many * [wanted]
    deadline = time.monotonic() + 10
    while "wattstorm_followers 0.0" not in api.get("/metrics").text:
        assert time.monotonic() < deadline, "followers who have left are still counted"
        time.sleep(0.2)


def test_who_comes_back_with_its_last_id_misses_nothing(
    api: httpx.Client, publish: Published
) -> None:
    publish({AFTERNOON[10]: 1})
    last = api.get("/v1/changes").json()["changes"][-1]["id"]
    publish({AFTERNOON[11]: 2, AFTERNOON[12]: 3})

    async def follow() -> list[int]:
        seen = []
        headers = {"Last-Event-ID": last}
        async with (
            httpx.AsyncClient(base_url=api.base_url, timeout=20) as client,
            client.stream("GET", "/v1/changes/stream", headers=headers) as answer,
        ):
            async for kind, told in events(answer.aiter_lines()):
                if kind == "change":
                    seen.append(told["slot"])
                if len(seen) == 2:
                    await asyncio.to_thread(publish, {AFTERNOON[13]: 4})
                if len(seen) == 3:
                    return seen
        return seen

    assert asyncio.run(follow()) == list(AFTERNOON[11:14])
    paged = api.get("/v1/changes", params={"after": last, "limit": 2}).json()
    assert [change["slot"] for change in paged["changes"]] == list(AFTERNOON[11:13])
    assert api.get(paged["next"]).json()["changes"][0]["slot"] == AFTERNOON[13]


def test_a_slow_listener_is_let_go_with_a_reason_and_the_others_go_on(
    redis: TestServer, publish: Published, tmp_path: Path
) -> None:
    """Its queue holds no more than its bound, however much is published."""

    async def listen() -> None:
        with Results.open(settings_for(redis, tmp_path)) as results:
            fanout = Fanout(results, most=2)
            fanout.start()
            try:
                with fanout.listening(queued=3) as slow, fanout.listening() as quick:
                    with pytest.raises(Full, match="2 clients"), fanout.listening():
                        pass
                    await asyncio.sleep(0.3)
                    for slot in AFTERNOON[:8]:
                        await asyncio.to_thread(publish, {slot: 100 + publish.revision})
                    seen = [await quick.next(10) for _ in range(8)]
                    assert [change.slot for change in seen if change] == list(AFTERNOON[:8])
                    assert fanout.dropped == 1
                    with pytest.raises(TooSlow, match="3 changes waited"):
                        await slow.next(1)
                    await fanout.stop()
                    with pytest.raises(Ended):
                        await quick.next(1)
            finally:
                await fanout.stop()
            assert len(fanout) == 0

    asyncio.run(listen())


def test_a_follower_more_than_may_be_is_told_to_come_back(
    redis: TestServer, publish: Published, tmp_path: Path
) -> None:
    with serving(settings_for(redis, tmp_path, followers=1)) as api, contextlib.ExitStack() as held:
        first = held.enter_context(api.stream("GET", "/v1/changes/stream"))
        lines = first.iter_lines()  # it is closed when nobody holds this
        assert next(lines).startswith(": you follow")
        refused = api.get("/v1/changes/stream")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
        unknown = api.get("/v1/changes/stream", params={"scope": "tariff:z"})
        assert unknown.status_code == 503


def test_a_client_that_reads_nothing_takes_no_more_than_its_queue(
    redis: TestServer, publish: Published, tmp_path: Path
) -> None:
    """Its socket's buffers are full, so the server holds its queue; at its bound it is let go."""
    with (
        serving(settings_for(redis, tmp_path)) as api,
        socket.create_connection((api.base_url.host, api.base_url.port)) as stuck,
    ):
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.sendall(b"GET /v1/changes/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stuck.recv(15) == b"HTTP/1.1 200 OK"
        deadline = time.monotonic() + 100
        while "wattstorm_followers_dropped_total 1.0" not in api.get("/metrics").text:
            for _ in range(QUEUED // 2):
                publish(dict.fromkeys(AFTERNOON[:8], publish.revision))
            assert time.monotonic() < deadline
