"""One meter out of a snapshot of its partition's scores; see `readers.scores`."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.explain import explain
from models.insights import insights
from models.score import Segments
from models.score_book import Book, segments_of
from wattstorm.errors import DataError
from wattstorm.metering.parts import MAX_METERS
from wattstorm.metering.slots import date_of_day_number
from wattstorm.readers.scores import MeterScore, Scored, scored_of
from wattstorm.register.register import Register
from wattstorm.store.snapshots import Arrays
from wattstorm.stream.scores import running_frames


def meter_score(
    meter: int,
    at: int,
    register: Register,
    raised: tuple[Scored, ...],
    arrays: Arrays,
    header: dict[str, Any],
) -> MeterScore:
    """at: its place in the partition; arrays, header: of the partition's snapshot."""
    book, names = Book.of(arrays), {"meter": meter, "tariff": "", "region": ""}
    if at >= len(book):
        raise DataError(f"nothing came of meter {meter} yet", "see wattstorm status")
    if book.classes[at] < len(register.classes):
        code = int(book.classes[at])
        names["tariff"] = register.tariffs[int(register.classes.tariff[code])]
        names["region"] = register.regions[int(register.classes.region[code])]
    first = at // MAX_METERS * MAX_METERS
    frames = running_frames(arrays).get(first, [])
    today, segments = None, None
    if frames:
        whole = segments_of(header["day"], frames[0].full, max(f.meters for f in frames), frames)
        segments = whole.take(slice(at - first, at - first + 1))
        today = _today(book, first, at, whole, names)
    closed = book.closed.get(first)
    return MeterScore(
        meter,
        str(names["tariff"]),
        str(names["region"]),
        None if closed is None else date_of_day_number(closed),
        tuple(
            None if level == 0 else 10 ** -((level - 1) / 10) for level in book.history[at].tolist()
        ),
        insights(book.states, book.classes, at, segments),
        today,
        raised,
    )


def _today(
    book: Book, first: int, at: int, segments: Segments, names: dict[str, Any]
) -> Scored | None:
    day = book.running(first, segments)
    if np.isnan(day.rank[at - first]):
        return None
    why = explain(day.states, day.segments, day.scores, at - first)
    row = {**names, "p": float(day.p[at - first]), "kind": why.kind, "why": str(why)}
    return scored_of(str(date_of_day_number(segments.day)), row)
