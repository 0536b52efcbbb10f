"""What several tests of the store share."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.servers import TestServer
from wattstorm.store.connection import Connection

Start = Callable[..., TestServer]
Connect = Callable[..., Connection]


def incr(connection: Connection, key: str = "n") -> int:
    """The smallest write whose repetition can be seen."""
    return connection.run("count", lambda: connection.redis.incr(key))


def wait_for(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    """Until `condition()` is true; fails in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


# ---------------------------------------------------------------- the embedded store


def count(url: str) -> int:
    """`incr` on a connection of its own; a process can be started with it."""
    with Connection(url) as connection:
        return incr(connection)


def state(data: Path) -> dict:
    try:
        return json.loads((data / "store" / "server.json").read_text())
    except OSError:
        return {}


def server_pid(data: Path) -> int:
    """The process of the server in `data` if it runs, else 0."""
    pid = state(data).get("pid", 0)
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return pid if pid and words[0] != "Z" else 0


def servers_in(data: Path) -> list[str]:
    """The command lines of all server processes that work in `data`."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = each.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "-server" in line.partition(" ")[0] and f"{data}/store" in line:
            found.append(line)
    return found


HOLD = """
import sys, time
from wattstorm.store.server import EmbeddedServer
store = EmbeddedServer(sys.argv[1])
store.acquire()
print(store.url, flush=True)
sys.stdin.read() if len(sys.argv) < 3 else time.sleep(float(sys.argv[2]))
store.release()
"""


def run_holder(*args: object) -> subprocess.Popen[str]:
    """Another command that holds the store in a data directory, for so many seconds."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, args)], stdout=subprocess.PIPE, text=True
    )
