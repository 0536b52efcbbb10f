"""From the feed's thread to the browsers: an open page is a `Screen`, and is sent what changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import Client
from nicegui.elements.echart.echart import EChart

from wattstorm.serve.page.now import Now

Parts = Mapping[str, str]
"""Id of an element → its HTML."""
Made = dict[object, Any]
"""What was already worked out of a `Now`, for all screens that show the same."""


class Screen:
    """One open page. key: what it shows; screens of the same key are made once.

    make: HTML by element; draw: the chart's options, if the page has one.
    """

    def __init__(
        self,
        client: Client,
        key: str,
        make: Callable[[Now], Parts],
        draw: Callable[[Now], Mapping[str, Any] | None] = lambda _: None,
    ) -> None:
        self.client, self.key, self.make, self.draw = client, key, make, draw
        self.shown: dict[str, str] = {}
        self.chart: EChart | None = None
        self._drawn: object = None

    def show(self, now: Now, made: Made) -> None:
        """Send what is other than what is there."""
        parts, options = self._of(now, made)
        new = {name: html for name, html in parts.items() if self.shown.get(name) != html}
        self.shown.update(new)
        if new:
            self.client.run_javascript(f"wattstorm.show({json.dumps(new)})")
        if self.chart is not None and options is not None and options is not self._drawn:
            self._drawn = options
            self.chart._props["options"] = options
            self.chart.update()

    def _of(self, now: Now, made: Made) -> tuple[Parts, Mapping[str, Any] | None]:
        if self.key not in made:
            made[self.key] = self.make(now), self.draw(now)
        found: tuple[Parts, Mapping[str, Any] | None] = made[self.key]
        return found


class Hub:
    """All open pages. `tell` may be called from any thread; the rest belongs to the event loop."""

    def __init__(self) -> None:
        self.now = Now()
        self._screens: set[Screen] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def tell(self, now: Now) -> None:
        """There is something new; several at once are shown as one."""
        self.now = now
        if self._loop is not None and not self._loop.is_closed() and not self._due:
            self._due = True
            self._loop.call_soon_threadsafe(self._push)

    def add(self, screen: Screen) -> None:
        self._screens.add(screen)
        screen.client.on_delete(lambda: self._screens.discard(screen))

    @property
    def open_pages(self) -> int:
        return len(self._screens)

    def _push(self) -> None:
        self._due = False
        now, made = self.now, Made()
        for screen in list(self._screens):
            if screen.client.has_socket_connection:
                screen.show(now, made)
