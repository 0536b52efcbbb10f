"""Following what is published: every change once, in order, whatever happens to the store."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from datetime import date

import pytest

from tests.readers.publishing import PARIS, Published
from tests.servers import TestServer
from wattstorm.errors import UsageError
from wattstorm.readers.results import Change, Results
from wattstorm.settings import Settings

DAY = date(2025, 10, 25)
FIRST = PARIS.day_slots(DAY)[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    directory = tmp_path_factory.mktemp("ws")
    with TestServer(directory, tcp=True, appendfsync="always") as server:
        yield server


@pytest.fixture
def publish(server: TestServer) -> Iterator[Published]:
    with contextlib.closing(Published(server.url)) as published:
        yield published


@pytest.fixture
def results(server: TestServer, publish: Published) -> Iterator[Results]:
    settings = Settings.load(environ={}, options={"store.url": server.url})
    with Results.open(settings) as client:
        yield client


def slots(changes: list[Change]) -> list[int]:
    return [change.slot - FIRST for change in changes]


def test_changes_come_as_they_happen_once_and_in_order(
    results: Results, publish: Published
) -> None:
    """What was there before is not told; the id of the last one leads on from there."""
    publish({FIRST: 10})
    told = results.follow(idle_s=5)
    begin = threading.Timer(0.2, lambda: publish({FIRST + 1: 20, FIRST + 2: 30}))
    begin.start()
    seen = [next(told), next(told)]
    assert slots(seen) == [1, 2]
    row = seen[0].rows["nation"]
    assert (row.wh, seen[0].final, seen[0].channel, seen[0].gap) == (20, True, "import", False)
    assert seen[0].start.isoformat() == "2025-10-24T22:30:00+00:00"
    assert abs(seen[0].at.timestamp() - time.time()) < 60
    publish({FIRST + 3: 40})
    assert slots(list(results.follow(seen[0].id, idle_s=0))) == [2, 3]
    assert slots(list(results.follow("", idle_s=0))) == [0, 1, 2, 3]
    assert slots(results.changes("", limit=2)) == [0, 1]
    assert slots(results.changes(results.changes("", limit=2)[-1].id)) == [2, 3]
    with pytest.raises(UsageError, match="as the place of a change"):
        results.changes("yesterday")


def test_asyncio_follows_without_holding_the_loop(results: Results, publish: Published) -> None:
    async def follow() -> tuple[list[Change], int]:
        ticks, seen = 0, []

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, lambda: publish({FIRST: 10, FIRST + 1: 20}))
        async with contextlib.aclosing(results.follow_async()) as told:
            async for change in told:
                seen.append(change)
                if len(seen) == 2:
                    break
        ticking.cancel()
        return seen, ticks

    seen, ticks = asyncio.run(follow())
    assert slots(seen) == [0, 1]
    assert ticks > 3


def test_a_store_that_is_killed_and_comes_back_is_followed_on(
    results: Results, publish: Published, server: TestServer
) -> None:
    """No change is told twice, none is left out, and there was no gap."""
    publish({FIRST: 10})
    told = results.follow("", idle_s=20)
    seen = [next(told)]
    server.kill()
    threading.Timer(0.5, server.start).start()
    later = threading.Timer(2.0, lambda: publish({FIRST + 1: 20}))
    later.start()
    seen.append(next(told))
    later.join()
    assert slots(seen) == [0, 1]
    assert not any(change.gap for change in seen)


def test_what_the_log_lost_is_said_as_a_gap(results: Results, publish: Published) -> None:
    """Behind the oldest entry that the bound has left, and after the store went back to a state
    where other changes have the same numbers."""
    publish({FIRST + i: i for i in range(10)})
    first, *_ = results.changes("", limit=1)
    publish.trim(5)
    later = list(results.follow(first.id, idle_s=0))
    assert slots(later) == [5, 6, 7, 8, 9]
    assert [change.gap for change in later] == [True, False, False, False, False]
    publish.begin_anew()
    publish({FIRST + 20 + i: i for i in range(12)})
    again = list(results.follow(later[-1].id, idle_s=0))
    assert slots(again) == [30, 31]
    assert [change.gap for change in again] == [True, False]


def test_revisions_say_what_was_said_before_and_when(results: Results, publish: Published) -> None:
    publish({FIRST: 10, FIRST + 1: 5}, final=False)
    publish({FIRST: 12})
    publish({FIRST + 60: 7})  # another day
    told = results.revisions("nation", DAY)
    said = [(each.slot - FIRST, each.wh, each.wh_before, each.final) for each in told]
    assert said == [(0, 10, None, False), (1, 5, None, False), (0, 12, 10, True)]
    assert [each.wh for each in results.revisions("tariff:a", DAY)] == [3, 1, 4]
    assert told[0].at <= told[2].at
    assert results.revisions("nation", DAY, channel="export") == []
