"""The ledger: each faulty reading, what was sent and when, what is true, what must become of it.

A row is a delivery of a reading that has a fault; a reading that was never
delivered has one row with nothing sent:

    meter      UInt32   dense index
    slot       Int32    half-hours (slots) since the epoch
    kind       String   see `faults.Kind`
    true_wh    Int32    what an honest meter would have said
    sent_wh    Int32    what was sent; null: nothing
    version    UInt16   0, or 1 for a correction
    delivered  Int32    slot after whose block it was sent; null: never
    outcome    String   what the stream must count it as, see `checks.Outcome`; null: nothing

Readings without a row were sent once, in time and true. So the true curves and
the ledger say all that the stream must have counted: `Truth`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from generator.feed.beside import Beside
from generator.feed.faults import Kind
from generator.town.town import Town
from wattstorm.errors import DataError
from wattstorm.metering.aggregates import classes_of
from wattstorm.metering.checks import ACCEPTED, Outcome
from wattstorm.metering.slots import day_number
from wattstorm.private_files import make_private, open_private
from wattstorm.register.register import Register

SCHEMA: Final = pl.Schema(
    {
        "meter": pl.UInt32,
        "slot": pl.Int32,
        "kind": pl.String,
        "true_wh": pl.Int32,
        "sent_wh": pl.Int32,
        "version": pl.UInt16,
        "delivered": pl.Int32,
        "outcome": pl.String,
    }
)
_KINDS: Final = pl.Series([kind.name.lower() for kind in Kind])
_OUTCOMES: Final = pl.Series(
    [Outcome(code).name.lower() if code in set(Outcome) else "" for code in range(max(Outcome) + 1)]
)
_CHUNK: Final = 1 << 16


def no_entries() -> pl.DataFrame:
    return pl.DataFrame(schema=SCHEMA)


def entries(rows: Beside, delivered: npt.NDArray[np.int64] | int | None) -> pl.DataFrame:
    """Rows of the ledger. delivered: by row, or of all; None: they were never sent."""
    n = len(rows.slot)
    sent = delivered is not None
    nothing: Any = pl.repeat(None, n, eager=True)
    when: Any = nothing
    if isinstance(delivered, np.ndarray):
        when = delivered
    elif sent:
        when = np.full(n, delivered)
    columns = {
        "meter": rows.meter,
        "slot": rows.slot,
        "kind": _KINDS.gather(rows.kind),
        "true_wh": rows.true,
        "sent_wh": rows.wh if sent else nothing,
        "version": rows.version,
        "delivered": when,
        "outcome": _OUTCOMES.gather(rows.outcome) if sent else nothing,
    }
    return pl.DataFrame(
        {name: pl.Series(name, values).cast(SCHEMA[name]) for name, values in columns.items()}
    )


def write(ledger: pl.DataFrame, directory: Path, day: date, partition: int) -> None:
    """The part of a day and a partition, before any of it is sent."""
    make_private(make_private(directory.parent) / directory.name)
    path = directory / f"{day}-p{partition:05}.parquet"
    if ledger.height:
        beside = path.with_suffix(".new")
        with open_private(beside) as file:
            ledger.write_parquet(file)
        beside.replace(path)


def read(directory: Path) -> pl.DataFrame:
    """All parts."""
    parts = sorted(directory.glob("*.parquet"))
    return pl.concat([pl.read_parquet(part) for part in parts]) if parts else no_entries()


@dataclass(frozen=True)
class Truth:
    """What the stream must have at the end.

    first: first slot; wh, readings: int64[slots, classes], see `register.classes`;
    counts: outcome → readings; received: all of them.
    """

    first: int
    wh: npt.NDArray[np.int64]
    readings: npt.NDArray[np.int64]
    counts: dict[str, int]

    @property
    def received(self) -> int:
        return sum(self.counts.values())


def truth(
    town: Town,
    register: Register,
    days: Sequence[date],
    ledger: pl.DataFrame,
    meters: int | None = None,
) -> Truth:
    """From the true curves and the ledger, without looking at anything that was sent.

    A faulty reading counts with the highest version, of those the largest Wh, among what
    was delivered and is not refused by its outcome.
    """
    count = register.count if meters is None else meters
    classes = _classes(register, count, days[0])
    first = town.calendar.day_slots(days[0]).start
    length = town.calendar.day_slots(days[-1]).stop - first
    wh = np.zeros((length, classes_of(register)), np.int64)
    readings = np.zeros_like(wh)
    readings[:] = np.bincount(classes, minlength=wh.shape[1])
    for day in days:
        slots = town.calendar.day_slots(day)
        for at in range(0, count, _CHUNK):
            part = np.arange(at, min(at + _CHUNK, count))
            _add(
                wh[slots.start - first : slots.stop - first],
                town.local_day(part, day),
                classes[part],
            )
    faulty = ledger.unique(["meter", "slot"]).select("meter", "slot", "true_wh")
    taken = ledger.filter(pl.col("outcome").is_in([o.name.lower() for o in ACCEPTED]))
    held = taken.sort("version", "sent_wh").group_by("meter", "slot").agg(pl.col("sent_wh").last())
    for sign, frame, value in ((-1, faulty, "true_wh"), (1, held, "sent_wh")):
        slot = frame["slot"].to_numpy().astype(np.int64) - first
        key = slot, classes[frame["meter"].to_numpy()]
        np.add.at(wh, key, sign * frame[value].to_numpy().astype(np.int64))
        np.add.at(readings, key, sign)
    counts = outcomes(ledger)
    counts["new"] = counts.get("new", 0) + count * length - faulty.height
    return Truth(first, wh, readings, counts)


def outcomes(ledger: pl.DataFrame) -> dict[str, int]:
    """Outcome → deliveries in the ledger."""
    rows = ledger.drop_nulls("outcome").group_by("outcome").len().sort("outcome").rows()
    return {name: int(n) for name, n in rows}


def kinds(ledger: pl.DataFrame) -> dict[str, int]:
    """Kind → faulty readings."""
    rows = ledger.unique(["meter", "slot"]).group_by("kind").len().sort("kind").rows()
    return {name: int(n) for name, n in rows}


def _classes(register: Register, count: int, day: date) -> npt.NDArray[np.int64]:
    """int64[count], the sums' class of each meter."""
    if register.count < count:
        raise DataError(
            f"a register of {register.count:,} meters for a town of {count:,}",
            "build it from the file of `wattstorm generate register`",
        )
    columns = register.columns(0, count, day_number(day))
    return register.classes.of(columns.tariff, columns.region)


def _add(sums: npt.NDArray[np.int64], wh: npt.NDArray[Any], classes: npt.NDArray[np.int64]) -> None:
    """Add [n, slots] to int64[slots, classes]: exact, in whole numbers."""
    order = np.argsort(classes, kind="stable")
    starts = np.flatnonzero(np.diff(classes[order], prepend=-1))
    sums[:, classes[order][starts]] += np.add.reduceat(wh[order], starts, axis=0, dtype=np.int64).T
