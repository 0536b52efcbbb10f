"""One look at a file before it is read: how many rows, from when to when, and what smells.

What would give wrong numbers in silence is refused here, with the option that says how it is
meant: a unit that is not the column's, stamps at the slots' ends, another length of slot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from wattstorm.errors import IngestError, UsageError
from wattstorm.files.columns import Taken, Wanted
from wattstorm.metering.slots import GRID_MINUTES, load_zone

FRACTIONS: Final = 0.01
"""Share of energies in Wh with fractions from which the unit is doubted."""
MOSTLY: Final = 0.8
"""Share of the gaps between stamps that must be equal to be called the interval."""
FEWEST_GAPS: Final = 4
FEWEST_LONG_STAMPS: Final = 12
"""Stamps that it takes to say that readings come more seldom than slots: a short file of
corrections has gaps between them as well."""
FEWEST_STAMPS: Final = 10
_MINUTE_US: Final = 60_000_000
_FORMATS: Final = (
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y%m%d %H:%M",
    "%Y%m%d %H%M",
    "%d/%m/%y %H:%M",
)


@dataclass(frozen=True)
class Survey:
    """path, taken, frame: the file and what is read of it; rows, ordered, first and last (µs):
    what one look showed; minutes: how often its readings come, None where they do not say."""

    path: Path
    taken: Taken
    frame: pl.LazyFrame
    rows: int
    ordered: bool
    first: int
    last: int
    minutes: int | None
    fractions: int
    bad: dict[str, int]


def survey(path: Path, taken: Taken, frame: pl.LazyFrame, wanted: Wanted) -> Survey:
    """Look at all of the file once. frame: as `readings.parsed` makes it."""
    at = pl.col("at").drop_nulls()
    unread = pl.col("at").is_null() & pl.col("raw_time").is_not_null()
    looked = frame.select(
        pl.len().alias("rows"),
        (at.diff() < 0).sum().alias("back"),
        at.min().alias("first"),
        at.max().alias("last"),
        pl.col("naive").sum(),
        pl.col("row").filter(pl.col("naive")).first().alias("naive_row"),
        pl.col("raw_time").filter(pl.col("naive")).first().cast(pl.String).alias("naive_time"),
        pl.col("fraction").sum().alias("fractions"),
        pl.col("raw_energy")
        .filter(pl.col("fraction"))
        .head(3)
        .cast(pl.String)
        .implode()
        .alias("fraction_cells"),
        unread.sum().alias("time"),
        pl.col("raw_time").filter(unread).first().cast(pl.String).alias("time_cell"),
        pl.col("id").is_null().sum().alias("meter"),
        (pl.col("wh").is_null() & (pl.col("wrong") == 0)).sum().alias("energy"),
        (pl.col("wrong") > 0).sum().alias("beyond"),
    )
    stamps = frame.group_by("at").agg(pl.len().alias("n")).drop_nulls().sort("at")
    totals, seen = pl.collect_all([looked, stamps], engine="streaming")
    found = totals.row(0, named=True)
    minutes = interval(seen)
    _check_cells(path, taken, wanted, found)
    if wanted.slot_minutes:
        _check_interval(path, wanted, minutes, len(seen))
        _check_ends(path, wanted, seen["at"])
    bad = {name: found[name] for name in ("meter", "time", "energy", "beyond") if found[name]}
    return Survey(
        path,
        taken,
        frame,
        found["rows"],
        not found["back"],
        found["first"] or 0,
        found["last"] or 0,
        minutes,
        found["fractions"],
        bad,
    )


def interval(stamps: pl.DataFrame) -> int | None:
    """Minutes between readings; stamps: `at` µs ascending, `n` rows of each.

    By the stamps that many rows share, so that a few odd ones do not hide it; None if the gaps
    between them agree on none.

    >>> interval(pl.DataFrame({"at": [0, 9, 15, 30, 45, 60], "n": [8, 1, 8, 8, 8, 8]}).with_columns(
    ...     pl.col("at") * 60_000_000))
    15
    """
    if not len(stamps):
        return None
    usual = stamps.filter(pl.col("n") * 4 >= pl.col("n").max())["at"].to_numpy()
    gaps = np.diff(usual) / _MINUTE_US
    if len(gaps) < FEWEST_GAPS:
        return None
    lengths, counts = np.unique(gaps, return_counts=True)
    if counts.max() < MOSTLY * len(gaps) or lengths[counts.argmax()] % 1:
        return None
    return int(lengths[counts.argmax()])


def _check_cells(path: Path, taken: Taken, wanted: Wanted, found: dict[str, Any]) -> None:
    if found["naive"] and not wanted.time_zone:
        raise UsageError(
            f"{path} has {found['naive']:,} time stamps without an offset; the first is "
            f"{found['naive_time']} in row {found['naive_row']:,}",
            "say which clock they are of: --time-zone UTC, --time-zone Europe/Paris",
        )
    if found["time"] * 2 > found["rows"]:
        raise IngestError(
            f"{path}: {found['time']:,} of {found['rows']:,} time stamps cannot be read; the "
            f"first is {found['time_cell']!r} in column {taken.time!r}",
            _time_remedy(str(found["time_cell"]), wanted),
        )
    few = max(2, FRACTIONS * found["rows"])
    if taken.unit == "Wh" and not wanted.rounded and found["fractions"] > few:
        cells = ", ".join(found["fraction_cells"])
        raise UsageError(
            f"{path}: {found['fractions']:,} energies in Wh have fractions: {cells}, …",
            "kilowatt-hours: --unit kWh; or --round, to round each to whole Wh",
        )


def _time_remedy(cell: str, wanted: Wanted) -> str:
    """The option under which such a stamp is read."""
    if wanted.time_format:
        return f"--time-format {wanted.time_format!r} does not fit it"
    for written in _FORMATS:
        try:
            datetime.strptime(cell.strip(), written)
        except ValueError:
            continue
        return f"say how it is written: --time-format '{written}'"
    try:
        if 20_000 < float(cell.replace(",", ".")) < 80_000:
            return "a workbook's days: --time-format excel"
    except ValueError:
        pass
    return "write ISO 8601, or say how it is written: --time-format '%d/%m/%Y %H:%M'"


def _check_interval(path: Path, wanted: Wanted, minutes: int | None, stamps: int) -> None:
    slot = wanted.slot_minutes
    if minutes is None or minutes == slot or (minutes > slot and stamps < FEWEST_LONG_STAMPS):
        return
    fits = minutes % slot == 0 or slot % minutes == 0
    if minutes < slot:
        if fits and wanted.interval == "sum":
            return
        remedy = "--sum adds them up" if fits else "resample them"
    else:
        if wanted.interval == "sparse" or (fits and wanted.interval == "spread"):
            return
        remedy = "--sparse, if the slots between are rightly empty"
        remedy = f"--spread shares each among its slots; {remedy}" if fits else remedy
    if minutes in GRID_MINUTES:
        remedy += f"; a new store may have such slots: WATTSTORM_STREAM_SLOT_MINUTES={minutes}"
    raise IngestError(
        f"{path}: the readings come every {minutes} minutes, the stream has slots of {slot}", remedy
    )


def _check_ends(path: Path, wanted: Wanted, stamps: pl.Series) -> None:
    """Whole days of stamps that begin after midnight and end on one are ends of slots."""
    step = timedelta(minutes=wanted.slot_minutes)
    if wanted.stamps or len(stamps) < FEWEST_STAMPS:
        return
    for zone in filter(None, ("UTC", wanted.time_zone, wanted.local_zone)):
        first, last = (
            datetime.fromtimestamp(us / 1e6, UTC).astimezone(load_zone(zone))
            for us in (int(stamps[0]), int(stamps[-1]))
        )
        midnight = last.hour == last.minute == 0
        if midnight and timedelta(hours=first.hour, minutes=first.minute) == step:
            raise UsageError(
                f"{path}: the stamps go from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} "
                f"({zone}), as those of the slots' ends do",
                "say which they are: --stamps end, or --stamps start",
            )
