"""The state of the consumer `scores`: whose behaviour changed, told from the log of segments.

What lasts is `models.score_book`'s and moves only with final frames, of closed days; frames of the
running day are kept as they came, and scored when something is to be written. What is raised or
named is made in `writes`, with names out of the register: it is no part of the state.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from models.score_book import Book, Day, segments_of
from wattstorm.errors import FrameError, SnapshotError
from wattstorm.metering import frame as frames
from wattstorm.metering.frame import SegmentFrame
from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.keys import ALARMS
from wattstorm.store.log import Entry
from wattstorm.store.scores import SCOPES, scope_field
from wattstorm.store.snapshots import Arrays
from wattstorm.store.writes import Counters, Event, Writes
from wattstorm.stream.score_scopes import Names, alarms_of, scopes_of
from wattstorm.stream.state import Scalars

if TYPE_CHECKING:
    from wattstorm.register.register import Register
    from wattstorm.setting_sections import Scores as Settings

SCHEMA: Final = 1
_TODAY: Final = "today/"


class Scores:
    """See `stream.state.State`. settings: what is written, never what is kept; register: the
    newest, for names; alarm_bytes: what this partition's log of alarms may hold."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        register: Callable[[], Register],
        alarm_bytes: int = 0,
    ) -> None:
        self.number, self.position = number, 0
        self.settings, self.register, self.alarm_bytes = settings, register, alarm_bytes
        self.book = Book()
        self.day = -1
        """The running day: the newest of which a stretch has closed."""
        self.today: dict[tuple[int, int], bytes] = {}
        """(first meter, stretch) → its frame of the running day."""
        self._closed: list[Day] = []
        self._dead: list[DeadLetter] = []
        self._touched: set[int] = set()
        self.keep()

    # --- entries

    def apply(self, entry: Entry) -> None:
        if entry.kind:
            self.refuse(entry, "kind", f"an entry of kind {entry.kind!r} is not known")
            return
        try:
            frame = frames.decode(entry.data)
            if frame.partition != self.number:
                raise FrameError("partition", f"it is of partition {frame.partition}")
        except FrameError as error:
            self.refuse(entry, error.reason, error.what)
            return
        self.position = entry.position
        self._counts["finals" if frame.final else "frames"] += 1
        if frame.classes is not None:
            self._close(frame)
        else:
            self._run(frame, entry.data)

    def refuse(self, entry: Entry, reason: str, what: str) -> None:
        self.position = entry.position
        self._counts["refused"] += 1
        self._dead.append(DeadLetter(reason, entry.position, 0, entry.data, what))

    def _close(self, frame: SegmentFrame) -> None:
        if frame.day >= self.day:
            self._forget()
        assert frame.classes is not None
        segments = segments_of(frame.day, frame.full, frame.meters, [frame])
        closed = self.book.close(frame.first, frame.classes, segments)
        if closed is not None:
            self._closed.append(closed)
            if any(first == frame.first for first, _ in self.today):
                self._touched.add(frame.first)

    def _run(self, frame: SegmentFrame, data: bytes) -> None:
        if frame.day < self.day or frame.day <= self.book.day:
            return
        if frame.day > self.day:
            self._forget()
            self.day = frame.day
        self.today[frame.first, frame.start] = data
        self._touched.add(frame.first)

    def _forget(self) -> None:
        self.today = {}
        self._touched.clear()

    # --- what it says

    def writes(self) -> Writes:
        named: dict[str, str] = {}
        events, raised = [], 0
        if self._closed or self._touched:
            register = self.register()
        # One after the other: a day of a part takes as much memory as all that lasts of it.
        closed, running = ((False, d) for d in self._closed), ((True, d) for d in self._running())
        for runs, day in chain(closed, running):
            names = Names(register, self.number * register.partition_size + day.first, day)
            for scope, said in scopes_of(day, names, self.settings).items():
                named[scope_field(runs, scope, day.first)] = json.dumps(said)
            alarms = None if runs else alarms_of(day, names, self.settings)
            if alarms is not None:
                raised += len(alarms["alarms"])
                events.append(Event(ALARMS, "", json.dumps(alarms).encode(), self.alarm_bytes))
        return Writes(
            fields={SCOPES: named} if named else {},
            lifetimes={SCOPES: self.settings.expire_days * 86_400} if named else {},
            counters=[Counters("audit", {**self._counts, "alarms": raised})],
            dead=self._dead,
            events=events,
            rising={"day": self.book.day},
        )

    def _running(self) -> Iterator[Day]:
        """The running day of the meters of which something came."""
        for first in sorted(self._touched):
            yield self.running(first)

    def running(self, first: int) -> Day:
        """The running day of the meters of a part, as far as it has come."""
        parts = [frames.decode(data) for (of, _), data in self.today.items() if of == first]
        meters = max(part.meters for part in parts)
        return self.book.running(first, segments_of(self.day, parts[0].full, meters, parts))

    # --- what stands

    def keep(self) -> None:
        self.book.keep()
        self._kept = self.position, self.day, dict(self.today)
        self._said()

    def undo(self) -> None:
        self.book.undo()
        self.position, self.day, self.today = self._kept[0], self._kept[1], dict(self._kept[2])
        self._said()

    def _said(self) -> None:
        self._closed, self._dead = [], []
        self._counts = dict.fromkeys(("frames", "finals", "refused"), 0)
        self._touched = set()

    def start_after(self, position: int, scalars: Scalars) -> None:
        self.position = position
        self.keep()

    def resume(self, scalars: Scalars) -> None:
        pass

    def snapshot(self) -> tuple[Arrays, dict[str, Any]]:
        today = {
            f"{_TODAY}{first}.{stretch}": np.frombuffer(data, np.uint8)
            for (first, stretch), data in self.today.items()
        }
        header = {"schema": SCHEMA, "partition": self.number, "position": self.position}
        return self.book.arrays() | today, {**header, "day": self.day}

    def unsaved_rows(self) -> set[str]:
        return set()

    def restore(self, arrays: Arrays, header: dict[str, Any]) -> None:
        found = header.get("schema"), header.get("partition")
        if found != (SCHEMA, self.number):
            raise SnapshotError(
                f"scores of schema and partition {found}, expected {(SCHEMA, self.number)}",
                "it is passed over, and the rest is read from the log",
            )
        self.book = Book.of(arrays)
        self.position, self.day = header["position"], header["day"]
        self.today = _today(arrays)
        self.keep()


def running_frames(arrays: Arrays) -> dict[int, list[SegmentFrame]]:
    """First meter of a part → the running day's frames of it, out of a snapshot."""
    found: dict[int, list[SegmentFrame]] = {}
    for (first, _), data in sorted(_today(arrays).items()):
        found.setdefault(first, []).append(frames.decode(data))
    return found


def _today(arrays: Arrays) -> dict[tuple[int, int], bytes]:
    today = {}
    for name, data in arrays.items():
        if name.startswith(_TODAY):
            first, stretch = map(int, name[len(_TODAY) :].split("."))
            today[first, stretch] = data.tobytes()
    return today
