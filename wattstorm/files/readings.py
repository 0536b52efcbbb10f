"""Files of readings → batches of rows in order of time, each cell a number or null.

A frame of a file has the columns `file`, `row` (from 1, a CSV's header not
counted), the cells as they stand (`raw_…`), and what they say:

    id        UInt64   external id
    at        Int64    µs since the epoch
    wh        Int64    energy, rounded half-even to whole Wh
    version   Int64    0 where there is none

null where a cell cannot be read. Nothing here knows the register or the grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from wattstorm.errors import IngestError, UsageError
from wattstorm.files import cells
from wattstorm.setting_values import closest

METER_NAMES: Final = ("meter", "external_id", "meter_id", "prm")
TIME_NAMES: Final = ("ts_utc", "time", "timestamp", "ts", "start")
ENERGY_NAMES: Final = {"kwh": "kWh", "wh": "Wh", "energy_kwh": "kWh", "energy_wh": "Wh"}
RAW: Final = ("raw_meter", "raw_time", "raw_energy", "raw_version")


@dataclass(frozen=True)
class Wanted:
    """Names of the columns ("": by the usual names), and how to read their cells."""

    meter: str = ""
    time: str = ""
    energy: str = ""
    unit: str = ""
    version: str = ""
    time_zone: str = ""


@dataclass(frozen=True)
class Survey:
    """One look at a file: how many rows, in which order, from when to when (µs)."""

    frame: pl.LazyFrame
    rows: int
    ordered: bool
    first: int
    last: int


def read_files(paths: Sequence[Path], wanted: Wanted, batch: int) -> tuple[int, bool, Batches]:
    """(rows in all, whether they had to be sorted, batches of at most about `batch` rows).

    Files in order of time, one after the other, are streamed as they are; any
    others are put in order first, which takes memory for all their rows.
    """
    surveys = [_survey(path, i, wanted) for i, path in enumerate(paths)]
    surveys.sort(key=lambda survey: survey.first)
    ordered = all(survey.ordered for survey in surveys) and all(
        a.last <= b.first for a, b in itertools.pairwise(surveys)
    )
    frame = pl.concat([survey.frame for survey in surveys], how="vertical")
    if not ordered:
        frame = frame.sort("at", maintain_order=True, nulls_last=True)
    return sum(survey.rows for survey in surveys), not ordered, Batches(frame, batch)


@dataclass(frozen=True)
class Batches:
    """The rows, as `polars.DataFrame`s; read while iterated."""

    frame: pl.LazyFrame
    size: int

    def __iter__(self) -> Iterator[pl.DataFrame]:
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
    return _survey(path, index, wanted).frame


def _survey(path: Path, index: int, wanted: Wanted) -> Survey:
    try:
        source = _scan(path)
        frame, naive = _parsed(source, path, index, wanted)
        at = pl.col("at").drop_nulls()
        found = (
            frame.with_columns(naive.alias("naive"))
            .select(
                pl.len().alias("rows"),
                (at.diff() < 0).sum().alias("back"),
                at.min().alias("first"),
                at.max().alias("last"),
                pl.col("naive").sum().alias("naive"),
            )
            .collect(engine="streaming")
            .row(0, named=True)
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise IngestError(
            f"{path} cannot be read: {why}", "is it a whole Parquet or CSV file?"
        ) from error
    if found["naive"] and not wanted.time_zone:
        raise UsageError(
            f"{path} has {found['naive']:,} time stamps without an offset",
            "say which clock they are of: --time-zone UTC, --time-zone Europe/Paris",
        )
    return Survey(frame, found["rows"], not found["back"], found["first"] or 0, found["last"] or 0)


def _scan(path: Path) -> pl.LazyFrame:
    if path.suffix.lower() in (".parquet", ".pq"):
        return pl.scan_parquet(path)
    if path.suffix.lower() in (".csv", ".txt"):
        with path.open("rb") as file:
            header = file.readline()
        # As text, so that one bad cell costs a row and not the file.
        return pl.scan_csv(
            path,
            separator=";" if header.count(b";") > header.count(b",") else ",",
            infer_schema=False,
            encoding="utf8-lossy",
            truncate_ragged_lines=True,
        )
    raise IngestError(f"{path} is neither .parquet nor .csv", "convert it, or rename it")


def _parsed(
    source: pl.LazyFrame, path: Path, index: int, wanted: Wanted
) -> tuple[pl.LazyFrame, pl.Expr]:
    """(the file's frame, which of its stamps have no offset)."""
    schema = source.collect_schema()
    meter = _column(path, schema.names(), wanted.meter, METER_NAMES, "--meter-column")
    time = _column(path, schema.names(), wanted.time, TIME_NAMES, "--time-column")
    energy = _column(path, schema.names(), wanted.energy, tuple(ENERGY_NAMES), "--energy-column")
    unit = wanted.unit or ENERGY_NAMES.get(energy.lower(), "")
    if not unit:
        raise UsageError(f"the unit of column {energy!r} is not known", "add --unit kWh or Wh")
    version = pl.lit(None, pl.String)
    if wanted.version:
        name = _column(path, schema.names(), wanted.version, (), "--version-column")
        version = pl.col(name)
    frame = source.with_row_index("row", offset=1).select(
        pl.lit(index, pl.UInt32).alias("file"),
        pl.col("row").cast(pl.UInt64),
        pl.col(meter).alias("raw_meter"),
        pl.col(time).alias("raw_time"),
        pl.col(energy).alias("raw_energy"),
        version.alias("raw_version"),
    )
    stamp = cells.stamps("raw_time", schema[time], wanted.time_zone or "UTC")
    frame = frame.with_columns(
        cells.ids("raw_meter", schema[meter]).alias("id"),
        stamp.at.alias("at"),
        cells.energies("raw_energy", schema[energy], unit).alias("wh"),
        cells.versions("raw_version").alias("version"),
    )
    # One type for the cells as they stand, whatever the files: they are put together later.
    return frame.with_columns(pl.col(*RAW).cast(pl.String)), stamp.naive


def _column(path: Path, names: list[str], wanted: str, usual: tuple[str, ...], option: str) -> str:
    if wanted and wanted not in names:
        raise UsageError(
            f"{path} has no column {wanted!r}",
            closest(wanted, names) or f"it has {', '.join(names)}",
        )
    found = wanted or next((n for u in usual for n in names if n.lower() == u), "")
    if not found:
        raise UsageError(
            f"{path} has none of the columns {', '.join(usual)}",
            f"name it with {option}; the file has {', '.join(names)}",
        )
    return found
