"""What scores cost the stream: bytes and CPU time of segment frames, and of a partition's scores.

    python -m bench.segments [--json] [--meters 550000]

A partition of drawn loads (lognormal, each slot by itself: harder to pack than homes). Frames: a
stretch of 3 h and a closed day, read out of the cells and packed, beside zlib's level 1 on the same
columns. Scores: a closed day and a running one, applied by the state, and what is said of them.
CPU time of this process; no store.
"""

from __future__ import annotations

import resource
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench._arguments import parse
from bench._report import report
from models.score_book import warm_up
from wattstorm.files.meters import build_register
from wattstorm.metering import frame
from wattstorm.metering.daystore import DayStore
from wattstorm.metering.frame import SegmentFrame
from wattstorm.metering.joins import Joins
from wattstorm.metering.rules import Rules
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.metering.stretches import Due, day_of, frames
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.log import Entry
from wattstorm.stream.scores import Scores

DAY, KNOWN_DAYS = 19_700, 22
RULES = Rules(SlotGrid(30), LocalCalendar(SlotGrid(30), "UTC"))


def cpu_ms(call: Callable[[], Any]) -> tuple[float, Any]:
    """(ms of this process, what it returned)."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    got = call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), got


def a_register(directory: Path, meters: int) -> Register:
    """12 tariffs in 12 regions."""
    rows = (f"{10**13 + i},base_{i % 12},region_{i // 12 % 12},9000" for i in range(meters))
    source = directory / "meters.csv"
    source.write_text("external_id,tariff,region,contracted_power_va\n" + "\n".join(rows))
    return build_register([source], directory / "register", partition_size=meters)


def a_store(meters: int) -> DayStore:
    store, rng = DayStore(0, meters, 48, 2, 1), np.random.default_rng(0)
    store.open_from(DAY * 48)
    for slot in range(DAY * 48, DAY * 48 + 48):
        row = store.row_of(slot)
        store.cells[row] = np.exp(rng.normal(np.log(250), 0.9, meters)).clip(0, 60_000) + 1
        store.sum_n[row] = meters
    return store


def zipped(frames: list[SegmentFrame]) -> int:
    """Bytes of the same columns by zlib, as few bytes each as hold them."""
    size = 0
    for one in frames:
        columns = one.energy.astype("<u4"), one.low.astype("<u2"), one.high.astype("<u2")
        parts = [one.slots.astype("u1"), *columns]
        size += sum(len(zlib.compress(np.ascontiguousarray(part), 1)) for part in parts)
    return size


def main() -> None:
    arguments = parse(__doc__, meters=550_000)
    n, rows = arguments.meters, list[tuple[str, float | None, str]]()
    frame.warm_up()
    warm_up()
    with tempfile.TemporaryDirectory(prefix="wattstorm-bench-") as name:
        register = a_register(Path(name), n)
        joins, store, day = Joins(register, RULES, 0, n), a_store(n), day_of(RULES.calendar, DAY)
        joins.of_slots(np.array([DAY * 48], np.int32))
        entries: dict[bool, list[bytes]] = {}
        for final, title in ((False, "stretch"), (True, "closed day")):
            due = Due(day, range(8) if final else range(1), final)
            took, entries[final] = cpu_ms(
                lambda d=due: [frame.encode(f) for f in frames(0, RULES, joins, [store], iter([d]))]
            )
            made = [frame.decode(data) for data in entries[final]]
            packing, _ = cpu_ms(lambda m=made: [frame.encode(one) for one in m])
            size = sum(map(len, entries[final]))
            zlib_ms, small = cpu_ms(lambda m=made: zipped(m))
            per = n * (8 if final else 1)
            rows += [
                (f"{title}: bytes a meter and stretch", size / per, "B"),
                (f"{title}: the largest entry", max(map(len, entries[final])) / 1e6, "MB"),
                (f"{title}: read and packed", took, "ms"),
                (f"{title}: of that packed", packing, "ms"),
                (f"{title}: by zlib, bytes", small / per, "B"),
                (f"{title}: by zlib", zlib_ms, "ms"),
            ]
        rows += scored(register, made, entries)
    figures = {title.replace(":", "").replace(" ", "_"): value for title, value, _ in rows}
    report(f"Segment frames and scores of {n:,} meters", rows, figures, arguments.json)


def scored(
    register: Register, made: list[SegmentFrame], entries: dict[bool, list[bytes]]
) -> list[tuple[str, float | None, str]]:
    state, position = Scores(0, Settings.load(environ={}).scores, lambda: register), 0

    def apply(data: list[bytes]) -> None:
        nonlocal position
        for one in data:
            position += 1
            state.apply(Entry(position, one, 0))

    for back in range(KNOWN_DAYS, 0, -1):
        apply([frame.encode(replace(one, day=DAY - back)) for one in made])
        state.keep()
    rows: list[tuple[str, float | None, str]] = []
    for final, title in ((False, "running day"), (True, "closed day")):
        ms, _ = cpu_ms(lambda f=final: apply(entries[f]))
        said, writes = cpu_ms(state.writes)
        size = sum(len(v) for v in writes.fields["scopes"].values())
        state.keep()
        rows += [
            (f"scores, {title}: applied", ms, "ms"),
            (f"scores, {title}: said", said, "ms"),
            (f"scores, {title}: written", size / 1e6, "MB"),
        ]
    arrays, _ = state.snapshot()
    size = sum(array.nbytes for array in arrays.values())
    return [*rows, ("scores: snapshot, bytes a meter", size / len(state.book), "B")]


if __name__ == "__main__":
    main()
