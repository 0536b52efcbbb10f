"""Many clients that follow the changes of one `wattstorm serve`, over bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wattstorm.settings import Settings

_SLOT = re.compile(rb'"slot":(\d+)')
_MAIN = "from wattstorm.cli.main import main; main()"


@dataclass
class Following:
    """seen: slot → when each follower had it, s of CLOCK_MONOTONIC; alive: followers to the end."""

    seen: dict[int, list[float]] = field(default_factory=dict)
    alive: int = 0


@contextlib.contextmanager
def served(settings: Settings) -> Iterator[tuple[str, int, int]]:
    """(host, port, pid) of a server in a process of its own."""
    command = [sys.executable, "-c", _MAIN, "--data", str(settings.data.directory), "serve"]
    environ = {"WATTSTORM_STORE_URL": settings.store.url, "PATH": "/usr/bin:/bin"}
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [*command, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**environ, "PYTHONPATH": root},
    )
    try:
        assert process.stdout
        host, _, port = process.stdout.readline().strip().removeprefix("http://").partition(":")
        yield host, int(port), process.pid
    finally:
        process.terminate()
        process.wait(20)


async def follow(host: str, port: int, clients: int, told: Following) -> list[asyncio.Task[None]]:
    """Connected and begun, all of them; each ends when the server does, or is cancelled."""
    begun = asyncio.Semaphore(0)

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"GET /v1/changes/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        told.alive += 1
        try:
            while line := await reader.readline():
                if line.startswith(b": you follow"):
                    begun.release()
                elif line.startswith(b"data: ") and (found := _SLOT.search(line)):
                    told.seen.setdefault(int(found[1]), []).append(time.monotonic())
        finally:
            told.alive -= 1
            writer.close()

    tasks = [asyncio.create_task(one()) for _ in range(clients)]
    for _ in range(clients):
        await begun.acquire()
    return tasks


def memory_mb(pid: int) -> float:
    """Resident, of a process."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) / 1024
