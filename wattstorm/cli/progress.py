"""How a source gets on, on a terminal: a bar on stderr, and none when nobody watches."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wattstorm.cli.common import say


class Terminal:
    """A `Listener` (see wattstorm.ingest): the bar appears with the first batch."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("rows"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self.done = 0
        self._task = self._bar.add_task("reading", total=None)

    def __enter__(self) -> Terminal:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        say(message)

    def progress(self, done: int, total: int) -> None:
        self.done = done
        self._bar.update(self._task, completed=done, total=total)
