"""Curves into files: Parquet that `wattstorm ingest` reads, or a numpy array on disk.

Memory stays bounded however many days are asked for: one day of the meters, 100 bytes each, or a
few MB for numpy. Shards are stretches of the meters: numpy's, one after the other,
are the whole array, Parquet's have the whole's rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.io.plugins import register_io_source

from generator.town.town import Meters, Town
from wattstorm.errors import UsageError
from wattstorm.metering.slots import date_of_day_number, day_number

STAMP: Final = pl.Datetime("ms", "UTC")
SCHEMA: Final = pl.Schema([("meter", pl.Int64()), ("ts_utc", STAMP), ("wh", pl.Int64())])
READINGS: Final = 1 << 20
"""Readings of one batch: 24 MB as a frame."""
DRAWN: Final = 1 << 17
"""Meters drawn in one go."""
ROW_GROUP: Final = 1 << 20
Say = Callable[[int], None]


def days_from(first: date, last: date) -> list[date]:
    """The dates first to last, both included."""
    if last < first:
        raise UsageError(f"the days {first} to {last}", "give the earlier day first")
    return [date_of_day_number(n) for n in range(day_number(first), day_number(last) + 1)]


def frames(
    town: Town,
    meters: range,
    days: Sequence[date],
    ids: Callable[[Meters], npt.NDArray[np.integer]] | None = None,
) -> Iterator[pl.DataFrame]:
    """Readings in order of slot, then meter, as `wattstorm ingest` reads without sorting.

    A day of all these meters is held: 100 bytes a meter (200 with layers). ids: external ids
    of meters; None: their numbers.
    """
    numbers = np.arange(meters.start, meters.stop)
    named = numbers if ids is None else ids(numbers)
    for day in days:
        slots = town.calendar.day_slots(day)
        wh = np.empty((len(slots), len(numbers)), np.uint16 if town.layers is None else np.int32)
        for at in range(0, len(numbers), DRAWN):
            wh[:, at : at + DRAWN] = town.local_day(numbers[at : at + DRAWN], day).T
        together = max(1, READINGS // max(1, len(numbers)))
        for first in range(0, len(slots), together):
            some = slots[first : first + together]
            starts = town.calendar.grid.start_of(np.array(some, np.int64)) * 1000
            for at in range(0, len(numbers), READINGS):
                part = named[at : at + READINGS].astype(np.int64)
                stamps = pl.Series(np.repeat(starts, len(part)), dtype=STAMP)
                yield pl.DataFrame(
                    {
                        "meter": np.tile(part, len(some)),
                        "ts_utc": stamps,
                        "wh": wh[first : first + len(some), at : at + len(part)]
                        .reshape(-1)
                        .astype(np.int64),
                    },
                    schema=SCHEMA,
                )


def write_parquet(
    town: Town,
    meters: range,
    days: Sequence[date],
    path: Path,
    ids: Callable[[Meters], npt.NDArray[np.integer]] | None = None,
    done: Say = lambda _: None,
) -> None:
    """A .parquet (or .csv) file of readings, in order of day; whole or not at all."""

    def counted() -> Iterator[pl.DataFrame]:
        for frame in frames(town, meters, days, ids):
            yield frame
            done(len(frame))

    write_batches(path, SCHEMA, counted())


def write_numpy(
    town: Town, meters: range, days: Sequence[date], path: Path, done: Say = lambda _: None
) -> tuple[int, int, int]:
    """A .npy file [meters, days, slots of the wall clock], uint16 (int32 with layers), Wh.

    Always 48 slots with half hours: of clock-change days too, as `Generator.curves` has them.
    """
    slots = town.generator.model.slots
    shape = (len(meters), len(days), slots)
    beside = path.with_name(f".{path.name}.new")
    dtype = np.uint16 if town.layers is None else np.int32
    array = np.lib.format.open_memmap(beside, mode="w+", dtype=dtype, shape=shape)
    numbers = [day_number(day) for day in days]
    step = max(1, READINGS // (slots * len(days)))
    for at in range(0, len(meters), step):
        part = np.arange(meters.start + at, min(meters.start + at + step, meters.stop))
        wh = town.generator.curves(part, days)
        array[at : at + len(part)] = (
            wh if town.layers is None else town.layers.apply(wh, town.seed, part, numbers)
        )
        done(wh.size)
    array.flush()
    del array
    os.replace(beside, path)
    return shape


def write_batches(path: Path, schema: pl.Schema, batches: Iterator[pl.DataFrame]) -> None:
    """Frames into one .parquet or .csv file, as they come; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    failed: list[BaseException] = []

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, _size: int | None
    ) -> Iterator[pl.DataFrame]:
        try:
            yield from batches
        except BaseException as error:  # polars would wrap it in an error of its own
            failed.append(error)
            raise

    frame = register_io_source(source, schema=schema, is_pure=True)
    try:
        if path.suffix == ".parquet":
            frame.sink_parquet(beside, row_group_size=ROW_GROUP, maintain_order=True)
        elif path.suffix == ".csv":
            frame.sink_csv(beside, maintain_order=True)
        else:
            raise UsageError(f"{path} ends in {path.suffix!r}", "write a .parquet or .csv file")
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if failed and not isinstance(error, KeyboardInterrupt):
            raise failed[0] from error
        raise
    os.replace(beside, path)
