"""The pages, as NiceGUI serves them under a FastAPI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from html import escape
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from nicegui import ui
from nicegui.element import Element
from starlette.routing import Mount

from wattstorm.readers.results import Results
from wattstorm.serve.page import chart, markup, state, stream
from wattstorm.serve.page.door import Door
from wattstorm.serve.page.feed import Feed
from wattstorm.serve.page.hub import Hub, Parts, Screen
from wattstorm.serve.page.now import Now
from wattstorm.serve.page.outlook import tomorrow

_BOLT = (
    '<svg viewBox="0 0 24 24" aria-hidden="true"><path fill="currentColor" '
    'd="M13.5 1 4 14h6.5L9 23l10.5-13.5H13z"/></svg>'
)
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#2f7ff0" '
    'd="M13.5 1 4 14h6.5L9 23l10.5-13.5H13z"/></svg>'
)
_PAGES = (("/", "Now"), ("/stream", "Stream"))
_LEGEND = (
    '<ul class="legend"><li><i></i>Today</li><li class="y"><i></i>Yesterday</li>'
    '<li class="w"><i></i>A week ago</li><li class="f"><i></i>Forecast and its 90 % band</li>'
    '<li class="c"><i></i>Coverage</li><li class="p"><i></i>still filling</li></ul>'
)


def mount(app: FastAPI, open_results: Callable[[], Results]) -> Feed:
    """Serve the page under `app` of `make_app`; what is at another path of it stays. The feed, with
    a client of its own, starts and ends with the application."""
    hub = Hub()
    feed = Feed(open_results, hub.tell)
    _nation_page(hub)
    _stream_page(hub)
    ui.run_with(
        app,
        title="wattstorm",
        favicon=_ICON,
        language="en-GB",
        dark=False,
        tailwind=False,
        message_history_length=100,
        show_welcome_message=False,
    )
    ours = app.routes[-1]
    assert isinstance(ours, Mount)
    ours.app = Door(ours.app, app.state.access)
    _with_feed(app, feed, hub)
    return feed


def _with_feed(app: FastAPI, feed: Feed, hub: Hub) -> None:
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(of: FastAPI) -> Any:
        async with AsyncExitStack() as stack:
            carried = await stack.enter_async_context(inner(of))
            hub.begin(asyncio.get_running_loop())
            feed.start()
            try:
                yield carried
            finally:
                await asyncio.to_thread(feed.stop)

    app.router.lifespan_context = lifespan


# ---------------------------------------------------------------- the frame


def _frame(path: str, now: Now) -> None:
    """Style, head with the landmarks, and where the state is said."""
    here = files("wattstorm.serve.page")
    css, js = (here.joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    ui.add_head_html(f"<style>{css}</style><script>{js}</script>")
    nav = "".join(
        f'<a href="{to}"{" aria-current=" + chr(34) + "page" + chr(34) if to == path else ""}>'
        f"{name}</a>"
        for to, name in _PAGES
    )
    with ui.header(fixed=False, wrap=False).classes("top"):
        ui.html(
            '<a class="skip" href="#title">To the content</a>'
            f'<div class="bar-top"><a class="brand" href="/">{_BOLT}wattstorm</a>'
            f'<nav aria-label="Pages">{nav}</nav><div class="end">'
            f'<span id="pill" role="status">{state.pill(now)}</span>'
            '<button class="theme" type="button"><span class="auto">Theme: as the system</span>'
            '<span class="light">Theme: light</span><span class="dark">Theme: dark</span>'
            "</button></div></div>",
            sanitize=False,
        )


def _place(parts: Parts, name: str, tag: str = "div", classes: str = "", **props: str) -> Element:
    """An element whose content is pushed: its id is the part's name."""
    attributes = {"id": name, **{key.replace("_", "-"): value for key, value in props.items()}}
    element = ui.element(tag).classes(classes)
    element._props.update({**attributes, "innerHTML": parts.get(name, "")})
    return element


def _section(heading: str, classes: str = "card") -> Element:
    """A landmark with its heading."""
    name = "h-" + "".join(c for c in heading.lower() if c.isalnum())
    section = ui.element("section").classes(classes)
    section._props["aria-labelledby"] = name
    with section, ui.element("div").classes("head"):
        ui.element("h2")._props.update({"id": name, "innerHTML": heading})
    return section


