"""Files of readings → batches of rows in order of time, each cell a number or null.

A frame of a file has the columns `file`, `row` (from 1, a CSV's header not
counted), the cells as they stand (`raw_…`), and what they say:

    id        UInt64   key of the meter's id, see `register.textkeys`
    at        Int64    µs since the epoch
    wh        Int64    energy, rounded half-even to whole Wh
    version   Int64    0 where there is none
    wrong     UInt8    0, or what is wrong with the row as a whole: BEYOND_HEADER, INCOMPLETE

null where a cell cannot be read. Nothing here knows the register or the grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast

import polars as pl

from wattstorm.errors import IngestError
from wattstorm.files import cells
from wattstorm.files.cells import Ambiguous, Clock
from wattstorm.files.columns import Taken, Wanted, take
from wattstorm.files.regrid import BEYOND_HEADER, INCOMPLETE, regridded
from wattstorm.files.survey import Survey, survey
from wattstorm.files.tables import BEYOND, Table, expanded, open_table, unreadable
from wattstorm.files.wide import unpivoted

__all__ = ["BEYOND_HEADER", "INCOMPLETE", "RAW", "Source", "Wanted", "read_files", "scan_readings"]

RAW: Final = ("raw_meter", "raw_time", "raw_energy", "raw_version")
_READ: Final = ("id", "at", "wh", "version")


@dataclass(frozen=True)
class Source:
    """What is read, and in which order. files: as `file` counts them; empty: those without any
    row; sorted: whether the rows had to be put in order, which takes memory for all of them."""

    files: tuple[Path, ...]
    surveys: tuple[Survey, ...]
    empty: tuple[Path, ...]
    sorted: bool
    frame: pl.LazyFrame

    @property
    def rows(self) -> int:
        return sum(found.rows for found in self.surveys)

    def versioned(self, version: int) -> Source:
        """The same readings under one version."""
        of_all = pl.lit(version, pl.Int64).alias("version")
        return replace(self, frame=self.frame.with_columns(of_all) if self.surveys else self.frame)


HELD_BYTES: Final = 200_000_000
"""Of a command's files, as they lie on disk, so much is kept in memory after the look at it."""
_PARQUET_ROW: Final = 50


