"""The changes as they happen, for many at once: one reader of the log, a bounded queue for each.

A thread follows the log; the loop hands each change to whoever listens. Who does not take them
is let go with a reason, so that nobody makes the others wait or the memory grow.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from wattstorm.errors import WattstormError
from wattstorm.readers.change import Change
from wattstorm.readers.results import Results

QUEUED: Final = 256
"""Changes that may wait for one listener."""
_ENCODED: Final = 1024
_log = logging.getLogger(__name__)


class TooSlow(Exception):
    """A listener that did not take its changes."""


class Full(Exception):
    """As many listen as may."""


class Ended(Exception):
    """No more will come: the server stops."""


class Listener:
    """One who is told. `changes` ends when the server stops; TooSlow: more waited than may."""

    def __init__(self, queued: int = QUEUED) -> None:
        self._queue: asyncio.Queue[Change | None] = asyncio.Queue(queued + 1)
        self._queued, self.dropped = queued, False

    def tell(self, change: Change) -> None:
        if self.dropped:
            return
        self.dropped = self._queue.qsize() >= self._queued
        if not self.dropped:
            self._queue.put_nowait(change)

    def end(self) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    async def next(self, timeout_s: float) -> Change | None:
        """None: nothing within the time. Raises TooSlow, Ended."""
        if self.dropped:
            raise TooSlow(f"{self._queued} changes waited for you; begin again, and read faster")
        try:
            change = await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None
        if change is None:
            raise Ended
        return change

    async def changes(self) -> AsyncIterator[Change]:
        while True:
            try:
                change = await self.next(60.0)
            except Ended:
                return
            if change is not None:
                yield change


class Fanout:
    """`start` in a running loop, `stop` before it ends. told: changes that were handed on; dropped:
    listeners that were too slow."""

    def __init__(self, results: Results, most: int = 2000) -> None:
        self._results, self.most = results, most
        self._listeners: set[Listener] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._bytes: dict[tuple[str, tuple[str, ...]], bytes] = {}
        self.told = self.dropped = 0

    def __len__(self) -> int:
        return len(self._listeners)

    def start(self) -> None:
        self._stopping.clear()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, name="changes", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        self._stopping.set()
        for listener in self._listeners:
            listener.end()
        if self._thread:
            await asyncio.to_thread(self._thread.join, 5.0)

    @contextlib.contextmanager
    def listening(self, queued: int = QUEUED) -> Iterator[Listener]:
        """What is told from now on, in this loop. Full: as many listen as may."""
        if len(self._listeners) >= self.most:
            raise Full(f"{self.most:,} clients follow the changes")
        listener = Listener(queued)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def encoded(
        self,
        change: Change,
        labels: tuple[str, ...],
        encode: Callable[[Change, tuple[str, ...]], bytes],
    ) -> bytes:
        """The bytes for all who listen to the same scopes, made once."""
        key = (f"{change.id}{change.gap}", labels)
        if key not in self._bytes:
            if len(self._bytes) >= _ENCODED:
                del self._bytes[next(iter(self._bytes))]
            self._bytes[key] = encode(change, labels)
        return self._bytes[key]

    # ------------------------------------------------------------ inside

    def _follow(self) -> None:
        """The thread. What the store may not do for us now it may do later: it goes on."""
        last: str | None = None
        while not self._stopping.is_set():
            try:
                for change in self._results.follow(last, should_stop=self._stopping.is_set):
                    last = change.id
                    self._soon(self._tell, change)
            except WattstormError as error:
                _log.warning("following the changes: %s", error)
                self._stopping.wait(1.0)

    def _soon(self, call: Callable[[Change], None], change: Change) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(call, change)

    def _tell(self, change: Change) -> None:
        self.told += 1
        for listener in self._listeners:
            before = listener.dropped
            listener.tell(change)
            self.dropped += listener.dropped and not before
