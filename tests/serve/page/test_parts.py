"""What the page is made of, without a browser: its doctests, days beside each other, the door."""

from __future__ import annotations

import asyncio
import doctest
import importlib
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from wattstorm.metering.results import SlotChange, SlotResult
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.serve.access import Access
from wattstorm.serve.page.board import KEPT_DAYS, Board
from wattstorm.serve.page.door import COOKIE, Door
from wattstorm.serve.page.tables import table
from wattstorm.serve.page.views import scope_view
from wattstorm.settings import Settings

PARIS = LocalCalendar(SlotGrid(30), "Europe/Paris")
SPRING = date(2025, 3, 30)
"""A day of 46 half-hours: 02:00 to 03:00 is not there."""


@pytest.mark.parametrize("name", ["board", "figures", "markup", "outlook", "state", "tables"])
def test_the_doctests_are_the_specification(name: str) -> None:
    module = importlib.import_module(f"wattstorm.serve.page.{name}")
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def told(board: Board, day: date, wh: int, readings: int = 10) -> None:
    """Every slot of a local day."""
    for slot in PARIS.day_slots(day):
        row = SlotResult(wh + slot % 48, readings, 10, 1, final=readings == 10)
        board.apply(SlotChange(0, slot, 1, row.final, {"nation": row}))


def test_days_lie_beside_each_other_by_their_clocks() -> None:
    """A week after the clocks went forward: the hour that was skipped is empty, what comes after
    it stands at its own time."""
    board = Board(PARIS, ["nation"])
    told(board, SPRING, 1000)
    told(board, SPRING + timedelta(days=7), 2000)
    view = scope_view(board, "nation")
    skipped = [view.clocks.index(clock) for clock in ("02:00", "02:30")]
    assert [at for at, value in enumerate(view.last_week) if value is None] == skipped
    noon = view.clocks.index("12:00")
    of_then = board.day("nation", SPRING)[PARIS.day_slots(SPRING)[22]]
    assert view.last_week[noon] == 2 * of_then.wh
    assert view.at == 47


def test_a_slot_that_still_fills_is_scaled_and_said_to_be_provisional() -> None:
    """Half of the meters: no measured point falls to half the power; the dashed line goes on."""
    board = Board(PARIS, ["nation"])
    slots = PARIS.day_slots(SPRING)
    for slot, readings in ((slots[0], 10), (slots[1], 5)):
        row = SlotResult(100 * readings, readings, 10, 1, final=readings == 10)
        board.apply(SlotChange(0, slot, 1, row.final, {"nation": row}))
    view = scope_view(board, "nation")
    assert view.measured[:3] == [2000, None, None]
    assert view.provisional[:3] == [2000, 2000, None]
    assert view.power == 2000
    assert view.closed_coverage == 1


def test_a_day_begins_when_its_first_slot_is_measured() -> None:
    """Until then the page keeps the day before, whole, instead of an empty one."""
    board = Board(PARIS, ["nation"])
    told(board, SPRING, 1000)
    first = PARIS.day_slots(SPRING).stop
    for readings, day in ((3, SPRING), (10, SPRING + timedelta(days=1))):
        row = SlotResult(100 * readings, readings, 10, 1, final=False)
        board.apply(SlotChange(0, first, 1, False, {"nation": row}))
        assert board.today == day


def test_old_days_are_forgotten() -> None:
    board = Board(PARIS, ["nation"])
    for after in range(30):
        told(board, SPRING + timedelta(days=after), 100)
    assert len(board.rows["nation"]) <= (KEPT_DAYS + 1) * 48


def test_what_is_shown_cannot_be_markup() -> None:
    assert "<script>" not in table("<script>", ("<b>",), [("<script>alert(1)</script>",)])


async def _page(scope: Scope, receive: Receive, send: Send) -> None:
    """What is behind the door."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


def test_the_door_opens_to_tokens_and_to_loopback_only(tmp_path: Path) -> None:
    """On loopback readers need none; elsewhere a form asks for one, and the cookie opens until the
    token is revoked. Nothing may be loaded from elsewhere."""

    def asked(access: Access, *, token: str = "", form: str | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(Door(_page, access))
            cookies = {COOKIE: token} if token else None
            async with httpx.AsyncClient(
                transport=transport, base_url="https://w", cookies=cookies
            ) as client:
                if form is not None:
                    return await client.post("/sign-in", content=f"token={form}")
                return await client.get("/")

        return asyncio.run(ask())

    def access(**serve: object) -> Access:
        options = {f"serve.{name}": value for name, value in serve.items()}
        return Access(Settings.load(environ={}, options={"data.directory": tmp_path, **options}))

    here = asked(access())
    assert (here.status_code, here.text) == (200, "the page")
    assert "default-src 'self'" in here.headers["content-security-policy"]
    elsewhere = access(host="192.0.2.1", insecure=True)
    closed = asked(elsewhere)
    assert closed.status_code == 401
    assert "the page" not in closed.text
    secret = elsewhere.tokens.add("dispatch", "reader")
    assert "not known" in asked(elsewhere, form="ws_wrong").text
    signed_in = asked(elsewhere, form=secret)
    cookie = signed_in.headers["set-cookie"]
    assert all(word in cookie for word in (secret, "HttpOnly", "SameSite=strict", "Secure"))
    assert asked(elsewhere, token=secret).text == "the page"
    elsewhere.tokens.revoke("dispatch")
    assert asked(elsewhere, token=secret).status_code == 401
