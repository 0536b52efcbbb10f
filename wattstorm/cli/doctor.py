"""`wattstorm doctor`: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from wattstorm.cli.common import open_register, register_directory, settings_of
from wattstorm.cli.output import console, print_json, table
from wattstorm.errors import WattstormError
from wattstorm.settings import Settings
from wattstorm.store.binary import candidates, choose_binary
from wattstorm.store.connection import open_connection

NEEDED = ("numpy", "numba", "polars", "redis", "hiredis", "streamparse", "typer", "rich", "tzdata")
OLDEST_PYTHON = (3, 11)
FREE_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """state: "ok", "warning" or "fault"; only a fault makes `doctor` fail."""

    check: str
    state: str
    found: str
    remedy: str = ""


def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list of findings.")] = False,
) -> None:
    """\b
    wattstorm doctor

    Check Python, packages, the server program, the store, the data directory, the register and
    the disk; each fault with its remedy. Exit code 1 if there is a fault.
    """
    settings = settings_of(context)
    findings = list(examine(settings))
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        rows = [(f.state, f.check, f.found) for f in findings]
        out = console()
        print(table(("", "check", "found"), rows))
        for finding in findings:
            if finding.remedy:
                out.print(f"{finding.check}: {finding.remedy}", soft_wrap=True, markup=False)
    if any(finding.state == "fault" for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings, each check by itself."""
    for name, check in _CHECKS.items():
        try:
            yield from check(settings)
        except WattstormError as error:
            yield Finding(name, "fault", error.what, error.remedy)


def _python(_: Settings) -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        yield Finding("python", "ok", f"{found}, {sys.executable}")
    else:
        yield Finding("python", "fault", found, "use Python 3.11 or later")


def _packages(_: Settings) -> Iterator[Finding]:
    missing, versions = [], []
    for name in NEEDED:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        remedy = "pip install -r requirements/run.txt"
        yield Finding("packages", "fault", f"missing: {', '.join(missing)}", remedy)
    else:
        yield Finding("packages", "ok", ", ".join(versions))


def _server(settings: Settings) -> Iterator[Finding]:
    if settings.store.url:
        yield Finding("server program", "ok", "not needed, store.url names a store")
        return
    binary = choose_binary({}, candidates())
    version = ".".join(map(str, binary.version))
    yield Finding("server program", "ok", f"{binary.name} {version}, {binary.path}")


def _store(settings: Settings) -> Iterator[Finding]:
    with open_connection(settings) as connection:
        info = connection.info
        yield Finding("store", "ok", f"{info.product} at {connection.address}")
        yield Finding("append-only file", "ok" if info.aof else "warning", "on" if info.aof else "")
        for warning in info.warnings:
            what, _, remedy = warning.rpartition("; ")
            yield Finding("store", "warning", what, remedy)


def _directory(settings: Settings) -> Iterator[Finding]:
    directory = settings.data.directory
    if not directory.exists():
        yield Finding("data directory", "ok", f"{directory}, not there yet")
        return
    mode = stat.S_IMODE(directory.stat().st_mode)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        remedy = f"chown it to you, or set data.directory: --data DIR ({mode:04o} now)"
        yield Finding("data directory", "fault", f"{directory} cannot be written", remedy)
    elif not mode & 0o077:
        yield Finding("data directory", "ok", f"{directory}, {mode:04o}")
    elif mode & 0o022:
        what = f"others may write in {directory} ({mode:04o})"
        yield Finding("data directory", "warning", what, f"chmod go-w {directory}")
    elif opened := [path for path in _readings_in(directory) if path.stat().st_mode & 0o077]:
        yield Finding(
            "data directory",
            "warning",
            f"{opened[0]} is open to others",
            f"chmod -R go-rwx {directory}: ids of meters and readings are in it",
        )
    else:
        yield Finding("data directory", "ok", f"{directory}, {mode:04o}, what is in it is private")


def _readings_in(directory: Path) -> Iterator[Path]:
    """What holds ids or readings: snapshots, the register's arrays, ledgers."""
    for pattern in ("state/*/*.snap", "register/*/*.npy", "ledger/*.parquet", "ledger/*/*.parquet"):
        yield from directory.glob(pattern)


def _register(settings: Settings) -> Iterator[Finding]:
    if not register_directory(settings).exists():
        yield Finding(
            "register", "warning", "none in the data directory", "wattstorm register build FILE"
        )
        return
    register = open_register(settings)
    register.verify()
    yield Finding("register", "ok", f"version {register.version}, {register.count:,} meters")


def _disk(settings: Settings) -> Iterator[Finding]:
    place: Path = settings.data.directory
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    state, remedy = ("ok", "") if free >= FREE_GB else ("warning", "free some, or move the data")
    yield Finding("disk", state, f"{free:.1f} GB free at {place}", remedy)


_CHECKS: dict[str, Callable[[Settings], Iterator[Finding]]] = {
    "python": _python,
    "packages": _packages,
    "server program": _server,
    "store": _store,
    "data directory": _directory,
    "register": _register,
    "disk": _disk,
}
