"""`wattstorm ingest --follow DIR`: files as they come, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

from wattstorm.cli.common import Store, register_directory, say
from wattstorm.errors import DataError, UsageError
from wattstorm.files.columns import Wanted
from wattstorm.ingest.follow import Follower
from wattstorm.metering.block import Channel
from wattstorm.settings import Settings


def directory_of(files: list[Path]) -> Path:
    if len(files) != 1 or not files[0].is_dir():
        raise UsageError("--follow with " + ", ".join(map(str, files)), "give it one directory")
    return files[0]


def follow(
    store: Store, settings: Settings, directory: Path, wanted: Wanted, channel: Channel
) -> int:
    """A line for each file; the exit code: bad data if one could not be read."""
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    follower = Follower(
        store.connection,
        settings,
        register_directory(settings),
        directory,
        wanted,
        channel=channel,
        say=say,
    )
    say(f"following {directory}; Ctrl-C stops it, and the next time goes on from there")
    files = readings = wrong = 0
    try:
        for done in follower.run(lambda: bool(stopped)):
            files, readings = files + 1, readings + done.sent
            wrong += bool(done.wrong)
            said = done.wrong or f"sent {done.sent:,} readings, refused {done.refused:,} rows"
            print(f"{done.path.name}: {said}", flush=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    say(f"sent {readings:,} readings of {files:,} files" + (f", {wrong:,} not read" * bool(wrong)))
    return DataError.exit_code if wrong else 0
