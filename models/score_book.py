"""The scores of many meters over days: what lasts of them, and what a closed day changes of it.

Only `close` moves anything, and it takes each meter's days once and in order; a running day is
scored from what lasts, and leaves nothing behind. So whoever feeds it closed days with the same
final values has the same bytes, in whatever order the readings came. Work is tentative until
`keep`; `undo` goes back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.calibration import BINS, Cohorts, p_values
from models.score import Scores, Segments, close, score
from models.score_state import States, new_states
from wattstorm.metering.checks import NO_CLASS

HISTORY: Final = 14
"""Closed days of which a meter's level is remembered: a byte each, beside its 64."""
Array = npt.NDArray[Any]


class Day(NamedTuple):
    """What some meters' day says. classes: NO_CLASS where that is not known; states: as they were
    before it; p: float64[n], among peers; rank: float64[n], scores on one scale for all cohorts,
    NaN where nothing can be said."""

    first: int
    classes: Array
    states: States
    segments: Segments
    scores: Scores
    p: npt.NDArray[np.float64]
    rank: npt.NDArray[np.float64]


@dataclass
class _Before:
    """What stood before a closed part of a day."""

    first: int
    states: States
    classes: Array
    history: Array
    closed: int


class Book:
    """Meters 0 … n - 1. states: uint8[n, 64]; classes: uint16[n], the cohort of each; history:
    uint8[n, 14], levels of the last closed days, the newest first: 1 + 10 × -log10 p, 0 for
    nothing; closed: first meter of a part → its last closed day; day: the newest of those;
    shifts: float64[cohorts], what is usual among peers on that day."""

    def __init__(self) -> None:
        self.states = new_states(0)
        self.classes, self.history = np.zeros(0, np.uint16), np.zeros((0, HISTORY), np.uint8)
        self.cohorts, self.shifts = Cohorts.none(0), np.zeros(0)
        self.day = -1
        self.closed: dict[int, int] = {}
        self._journal: list[_Before] = []
        self.keep()

    def __len__(self) -> int:
        return len(self.states)

    def close(self, first: int, classes: Array, segments: Segments) -> Day | None:
        """Close a day of meters from `first` on; None, and nothing, if it was closed already."""
        before = self.closed.get(first, -1)
        if segments.day <= before:
            return None
        stop = first + len(classes)
        self._make_room(stop, classes)
        if segments.day > self.day:
            self._begin(segments.day)
        part = slice(first, stop)
        old = self.states[part].copy()
        self._journal.append(
            _Before(first, old, self.classes[part].copy(), self.history[part].copy(), before)
        )
        known = classes < len(self.shifts)
        self.classes[part] = np.where(known, classes, NO_CLASS)
        scores = close(self.states[part], segments)
        scores.value[~known] = np.nan
        self.cohorts.add(scores, np.where(known, classes, 0))
        day = self._told(first, old, segments, scores)
        gone = min(segments.day - before, HISTORY) if before >= 0 else HISTORY
        history = self.history[part]
        history[:, gone:] = history[:, : HISTORY - gone].copy()
        history[:, :gone] = 0
        level = np.rint(-10 * np.log10(day.p)).clip(0, 254) + 1
        history[:, 0] = np.where(np.isnan(day.rank), 0, level).astype(np.uint8)
        self.closed[first] = segments.day
        return day

    def running(self, first: int, segments: Segments) -> Day:
        """Scores of a day that has not closed, as far as it has come; nothing changes."""
        stop = first + len(segments.energy)
        self._make_room(stop, self.classes[:0])
        states = self.states[first:stop]
        return self._told(first, states, segments, score(states, segments))

    def keep(self) -> None:
        self._kept = len(self), self.day, self.shifts, self.cohorts.counts
        self._journal.clear()

    def undo(self) -> None:
        """Back to the last `keep`, exactly."""
        for before in reversed(self._journal):
            part = slice(before.first, before.first + len(before.states))
            self.states[part], self.classes[part] = before.states, before.classes
            self.history[part] = before.history
            self.closed[before.first] = before.closed
            if before.closed < 0:
                del self.closed[before.first]
        n, self.day, self.shifts, counts = self._kept
        self.states, self.classes, self.history = (
            self.states[:n],
            self.classes[:n],
            self.history[:n],
        )
        self.cohorts = Cohorts(counts)
        self.keep()

    # --- as arrays

    def arrays(self) -> dict[str, Array]:
        return {
            "states": self.states,
            "classes": self.classes,
            "history": self.history,
            "counts": self.cohorts.counts,
            "shifts": self.shifts,
            "closed": np.array(sorted(self.closed.items()), np.int64).reshape(-1, 2),
            "day": np.array([self.day], np.int64),
        }

    @classmethod
    def of(cls, arrays: dict[str, Array]) -> Book:
        book = cls()
        book.states, book.classes = arrays["states"], arrays["classes"]
        book.history, book.shifts = arrays["history"], arrays["shifts"]
        book.cohorts, book.day = Cohorts(arrays["counts"]), int(arrays["day"][0])
        book.closed = {int(first): int(day) for first, day in arrays["closed"].tolist()}
        book.keep()
        return book

    # --- inside

    def _told(self, first: int, states: States, segments: Segments, scores: Scores) -> Day:
        classes = self.classes[first : first + len(states)]
        known = classes < len(self.shifts)
        shift = np.zeros(len(states))
        shift[known] = self.shifts[classes[known]]
        rank = np.where(scores.cold, np.nan, scores.value - shift)
        return Day(first, classes.copy(), states, segments, scores, p_values(rank), rank)

    def _begin(self, day: int) -> None:
        """A day begins to close: what is usual among peers is what it was until then."""
        self.cohorts = Cohorts(self.cohorts.counts.copy())
        self.cohorts.fade()
        self.shifts, self.day = self.cohorts.shifts(), day

    def _make_room(self, meters: int, classes: Array) -> None:
        more = meters - len(self)
        if more > 0:
            self.states = np.concatenate([self.states, new_states(more)])
            self.classes = np.concatenate([self.classes, np.full(more, NO_CLASS, np.uint16)])
            none = np.zeros((more, HISTORY), np.uint8)
            self.history = np.concatenate([self.history, none])
        known = classes[classes < NO_CLASS]
        cohorts = int(known.max()) + 1 if known.size else 0
        more = cohorts - len(self.shifts)
        if more > 0:
            counts = np.concatenate([self.cohorts.counts, np.zeros((more, BINS), np.int64)])
            self.cohorts = Cohorts(counts)
            self.shifts = np.concatenate([self.shifts, np.zeros(more)])


def warm_up() -> None:
    """Kernels compiled, or loaded, before the first day comes."""
    book, none = Book(), np.zeros((1, 8), np.int32)
    full = np.full(8, 6, np.uint8)
    segments = Segments(0, none, np.zeros((1, 8), np.uint8), none, none, full)
    book.close(0, np.zeros(1, np.uint16), segments)
    book.running(0, segments)


def segments_of(day: int, full: Array, meters: int, parts: list[Any]) -> Segments:
    """A day out of segment frames of the same meters, as far as there are any; a frame's columns
    are int64[stretches, n], see `metering.frame`."""
    columns = [np.zeros((meters, len(full)), dtype) for dtype in _DTYPES]
    for frame in parts:
        where = slice(frame.stretches.start, frame.stretches.stop)
        for column, values in zip(
            columns, (frame.energy, frame.slots, frame.low, frame.high), strict=True
        ):
            column[: frame.meters, where] = values.T
    energy, slots, low, high = columns
    return Segments(day, energy, slots, low, high, np.array(full, np.uint8))


_DTYPES: Final = (np.int32, np.uint8, np.int32, np.int32)