class Memory:
    """Room for files that are parsed once, and not again when they are sent."""

    def __init__(self, room: int = HELD_BYTES) -> None:
        self.room = room

    def held(self, table: Table, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The frame, read if there is room for it."""
        size = (
            table.frame.select(pl.len()).collect().item() * _PARQUET_ROW
            if not table.first_line
            else table.path.stat().st_size
            if table.path.is_file()
            else 0
        )
        if size > self.room:
            return frame
        self.room -= size
        return frame.collect(engine="streaming").lazy()


def read_files(paths: Sequence[Path], wanted: Wanted) -> Source:
    """The files of these paths, looked at and in order of time.

    Files in order, one after the other, are streamed as they are; any others are put in order
    first. UsageError, IngestError: where reading them as they are would give wrong numbers.
    """
    files, memory = expanded(paths), Memory()
    found = [(path, _survey(path, i, wanted, memory)) for i, path in enumerate(files)]
    surveys = sorted((s for _, s in found if s), key=lambda s: s.first)
    empty = tuple(path for path, s in found if s is None)
    ordered = all(s.ordered for s in surveys) and all(
        a.last <= b.first for a, b in itertools.pairwise(surveys)
    )
    if not surveys:
        return Source(tuple(files), (), empty, False, pl.LazyFrame())
    frame = pl.concat([s.frame for s in surveys], how="vertical")
    if not ordered:
        frame = frame.sort("at", maintain_order=True, nulls_last=True)
    return Source(tuple(files), tuple(surveys), empty, not ordered, frame)


@dataclass(frozen=True)
class Batches:
    """The rows of a frame, as `polars.DataFrame`s; read while iterated."""

    frame: pl.LazyFrame
    size: int

    def __iter__(self) -> Iterator[pl.DataFrame]:
        if not self.frame.collect_schema():
            return
        try:
            for frame in self.frame.collect_batches(
                chunk_size=self.size, maintain_order=True, engine="streaming"
            ):
                for at in range(0, len(frame), self.size):
                    yield frame[at : at + self.size]
        except (pl.exceptions.PolarsError, OSError) as error:
            raise IngestError(
                f"a file cannot be read: {error}", "what was read before it is sent and counted"
            ) from error


def scan_readings(path: Path, index: int, wanted: Wanted) -> pl.LazyFrame:
    """The file's frame, unread and in its own order; IngestError, UsageError as `read_files`."""
    found = _survey(path, index, wanted, None)
    if found is None:
        raise IngestError(f"{path} is empty", "give a file with rows")
    return found.frame


def _survey(path: Path, index: int, wanted: Wanted, memory: Memory | None) -> Survey | None:
    """memory: None where the cells as they stand are wanted of each row, as text."""
    table = open_table(path, wanted.form)
    if table is None:
        return None
    if wanted.wide:
        table, wanted = unpivoted(table, wanted)
    taken = take(table, wanted)
    try:
        frame = parsed(table, index, taken, wanted)
        if memory is not None:
            frame = memory.held(table, frame)
        found = regridded(survey(path, taken, frame, wanted), wanted)
        return replace(found, frame=_as_text(found.frame, of_all=memory is None))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise unreadable(path, error) from error


def parsed(table: Table, index: int, taken: Taken, wanted: Wanted) -> pl.LazyFrame:
    """The table's frame, and two columns for the survey: naive, fraction (Boolean)."""
    schema = dict(table.schema)
    source = table.frame.with_row_index("row", offset=1)
    time = pl.col(taken.time)
    if taken.date:
        time = _day_and_clock(taken, schema)
        schema[taken.time] = pl.String()
    of_text = table.first_line > 0
    version: pl.Expr = pl.lit(wanted.constant_version).cast(pl.String)
    if taken.version:
        version = pl.col(taken.version)
    beyond = pl.col(BEYOND).is_not_null() if of_text else pl.lit(False)
    energy = pl.col(taken.energy)
    if of_text:  # shown as it stands: "0,5" where 5 was cut off
        energy = (
            pl.when(beyond).then(pl.concat_str(energy, pl.lit(" | "), BEYOND)).otherwise(energy)
        )
    frame = source.select(
        pl.lit(index, pl.UInt32).alias("file"),
        pl.col("row").cast(pl.UInt64),
        (pl.col(taken.meter) if taken.meter else pl.lit(wanted.meter_id)).alias("raw_meter"),
        time.alias("raw_time"),
        energy.alias("raw_energy"),
        version.alias("raw_version"),
        pl.when(beyond).then(BEYOND_HEADER).otherwise(0).cast(pl.UInt8).alias("wrong"),
    )
    if of_text:  # an empty line is no row
        frame = frame.filter(~pl.all_horizontal(pl.col(*RAW[:3]).is_null()))
    meter_type = schema[taken.meter] if taken.meter else pl.String()
    versioned = taken.version or wanted.constant_version is not None
    number = cells.versions("raw_version") if versioned else pl.lit(0, pl.Int64)
    stamp = cells.stamps("raw_time", schema[taken.time], _clock(wanted))
    energies = cells.energies("raw_energy", schema[taken.energy], taken.unit)
    return frame.with_columns(
        cells.meters("raw_meter", meter_type).alias("id"),
        _at(stamp.at, schema[taken.time], wanted).alias("at"),
        pl.when(pl.col("wrong") == 0).then(energies.wh).alias("wh"),
        number.alias("version"),
        stamp.naive.alias("naive"),
        energies.fraction.alias("fraction"),
    )


def _as_text(frame: pl.LazyFrame, *, of_all: bool) -> pl.LazyFrame:
    """The cells as they stand in one type, whatever the files: they are put together later.

    of_all: of each row; else, of cells that are numbers or times, where a row cannot be read: what
    a good row says can be told from what was made of it.
    """
    schema = frame.collect_schema()
    texts = (pl.String, pl.Categorical, pl.Enum, pl.Null)
    bad = pl.any_horizontal(pl.col(*_READ).is_null()) | (pl.col("wrong") > 0)
    made = []
    for name in RAW:
        if of_all or schema[name] in texts:
            made.append(pl.col(name).cast(pl.String))
            continue
        both = pl.struct(pl.col(name).alias("cell"), bad.alias("bad"))
        made.append(
            both.map_batches(_where_bad, return_dtype=pl.String, is_elementwise=True).alias(name)
        )
    return frame.with_columns(made)


def _where_bad(rows: pl.Series) -> pl.Series:
    bad = rows.struct.field("bad")
    none = pl.Series(rows.name, [None], dtype=pl.String).new_from_index(0, len(rows))
    if not bad.any():
        return none
    cells = rows.struct.field("cell").filter(bad).cast(pl.String)
    return none.scatter(bad.arg_true(), cells)


def _clock(wanted: Wanted) -> Clock:
    which = "earliest" if wanted.ambiguous == "order" else wanted.ambiguous or "null"
    return Clock(wanted.time_zone or "UTC", wanted.time_format, cast(Ambiguous, which))


def _at(early: pl.Expr, dtype: Any, wanted: Wanted) -> pl.Expr:
    """With `ambiguous="order"`: of a meter's equal local stamps the first is the earlier hour."""
    if wanted.ambiguous != "order":
        return early
    clock = replace(_clock(wanted), ambiguous="latest")
    late = cells.stamps("raw_time", dtype, clock).at
    again = pl.int_range(pl.len()).over("raw_meter", "raw_time") > 0
    return pl.when(again).then(late).otherwise(early)


def _day_and_clock(taken: Taken, schema: dict[str, Any]) -> pl.Expr:
    """One text out of a column of days and one of times of day."""
    day = pl.col(taken.date).cast(pl.String)
    if schema[taken.date].is_temporal():
        day = day.str.slice(0, 10)
    clock = pl.col(taken.time).cast(pl.String).str.strip_chars()
    if isinstance(schema[taken.time], pl.Time):
        clock = clock.str.slice(0, 8)
    return pl.concat_str(day.str.strip_chars(), pl.lit(" "), clock)
