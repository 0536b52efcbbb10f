"""Keeps the daemons of a development cluster running, as systemd would.

    python -m wattstorm.cluster.keeper DIRECTORY        (started by `wattstorm storm up` only)

Starts what `daemons.json` lists, starts again what dies, writes `pids.json`. SIGTERM: stops
them all, the last first. If the keeper itself is killed, the kernel ends its daemons.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from wattstorm.errors import StoreError
from wattstorm.processes import end_with_parent
from wattstorm.store.server import EmbeddedServer

PAUSE_S = 0.5
"""Before a daemon that died is started again."""
LOOK_S = 0.1
STOP_S = 6.0
_log = logging.getLogger("wattstorm.keeper")


class Daemon:
    """One command that is to run as long as the keeper does."""

    def __init__(self, name: str, command: list[str], directory: Path) -> None:
        self.name, self.command, self.directory = name, command, directory
        # The workers of a supervisor read its settings where this points.
        self.environ = {**os.environ, "STORM_CONF_DIR": str(directory / "conf" / name)}
        self.start()

    def start(self) -> None:
        with (self.directory / "logs" / f"{self.name}.out").open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.directory,
                env=self.environ,
                preexec_fn=lambda: end_with_parent(signal.SIGTERM),
            )
        self.start_at = 0.0

    def tend(self) -> bool:
        """Start it again if it died a while ago; whether it was started."""
        if self.process.poll() is None:
            return False
        now = time.monotonic()
        if not self.start_at:
            _log.warning("%s ended (%s)", self.name, self.process.returncode)
            self.start_at = now + PAUSE_S
        if now < self.start_at:
            return False
        self.start()
        return True

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def keep(directory: Path) -> None:
    """Until SIGTERM."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    card = json.loads((directory / "cluster.json").read_text())
    with ExitStack() as stack:
        store = None
        if card["store_directory"]:
            store = stack.enter_context(EmbeddedServer(card["store_directory"]))
        daemons: list[Daemon] = []
        for row in json.loads((directory / "daemons.json").read_text()):
            daemons.append(Daemon(row["name"], row["command"], directory))
            stack.callback(daemons[-1].stop)
        _write_pids(directory, daemons)
        next_look = 0.0
        while not told:
            if sum(daemon.tend() for daemon in daemons):
                _write_pids(directory, daemons)
            if store is not None and time.monotonic() >= next_look:
                next_look = time.monotonic() + 1.0
                _look_after(store)
            time.sleep(LOOK_S)


def _look_after(store: EmbeddedServer) -> None:
    try:
        store.ensure()
    except StoreError as error:
        _log.error("the embedded store does not start again: %s", error)


def _write_pids(directory: Path, daemons: list[Daemon]) -> None:
    part = directory / "pids.part"
    part.write_text(json.dumps({daemon.name: daemon.process.pid for daemon in daemons}))
    part.rename(directory / "pids.json")


def main(arguments: list[Any]) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    directory = Path(arguments[0])
    # The parent writes the card right after it started this process.
    deadline = time.monotonic() + 10
    while not (directory / "cluster.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with suppress(KeyboardInterrupt):
        keep(directory)


if __name__ == "__main__":
    main(sys.argv[1:])
