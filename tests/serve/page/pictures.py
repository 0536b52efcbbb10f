"""The README's pictures of the page: `python -m tests.serve.page.pictures http://127.0.0.1:8710`.

Of a page that runs, such as that of `make demo`; waits for the evening of its day, when most is
there. Needs Chromium and what requirements/dev.txt installs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.serve.page.scene import chromium

OUT = Path(__file__).resolve().parents[3] / "docs" / "pictures"
EVENING = "() => /^(19|20|21):/.test(document.querySelector('time')?.textContent ?? '')"
PICTURES = (
    ("page", "/", 1180, 830, "light"),
    ("page-dark", "/", 1180, 830, "dark"),
    ("page-stream", "/stream", 1180, 830, "light"),
    ("page-phone", "/", 390, 780, "light"),
)


def main(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for name, path, width, height, scheme in PICTURES:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page.goto(address.rstrip("/") + path)
            if path == "/":
                page.wait_for_function(EVENING, timeout=90_000)
            page.wait_for_timeout(1000)
            page.screenshot(path=OUT / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
