"""One store, one engine, one server and one browser for all tests of the page."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.serve.page.scene import Scene, chromium


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A town of 240 homes with eight days of curves; what a test adds, the next one finds."""
    directory = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    with Scene.started(directory) as scene:
        yield scene
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # No name but the server's address is resolved: what would leave loopback fails, and shows.
        rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", rules]
        )
        yield browser
        browser.close()
