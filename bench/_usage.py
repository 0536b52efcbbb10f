"""What this process and all that it started take: memory, bytes written, CPU time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

LOOK_S = 1.0
WORKER, STORE, OTHER = "worker", "store", "other"
"""Roles: a worker of the engine; Redis or Valkey; all else, such as what generates."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """memory: proportional set sizes now, bytes; written: bytes given to disks; cpu_s: user and
    system. Of written and cpu_s, those of children that have ended are in their parent's; of
    cpu_s, `ended_s` is theirs. role: what the process is, by its command line."""

    memory: int
    written: int
    cpu_s: float
    ended_s: float
    role: str


def usage(root: int | None = None) -> dict[int, Usage]:
    """By process: `root` (this one) and its descendants."""
    return {pid: found for pid in _tree(root or os.getpid()) if (found := _of(pid))}


def total(parts: Iterable[Usage], role: str = "") -> Usage:
    """Of all of them, or of those with this role."""
    listed = [u for u in parts if role in ("", u.role)]
    return Usage(
        sum(u.memory for u in listed),
        sum(u.written for u in listed),
        sum(u.cpu_s for u in listed),
        sum(u.ended_s for u in listed),
        role,
    )


class Peak:
    """Looks once a second at the memory of the whole tree; `bytes` is the most that it saw,
    `parts` who held it then."""

    def __init__(self) -> None:
        self.bytes = 0
        self.parts: list[Usage] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            seen = list(usage().values())
            if (held := total(seen).memory) > self.bytes:
                self.bytes, self.parts = held, seen
            # A look at gigabytes takes time that the run would have had.
            self._stop.wait(max(LOOK_S, 50 * (time.monotonic() - begun)))


def _tree(root: int) -> list[int]:
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has just ended
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _of(pid: int) -> Usage | None:
    try:
        said = Path(f"/proc/{pid}/smaps_rollup").read_text()
        io = Path(f"/proc/{pid}/io").read_text()
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return None
    pss = next(int(x.split()[1]) * 1024 for x in said.splitlines() if x.startswith("Pss:"))
    written = next(int(x.split()[1]) for x in io.splitlines() if x.startswith("write_bytes:"))
    own, ended = (sum(map(int, stat[i : i + 2])) / _TICKS for i in (11, 13))
    return Usage(pss, written, own + ended, ended, _role(command))


def _role(command: str) -> str:
    if "wattstorm.engine.worker" in command:
        return WORKER
    return STORE if "redis-server" in command or "valkey-server" in command else OTHER
