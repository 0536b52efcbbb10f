"""A directory that files are put into: each is sent once, whatever stops whoever sends them.

The store remembers a file by its path, size and time of change, once all of its readings are in
the log. Killed before that, the file is sent again, and what is in the log already counts as
doubles; the store keeps both in one order, so that it never forgets readings of a file that it
remembers. A file is taken when it has not changed between two looks; put it there under another
ending, or with a leading point, and rename it when it is whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from wattstorm.errors import DataError, UsageError
from wattstorm.files.columns import Wanted
from wattstorm.files.readings import Batches, read_files
from wattstorm.files.tables import is_table
from wattstorm.ingest.dock import Dock, Patience, batch_of
from wattstorm.ingest.from_files import origins_of, readings_of
from wattstorm.metering.block import Channel
from wattstorm.register.files import read_card
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.followed import Followed

LOOK_S = 0.5


class Done(NamedTuple):
    """A file: readings sent, rows refused, and why none could be read, ""."""

    path: Path
    sent: int
    refused: int
    wrong: str = ""


class Follower:
    """Sends the files of a directory as they come. register: opened again when it is extended."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        register: Path,
        directory: Path,
        wanted: Wanted,
        *,
        channel: Channel = Channel.IMPORT,
        say: Callable[[str], None] = lambda message: None,
    ) -> None:
        if not directory.is_dir():
            raise UsageError(f"{directory} is no directory", "make it, or name another")
        self.connection, self.settings, self.register = connection, settings, register
        self.directory, self.wanted, self.channel = directory.resolve(), wanted, channel
        self.say = say
        self._followed = Followed(connection, settings.store.prefix)
        self._known = self._followed.known()
        self._seen: dict[str, str] = {}

    def run(self, should_stop: Callable[[], bool], every_s: float = LOOK_S) -> Iterator[Done]:
        """Each file as it is done, until told to stop."""
        while not should_stop():
            version = Register.open(self.register)
            with ExitStack() as stack:
                dock: Dock | None = None
                while not should_stop() and self._newest() == version.version:
                    for path, state in self.ready():
                        if dock is None:
                            dock = stack.enter_context(self._dock(version))
                        yield self._send(dock, version, path, state)
                    time.sleep(every_s)

    def ready(self) -> list[tuple[Path, str]]:
        """Files that are not done and did not change since the last look, oldest first."""
        seen = {}
        for path in self.directory.iterdir():
            if path.name.startswith(".") or not is_table(path) or not path.is_file():
                continue
            found = path.stat()
            state = f"{found.st_size} {found.st_mtime_ns}"
            if self._known.get(str(path)) != state:
                seen[str(path)] = state
        before, self._seen = self._seen, seen
        still = [path for path, state in seen.items() if before.get(path) == state]
        still.sort(key=lambda path: (int(seen[path].split()[1]), path))
        return [(Path(path), seen[path]) for path in still]

    def _newest(self) -> int:
        return int(read_card(self.register)["version"])

    def _dock(self, register: Register) -> Dock:
        return Dock(
            self.connection,
            self.settings,
            register,
            channel=self.channel,
            should_stop=Patience(self.say),
        )

    def _send(self, dock: Dock, register: Register, path: Path, state: str) -> Done:
        received, refused, wrong = dock.received, dock.refused.total(), ""
        try:
            source = read_files([path], self.wanted)
            for frame in Batches(source.frame, batch_of(register, dock.router.block)):
                dock.load(readings_of(frame), origins_of(frame, source.files))
        except (DataError, UsageError) as error:
            wrong = str(error)
        # After `load` all of it is in the log: remembered later, never sooner than its readings.
        self._followed.add(str(path), state)
        self._known[str(path)] = state
        lost = dock.refused.total() - refused
        return Done(path, dock.received - received - lost, lost, wrong)
