"""What the page is tested on: a real store that a test may stop, the engine, `wattstorm serve`,
and pages in a real Chromium that must neither complain nor ask anybody else for anything."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page

from tests.register.registers import small_register
from tests.servers import TestServer, free_port
from tests.stream.town import Town, wait_until
from wattstorm.metering import block as blocks
from wattstorm.store.producer import Producer
from wattstorm.store.results import ResultStore

METERS, PARTITION = 240, 120
FIRST = 20_200 * 48 - 4
"""The slot that begins on Tuesday, 2025-04-22, at 00:00 in Paris."""
_MAIN = "from wattstorm.cli.main import main; main()"


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "no Chromium: requirements/system.sh python3 test installs it"
    return found


@dataclass
class Scene:
    """A store, an engine and a page on it. slot: the next one that nobody has sent."""

    store: TestServer
    town: Town
    address: str
    slot: int = FIRST
    held: list[subprocess.Popen[Any]] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def started(cls, directory: Path) -> Iterator[Scene]:
        store = TestServer(directory / "store", tcp=True, appendfsync="always")
        register = small_register(directory, METERS, PARTITION)
        town = Town(directory, store.tcp_url, register, {})
        scene = cls(store, town, f"http://127.0.0.1:{free_port()}")
        try:
            scene.held.append(town.engine(workers=1))
            scene.held.append(scene.serve(directory))
            scene.say(8 * 48 + 20)
            scene.wait_until_up()
            wait_until(scene.published, 60, "eight days to be published")
            yield scene
        finally:
            for process in reversed(scene.held):
                process.terminate()
            for process in scene.held:
                process.wait(20)
            store.stop()

    def serve(self, directory: Path) -> subprocess.Popen[Any]:
        """`wattstorm serve`, as a person would start it."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith("WATTSTORM_")}
        port = self.address.rpartition(":")[2]
        return subprocess.Popen(
            [sys.executable, "-c", _MAIN, "--data", str(directory), "serve", "--port", port],
            env={**mine, "REDIS_URL": self.town.url},
            cwd=directory,
        )

    def say(self, slots: int, *, silent: str = "") -> None:
        """Readings of the next slots into the log: a curve that rises and falls with the hour.
        silent: a region of which nobody reports."""
        meters = np.arange(METERS, dtype=np.uint32)
        if silent:
            meters = meters[meters % 3 != int(silent.removeprefix("region_"))]
        with self.town.connect() as connection:
            producer = Producer(
                self.town.log(connection), "scene", self.town.partitions, backlog_bytes=1 << 28
            )
            with producer:
                for at in range(0, slots, 24):
                    these = np.arange(self.slot + at, self.slot + min(at + 24, slots))
                    hour = ((these - FIRST) % 48 - 16) / 48
                    wh = 300 + 200 * np.sin(2 * np.pi * hour)[:, None] + meters % 7
                    for p in self.town.partitions:
                        mine = meters // PARTITION == p
                        slot, meter = (
                            np.repeat(these, mine.sum()),
                            np.tile(meters[mine], len(these)),
                        )
                        energy = wh[:, mine].ravel().astype(np.int64)
                        producer.send(blocks.readings(p, meter, slot, energy))
        self.slot += slots

    def published(self) -> bool:
        """Whether what was said stands in the curves."""
        with self.town.connect() as connection:
            results = ResultStore(connection, self.town.settings.store.prefix)
            newest = self.slot - 1
            row = results.curve(0, "nation", [newest // 48]).get(newest)
            return row is not None and row.readings == METERS

    def clock(self, back: int = 1) -> str:
        """Local begin of a slot that was sent, the newest one without more words."""
        at = (self.slot - back - FIRST) % 48
        return f"{at // 2:02}:{30 * (at % 2):02}"

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.address + "/", timeout=2).close()
                return
            assert all(process.poll() is None for process in self.held), "a process has ended"
            time.sleep(0.1)
        raise AssertionError(f"no page at {self.address}")


@contextlib.contextmanager
def opened(
    browser: Browser, scene: Scene, path: str = "/", *, width: int = 1280, dark: bool = False
) -> Iterator[Page]:
    """A page in a context of its own. At its end: no request went elsewhere, nothing complained."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    wrong: list[str] = []
    page.on("request", lambda r: None if _ours(r.url, scene) else wrong.append(r.url))
    page.on("websocket", lambda w: None if _ours(w.url, scene) else wrong.append(w.url))
    page.on("console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(scene.address + path)
    try:
        yield page
    finally:
        context.close()
    assert wrong == []


def _ours(url: str, scene: Scene) -> bool:
    host = scene.address.removeprefix("http://")
    return url.startswith((f"http://{host}/", f"ws://{host}/", "data:", "blob:"))
