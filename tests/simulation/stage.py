"""What the stream stands on, instead of the machine's: clock, chance, threads and files.

`set_up` puts these in the place of `time`, `secrets`, `os`, `Path` and thread pools in the
modules of wattstorm, for as long as a schedule runs. All of them ask `Stage.world`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import redis.connection

import wattstorm.store.snapshots
import wattstorm.stream.saving
from tests.simulation.actors import Actor, Hub
from tests.simulation.disk import Disk
from tests.simulation.link import Link
from tests.simulation.poison import poisoned
from tests.simulation.registers import CHAINS, chain
from tests.simulation.shortcuts import shortcuts
from wattstorm.errors import RegisterError
from wattstorm.metering.partition import Partition
from wattstorm.register.register import Register

ROOMS = ("wattstorm", "bolts", "spouts")


class Stage:
    """The world that is on: set by `world`."""

    hub: ClassVar[Hub]
    disk: ClassVar[Disk]
    chance: ClassVar[random.Random]
    now: ClassVar[float] = 0.0
    versions: ClassVar[list[Register]]
    """Of the register, on the machines of the stream: the newest last."""


class Clock:
    """Instead of the module `time`."""

    def monotonic(self) -> float:
        return Stage.now

    perf_counter = monotonic

    def thread_time(self) -> float:
        return 0.0  # nothing takes CPU time here

    def time(self) -> float:
        # The machine's clock and the store's need not agree, and here they never do.
        return 1_711_600_007.0 + Stage.now

    def sleep(self, seconds: float) -> None:
        if not Stage.hub.sleep(Stage.now + seconds):
            Stage.now += seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Chance:
    """Instead of the module `secrets`."""

    def token_hex(self, size: int = 32) -> str:
        return f"{Stage.chance.getrandbits(8 * size):0{2 * size}x}"

    def __getattr__(self, name: str) -> Any:
        return getattr(secrets, name)


class Writer:
    """Instead of a thread pool of one: a second actor of the same process."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.actor: Actor | None = None

    def submit(self, f: Callable[..., Any], *arguments: Any, **named: Any) -> Written:
        owner = Stage.hub.actor
        name = owner.name if owner else "somebody"
        self.actor = Actor(f"{name}'s writer", Stage.hub, owner.process if owner else 0)
        written = Written(self.actor)
        if owner is not None:
            owner.writers.append(self.actor)
        incident = owner.incident if owner else None
        self.actor.run(functools.partial(written.work, f, arguments, named), incident)
        if owner is not None and incident is not None and self.actor.incident is None:
            owner.incident = None
        if self.actor.dead and owner is not None:
            owner.die()
            owner.stop_here("dead")
        return written

    def shutdown(self, *_: Any, **__: Any) -> None:
        pass


class Written:
    """Instead of a Future."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self._result: Any = None
        self._error: BaseException | None = None

    def work(self, f: Callable[..., Any], arguments: Any, named: Any) -> None:
        try:
            self._result = f(*arguments, **named)
        except Exception as error:
            self._error = error

    def done(self) -> bool:
        return not self.actor.busy

    def result(self, timeout: float | None = None) -> Any:
        while self.actor.busy:
            self.actor.go_on()
        if self._error is not None:
            raise self._error
        return self._result


class Files:
    """Instead of the module `os`."""

    def fsync(self, descriptor: int) -> None:
        Stage.hub.point("before sync")
        Stage.disk.sync(descriptor)
        Stage.hub.point("after sync")

    fdatasync = fsync

    def replace(self, a: Any, b: Any) -> None:
        StagePath(a).replace(b)

    rename = replace

    def getpid(self) -> int:
        # Two processes do not write the same draft.
        actor = Stage.hub.actor
        return 1000 + (actor.process if actor else 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def _opened(path: Path, mode: str = "wb", **named: Any) -> Any:
    """Instead of `open_private`."""
    Stage.hub.point("before write")
    Stage.disk.check_room()
    return open(path, mode, **named)


class StagePath(type(Path())):  # type: ignore[misc]
    """Instead of `Path`."""

    def replace(self, target: Any) -> Any:
        Stage.hub.point("before rename")
        done = super().replace(target)
        Stage.hub.point("after rename")
        return done

    rename = replace

    def unlink(self, *arguments: Any, **named: Any) -> None:
        if Stage.hub.over:
            return
        super().unlink(*arguments, **named)


def _register(directory: Path, version: int | None = None) -> Register:
    """Instead of `Register.open`."""
    if version is None:
        return Stage.versions[-1]
    if version > len(Stage.versions):
        raise RegisterError(f"{directory}: no version {version}", "copy it to this machine")
    return Stage.versions[version - 1]


def _timed(module: Any) -> list[type]:
    """Dataclasses of a module with fields that are the time at which they were made."""
    kinds = [kind for kind in vars(module).values() if dataclasses.is_dataclass(kind)]
    return [k for k in kinds if k.__module__ == module.__name__ and _times(k)]


def _times(kind: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(kind) if f.default_factory is time.monotonic]


def _born_now(kind: Any) -> Callable[..., None]:
    made, times = kind.__init__, _times(kind)

    @functools.wraps(made)
    def init(self: Any, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        for name in times:
            if name not in named:
                setattr(self, name, Stage.now)

    return init


@contextlib.contextmanager
def set_up() -> Iterator[None]:
    """For as long as this lasts, wattstorm in this process stands on the stage."""
    for which in range(CHAINS + 1):
        chain(which)  # with what opens a register really
    put: list[tuple[Any, str, Any]] = [
        *shortcuts(),
        (redis.connection, "UnixDomainSocketConnection", Link),
        (wattstorm.stream.saving, "ThreadPoolExecutor", Writer),
        (wattstorm.store.snapshots, "Path", StagePath),
        (Register, "open", _register),
        (Partition, "apply", poisoned(Partition.apply)),
    ]
    clock, chance, files = Clock(), Chance(), Files()
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ROOMS:
            put += [(module, "time", clock)] if vars(module).get("time") is time else []
            put += [(kind, "__init__", _born_now(kind)) for kind in _timed(module)]
            put += [(module, "secrets", chance)] if vars(module).get("secrets") is secrets else []
        if name.startswith("wattstorm.store.s"):  # what saves the state
            put += [(module, "os", files)] if vars(module).get("os") is os else []
            put += [(module, "open_private", _opened)] if "open_private" in vars(module) else []
    before = [(where, name, getattr(where, name)) for where, name, _ in put]
    try:
        for where, name, what in put:
            setattr(where, name, what)
        yield
    finally:
        for where, name, what in before:
            setattr(where, name, what)
