"""Reading and checking the rows of a register's source files, Parquet or CSV.

Every cell either becomes a number or is refused with its file, row and id. Rows
are counted from 1, the header of a CSV not included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.errors import RegisterError
from wattstorm.register.arrays import (
    FIRST_DATE,
    LAST_DATE,
    MAX_CODES,
    pack,
)
from wattstorm.register.register import Register
from wattstorm.register.rows import Rows, place_of

MAX_DIGITS: Final = 14
REQUIRED: Final = ("external_id", "tariff", "contracted_power_va")
OPTIONAL: Final = ("region", "producer", "valid_from")
DEFAULT_REGION: Final = "all"
CHUNK_ROWS: Final = 2_000_000
_YES, _NO = ("true", "1", "yes", "t", "y"), ("false", "0", "no", "f", "n")
_MAX_POWER = 2**32 - 1
_WRONG: Final = {
    "external_id": (f"is not 1 to {MAX_DIGITS} digits", "correct the id or take the row out"),
    "tariff": ("names no tariff", "give each row the name of its tariff"),
    "contracted_power_va": (
        f"is not a whole number of VA from 0 to {_MAX_POWER}",
        "give the contracted power in volt-amperes",
    ),
    "producer": ("is neither true nor false", "write true or false"),
    "valid_from": (
        f"is no date from {FIRST_DATE} to {LAST_DATE}",
        f"write YYYY-MM-DD; {FIRST_DATE} stands for 'always'",
    ),
}


def build_register(
    sources: Sequence[Path],
    directory: Path,
    *,
    partition_size: int | None = None,
    tariffs: Sequence[str] | None = None,
) -> Register:
    """Build a register from Parquet or CSV files, or extend the one in `directory`.

    Columns: external_id, tariff, contracted_power_va and, optional, region ("all"),
    producer (false), valid_from (1970-01-01). tariffs: the only names allowed;
    partition_size and what an extension may say: see `Register.build`.
    """
    if not sources:
        raise RegisterError("no source file", "give at least one .parquet or .csv file")
    files = [Path(source) for source in sources]

    def read(known_tariffs: tuple[str, ...], known_regions: tuple[str, ...]) -> Rows:
        return read_rows(files, known_tariffs, known_regions, allowed=tariffs)

    return Register.build(read, directory, partition_size=partition_size)


def read_rows(
    files: Sequence[Path],
    tariffs: tuple[str, ...] = (),
    regions: tuple[str, ...] = (),
    allowed: Sequence[str] | None = None,
) -> Rows:
    """Read the files in order. Codes go on from `tariffs` and `regions`, as names first appear.

    allowed: the only tariffs that may occur; None for any.
    """
    tariff_codes = _Codes("tariff", tariffs, allowed)
    region_codes = _Codes("region", regions, None)
    ids, days, entries, starts = [], [], [], []
    rows = 0
    for file in files:
        starts.append(rows)
        for raw in _chunks(file):
            typed = _typed(file, raw, rows - starts[-1])
            where = (file, rows - starts[-1], typed["external_id"])
            ids.append(typed["external_id"].to_numpy())
            days.append(typed["valid_from"].to_numpy())
            entries.append(
                pack(
                    tariff_codes.of(typed["tariff"], *where),
                    region_codes.of(typed["region"], *where),
                    typed["contracted_power_va"].to_numpy(),
                    typed["producer"].to_numpy(),
                )
            )
            rows += raw.height
    return Rows(
        _joined(ids, np.uint64),
        _joined(days, np.uint16),
        _joined(entries, np.uint64),
        tuple(tariff_codes.codes),
        tuple(region_codes.codes),
        tuple(files),
        tuple(starts),
    )


class _Codes:
    """Names of a column to codes, in order of first appearance."""

    def __init__(self, column: str, names: Sequence[str], allowed: Sequence[str] | None) -> None:
        self.column = column
        self.codes = {name: code for code, name in enumerate(names)}
        self.allowed = allowed

    def of(
        self, names: pl.Series, file: Path, first_row: int, ids: pl.Series
    ) -> npt.NDArray[np.uint8]:
        """Codes uint8[n] of a chunk's names; a new name gets the next code."""
        for name in names.unique(maintain_order=True).to_list():
            if name in self.codes and (self.allowed is None or name in self.allowed):
                continue
            row = names.index_of(name) or 0
            place = place_of(file, first_row + row, ids[row])
            if self.allowed is not None and name not in self.allowed:
                raise RegisterError(
                    f"{place}: {self.column} {name!r} is none of {', '.join(self.allowed)}",
                    "correct the row, or add the tariff to the list of tariffs",
                )
            if len(self.codes) == MAX_CODES:
                raise RegisterError(
                    f"{place}: {name!r} would be {self.column} number {MAX_CODES + 1},"
                    f" a register holds {MAX_CODES}",
                    f"group the {self.column}s into fewer names",
                )
            self.codes[name] = len(self.codes)
        return names.replace_strict(self.codes, return_dtype=pl.UInt8).to_numpy()


