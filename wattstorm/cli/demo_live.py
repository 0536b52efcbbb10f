"""`wattstorm demo` after its two weeks: the town goes on, a half-hour a second, with the page."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from wattstorm.errors import StreamError
from wattstorm.processes import end_with_parent

if TYPE_CHECKING:
    from generator.feed.publish import Job

SPEED: Final = 1800.0
"""Times real time: a half-hour each second."""
DAYS: Final = 366
FORETOLD_DAYS: Final = 45
"""So many of them have their weather in the log when the demo begins; those beyond are forecast
without. A book keeps sixty days."""
PORT: Final = 8710
UP_S: Final = 30.0
SAID: Final = "The town goes on, a half-hour each second, until Ctrl-C. Its page:"
_SERVE: Final = "from wattstorm.cli.main import main; main()"


def celsius_after(day: date, celsius: float, seed: int) -> list[float]:
    """Daily means of the DAYS after a day of `celsius`: a season, coldest at the end of January,
    and what is off it, of which three quarters stay for the next day. Invented."""
    rng, found = np.random.default_rng(seed), []
    away = celsius - _season(day)
    for n in range(1, DAYS + 1):
        away = 0.75 * away + rng.normal(0, 2.0)
        found.append(round(_season(day + timedelta(n)) + away, 1))
    return found


def _season(day: date) -> float:
    return 12.0 - 8.0 * math.cos(2 * math.pi * (day - date(day.year, 1, 26)).days / 365.25)


def going_on(job: Job, after: date) -> Job:
    """The same town from the day after on."""
    days = tuple(after + timedelta(days=n) for n in range(1, DAYS + 1))
    return replace(job, days=days, speed=SPEED, ledger=None)


@dataclass(frozen=True)
class Page:
    """`wattstorm serve` on the demo's store, in a process of its own."""

    address: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Until it answers; StreamError if it does not."""
        deadline = time.monotonic() + UP_S
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(urllib.error.URLError, OSError):
                urllib.request.urlopen(self.address, timeout=1).close()
                return
            time.sleep(0.1)
        raise StreamError(f"no page at {self.address}", "the messages above say why")


@contextlib.contextmanager
def page(data: Path, port: int) -> Iterator[Page]:
    """Starts it; it ends with the demo."""
    port = free_port(port)
    command = [sys.executable, "-c", _SERVE, "--config", os.devnull, "--data", str(data)]
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("WATTSTORM_", "REDIS_URL"))}
    process = subprocess.Popen(
        [*command, "serve", "--port", str(port)],
        env=mine,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the demo, which ends the page last
        preexec_fn=lambda: end_with_parent(signal.SIGTERM),
    )
    try:
        yield Page(f"http://127.0.0.1:{port}/", process)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def free_port(wanted: int) -> int:
    """The port, or another one if somebody has it."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise OSError("no port is free on 127.0.0.1")