def _ready(hub: Hub, screen: Screen, parts: Parts) -> None:
    """The screen as it is now, and from here on with each push."""
    screen.shown = dict(parts)
    hub.add(screen)
    # What changed between making the page and its first breath.
    screen.client.on_connect(lambda: screen.show(hub.now, {}))


def _common(now: Now) -> dict[str, str]:
    return {"pill": state.pill(now), "banner": state.banner(now)}


# ---------------------------------------------------------------- the pages


def nation_parts(now: Now, label: str) -> dict[str, str]:
    """The page of a scope, by element."""
    view = now.views.get(label)
    if view is None:
        said = "The nation" if label == "nation" else f"No curve is called {label}"
        found = dict.fromkeys(("hero", "tiles", "tariffs", "regions", "tomorrow", "values"), "")
        return _common(now) | found | {"title": said, "alarms": markup.alarms(now.alarms)}
    return _common(now) | {
        "title": escape(f"{markup.title(view)} now"),
        "hero": markup.hero(view),
        "tiles": markup.tiles(view),
        "alarms": markup.alarms(now.alarms),
        "tariffs": markup.tariffs(now, label),
        "regions": markup.regions(now, label),
        "tomorrow": tomorrow(now.outlook),
        "values": markup.curve_table(view),
    }


def _nation_page(hub: Hub) -> None:
    @ui.page("/", title="wattstorm: now")
    def nation(of: str = "nation") -> None:
        now = hub.now
        _frame("/", now)
        parts = nation_parts(now, of)

        def draw(now: Now) -> Mapping[str, Any] | None:
            view = now.views.get(of)
            return chart.options(view) if view else None

        screen = Screen(ui.context.client, f"/?{of}", lambda n: nation_parts(n, of), draw)
        with ui.element("div").classes("sheet"):
            _place(parts, "banner", role="status")
            with _section("Alarms", "alarms quiet"):
                _place(parts, "alarms")
            with ui.element("div").classes("hero"):
                with ui.element("div"):
                    _place(parts, "title", "h1", tabindex="-1")
                    _place(parts, "hero")
                _place(parts, "tiles", "dl", "tiles")
            with _section("The day's curve") as section:
                with section.default_slot.children[0]:
                    ui.html(_LEGEND, sanitize=False)
                screen.chart = ui.echart(dict(draw(now) or {}), renderer="svg").classes("chart")
                screen.chart._props.update(
                    {
                        "role": "img",
                        "aria-label": "Curve of the day; the table below has its values",
                    }
                )
                with ui.element("details"):
                    ui.element("summary")._props["innerHTML"] = "The curve as a table"
                    _place(parts, "values")
            with ui.element("div").classes("columns"):
                with _section("Tariffs"):
                    _place(parts, "tariffs", "ul", "cards")
                with ui.element("div").classes("stack"):
                    with _section("Regions"):
                        _place(parts, "regions")
                    with _section("Tomorrow"):
                        _place(parts, "tomorrow")
        _ready(hub, screen, parts)


def _stream_page(hub: Hub) -> None:
    @ui.page("/stream", title="wattstorm: the stream")
    def show() -> None:
        _frame("/stream", hub.now)

        def make(now: Now) -> Parts:
            return _common(now) | {"title": "The stream"} | stream.parts(now)

        parts = make(hub.now)
        with ui.element("div").classes("sheet"):
            _place(parts, "banner", role="status")
            _place(parts, "title", "h1", tabindex="-1")
            _place(parts, "rates", "dl", "tiles")
            with _section("Alarms", "alarms card"):
                _place(parts, "alarms")
            with _section("What became of all readings"):
                _place(parts, "accounts")
                _place(parts, "rejects")
            with ui.element("div").classes("columns"):
                with _section("Partitions"):
                    _place(parts, "lags")
                with _section("Latency"):
                    _place(parts, "waits")
            with _section("Tasks"):
                _place(parts, "tasks")
            with _section("Models"):
                _place(parts, "models")
        _ready(hub, Screen(ui.context.client, "/stream", make), parts)