def _joined(parts: list[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _chunks(file: Path) -> Iterator[pl.DataFrame]:
    """The file's register columns, in frames of at most CHUNK_ROWS rows."""
    try:
        if file.suffix == ".parquet":
            lazy = pl.scan_parquet(file)
        elif file.suffix == ".csv":
            # All text: a column's type must not depend on what its first rows look like.
            lazy = pl.scan_csv(file, infer_schema=False)
        else:
            raise RegisterError(
                f"{file} ends in {file.suffix or 'nothing'!r}", "give a .parquet or .csv file"
            )
        schema = lazy.collect_schema()
        if missing := [name for name in REQUIRED if name not in schema]:
            raise RegisterError(
                f"{file} has no column {', '.join(missing)}, only {', '.join(schema)}",
                f"name the columns {', '.join(REQUIRED)} and, if any, {', '.join(OPTIONAL)}",
            )
        lazy = lazy.select([name for name in REQUIRED + OPTIONAL if name in schema])
        for batch in lazy.collect_batches(chunk_size=CHUNK_ROWS, maintain_order=True):
            # An engine may hand over more than was asked for.
            yield from batch.iter_slices(CHUNK_ROWS)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise RegisterError(
            f"{file} cannot be read as {file.suffix[1:]}: {str(error).splitlines()[0]}",
            "check the path and that the file is whole",
        ) from error


def _typed(file: Path, raw: pl.DataFrame, first_row: int) -> pl.DataFrame:
    """The chunk with all six columns as numbers and names, nothing null."""
    expressions = {
        "external_id": _external_id,
        "tariff": _name,
        "contracted_power_va": _power,
        "region": _region,
        "producer": _producer,
        "valid_from": _day,
    }
    defaults = {"region": pl.lit(DEFAULT_REGION), "producer": pl.lit(False)}
    defaults["valid_from"] = pl.lit(0, pl.UInt16)
    # With a literal alone, select would give one row.
    typed = raw.with_columns(
        (make(file, raw.schema[name], name) if name in raw.schema else defaults[name]).alias(name)
        for name, make in expressions.items()
    )
    nulls = [name for name in typed.columns if typed[name].null_count()]
    if not nulls:
        return typed
    row, name = min((int(typed[name].is_null().arg_max() or 0), name) for name in nulls)
    what, remedy = _WRONG[name]
    place = place_of(file, first_row + row, raw["external_id"][row])
    raise RegisterError(f"{place}: {name} {_shown(raw[name][row])} {what}", remedy)


def _shown(value: object) -> str:
    return "(empty)" if value is None or str(value).strip() == "" else repr(value)


def _refuse_type(file: Path, dtype: pl.DataType, name: str, wanted: str) -> RegisterError:
    return RegisterError(f"{file}: column {name} is {dtype}", f"store it as {wanted}")


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.strip_chars()


def _external_id(file: Path, dtype: pl.DataType, name: str) -> pl.Expr:
    if dtype == pl.String:
        text = _text(name)
        digits = pl.when(text.str.contains(rf"^[0-9]{{1,{MAX_DIGITS}}}$")).then(text)
        return digits.otherwise(None).cast(pl.UInt64, strict=False)
    if not dtype.is_integer():
        raise _refuse_type(file, dtype, name, "whole numbers or text of digits")
    fits = pl.col(name).is_between(0, 10**MAX_DIGITS - 1)
    return pl.when(fits).then(pl.col(name)).otherwise(None).cast(pl.UInt64, strict=False)


def _name(file: Path, dtype: pl.DataType, name: str) -> pl.Expr:
    if not (dtype in (pl.String, pl.Categorical, pl.Enum) or dtype.is_integer()):
        raise _refuse_type(file, dtype, name, "text")
    return pl.when(_text(name) != "").then(_text(name)).otherwise(None)


def _region(file: Path, dtype: pl.DataType, name: str) -> pl.Expr:
    return _name(file, dtype, name).fill_null(DEFAULT_REGION)


def _power(file: Path, dtype: pl.DataType, name: str) -> pl.Expr:
    if not (dtype == pl.String or dtype.is_numeric()):
        raise _refuse_type(file, dtype, name, "whole numbers of VA")
    source = _text(name) if dtype == pl.String else pl.col(name)
    power = source.cast(pl.Float64, strict=False)
    fits = power.is_between(0, _MAX_POWER) & (power == power.floor())
    return pl.when(fits).then(power).otherwise(None).cast(pl.UInt32, strict=False)


def _producer(file: Path, dtype: pl.DataType, name: str) -> pl.Expr:
    if dtype == pl.Boolean:
        return pl.col(name).fill_null(False)
    if not (dtype == pl.String or dtype.is_integer()):
        raise _refuse_type(file, dtype, name, "true or false")
    text = _text(name).str.to_lowercase().fill_null("")
    return (
        pl.when(text.is_in(_YES))
        .then(pl.lit(True))
        .when(text.is_in((*_NO, "")))
        .then(pl.lit(False))
        .otherwise(None)
    )


def _day(file: Path, dtype: pl.DataType, name: str) -> pl.Expr:
    if dtype == pl.Date:
        dates = pl.col(name)
    elif isinstance(dtype, pl.Datetime):
        dates = pl.col(name).dt.date()
    elif dtype == pl.String:
        whole = _text(name).str.contains(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
        text = pl.when(whole).then(_text(name)).otherwise(None)
        dates = text.str.to_date("%Y-%m-%d", strict=False)
    else:
        raise _refuse_type(file, dtype, name, "dates")
    fits = dates.is_between(pl.lit(FIRST_DATE), pl.lit(LAST_DATE))
    day = pl.when(fits).then(dates.to_physical()).otherwise(None).cast(pl.UInt16, strict=False)
    missing = pl.col(name).is_null() if dtype != pl.String else _text(name).fill_null("") == ""
    return pl.when(missing).then(pl.lit(0, pl.UInt16)).otherwise(day)
