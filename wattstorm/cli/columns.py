"""Files with a table of anything: Parquet or CSV, its columns found by their usual names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from wattstorm.errors import IngestError, UsageError
from wattstorm.files.cells import Clock, stamps


def read_table(file: Path, *, as_text: bool = False) -> pl.DataFrame:
    """The whole file; as_text: the cells of a CSV as they stand."""
    try:
        if file.suffix == ".parquet":
            return pl.read_parquet(file)
        if as_text:
            return pl.read_csv(file, infer_schema=False)
        return pl.read_csv(file, try_parse_dates=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise IngestError(f"{file} cannot be read: {error}", "give Parquet or CSV") from error


def column_of(frame: pl.DataFrame, given: str, usual: Sequence[str], option: str) -> str:
    """The column that was asked for, or the first that has a usual name; "" if none has.
    UsageError if the one that was asked for is not there."""
    if given and given not in frame.columns:
        what = f"there is no column {given!r}"
        raise UsageError(what, f"{option} may be one of {', '.join(frame.columns)}")
    return given or next((name for name in frame.columns if name.lower() in usual), "")


def needed_column(frame: pl.DataFrame, given: str, usual: Sequence[str], option: str) -> str:
    """The same; UsageError if there is none."""
    found = column_of(frame, given, usual, option)
    if not found:
        what = f"no column is called {', '.join(usual[:-1])} or {usual[-1]}"
        raise UsageError(what, f"give {option}, one of {', '.join(frame.columns)}")
    return found


def seconds_of(frame: pl.DataFrame, column: str, time_zone: str) -> pl.Series:
    """Int64, UTC seconds of a column of time stamps; those that name no zone are of `time_zone`.
    IngestError names the first row that holds none."""
    if frame.schema[column] == pl.Date:
        frame = frame.with_columns(pl.col(column).cast(pl.Datetime("us")))
    at = stamps(column, frame.schema[column], Clock(time_zone)).at
    seconds = frame.select((at // 1_000_000).alias("at"))["at"]
    if seconds.null_count():
        row = int(seconds.is_null().arg_max() or 0)
        said = frame[column][row]
        raise IngestError(
            f"row {row + 1}: {said!r} in column {column!r} is no time in {time_zone}",
            "write 2025-01-14T00:00Z, or with another offset",
        )
    return seconds


def moment_of(text: str, option: str) -> int:
    """UTC seconds of 2025-01-14T12:00Z (without an offset: UTC); "" is now."""
    if not text:
        return int(datetime.now(UTC).timestamp())
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no time", "write 2025-01-14T12:00Z") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def shown(moment: int) -> str:
    """UTC, for a person.

    >>> shown(0)
    '1970-01-01T00:00Z'
    """
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%MZ")
