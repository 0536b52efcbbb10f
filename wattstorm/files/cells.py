"""Cells of a file of readings → numbers, as polars expressions; null where a cell says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import polars as pl

from wattstorm.errors import IngestError
from wattstorm.files import ids
from wattstorm.metering.slots import FIRST_DATE, LAST_DATE

MAX_VERSION = 0xFFFF
MAX_WH = 2**31 - 1
_STAMP = (
    r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2})?(\.\d{1,6})?)?"
    r"\s*(Z|z|[+-]\d{2}(?::?\d{2})?)?$"
)
_EPOCH_US = (  # a number of up to so much is of this many µs: s, ms, µs, ns
    (10**11, 10**6),
    (10**14, 10**3),
    (10**17, 1),
)
_DAY_US = 86_400_000_000
EXCEL: Final = "excel"
"""As a time format: days since 1899-12-30, as a workbook keeps its dates."""
_EXCEL_EPOCH_DAYS: Final = 25_569
FACTORS: Final = {"wh": 1, "kwh": 1000, "mwh": 1_000_000}


Ambiguous = Literal["null", "earliest", "latest"]
"""Which of a clock's two equal hours a stamp without an offset means; null: nobody can say."""


@dataclass(frozen=True)
class Clock:
    """How stamps are read: zone of those without an offset, a format other than ISO 8601."""

    time_zone: str
    time_format: str = ""
    ambiguous: Ambiguous = "null"


class Stamps(NamedTuple):
    """at: Int64, µs since the epoch; naive: Boolean, read with the time zone that was given."""

    at: pl.Expr
    naive: pl.Expr


class Energies(NamedTuple):
    """wh: Int64; fraction: Boolean, whether a cell of whole Wh has a fraction."""

    wh: pl.Expr
    fraction: pl.Expr


def meters(name: str, dtype: pl.DataType) -> pl.Expr:
    """UInt64, keys of ids; see `ids`."""
    found = ids.keys(name, dtype)
    if found is None:
        raise _unusable(name, "a meter's id", dtype)
    return found


def stamps(name: str, dtype: pl.DataType, clock: Clock) -> Stamps:
    """ISO 8601 text, dates and times, or numbers of s, ms, µs or ns since the epoch."""
    column = pl.col(name)
    if clock.time_format == EXCEL and (dtype.is_numeric() or dtype == pl.String):
        days = column.cast(pl.Float64, strict=False)
        us = ((days - _EXCEL_EPOCH_DAYS) * 86_400).round() * 1e6
        local = us.cast(pl.Int64, strict=False).cast(pl.Datetime("us"))
        return Stamps(_known(_zoned(local, clock)), local.is_not_null())
    if dtype == pl.String:
        return _text_stamps(column.str.strip_chars(), clock)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone is not None:
            return Stamps(_known(column.dt.epoch("us")), pl.lit(False))
        return Stamps(_known(_zoned(column, clock)), column.is_not_null())
    if dtype.is_integer():
        return Stamps(_known(_scaled(column.cast(pl.Int64, strict=False))), pl.lit(False))
    if dtype.is_float():
        us = pl.when(column.is_finite()).then((column * 1e6).round())
        return Stamps(_known(us.cast(pl.Int64, strict=False)), pl.lit(False))
    raise _unusable(name, "a time stamp", dtype)


def energies(name: str, dtype: pl.DataType, unit: str) -> Energies:
    """wh rounded half-even; NaN, infinity and what needs more than 32 bits are null."""
    factor = FACTORS[unit.lower()]
    column = pl.col(name)
    if dtype.is_integer():
        wide = column.cast(pl.Int64, strict=False)
        wide = pl.when(wide.is_between(-MAX_WH, MAX_WH)).then(wide) * factor
        return Energies(pl.when(wide.is_between(-MAX_WH, MAX_WH)).then(wide), pl.lit(False))
    if dtype == pl.String:
        column = column.str.strip_chars().str.replace(",", ".", literal=True)
    elif not dtype.is_numeric():
        raise _unusable(name, "an energy", dtype)
    exact = column.cast(pl.Float64, strict=False) * factor
    wh = exact.round(mode="half_to_even")
    # Between two bounds: false for NaN as for infinity.
    fits = wh.is_not_nan() & wh.is_between(-MAX_WH, MAX_WH)
    if factor > 1:  # digits beyond the Wh are usual there
        return Energies(pl.when(fits).then(wh).cast(pl.Int64, strict=False), pl.lit(False))
    # A Float32 is off by millionths, which is no fraction of a Wh.
    fraction = fits & ((exact - wh).abs() > 1e-3 * pl.max_horizontal(wh.abs() * 1e-3, 1.0))
    return Energies(pl.when(fits).then(wh).cast(pl.Int64, strict=False), fraction)


def versions(name: str) -> pl.Expr:
    """Int64, 0 to 65535; an empty cell is version 0."""
    text = pl.col(name).cast(pl.String).str.strip_chars().fill_null("")
    number = text.cast(pl.Int64, strict=False)
    return (
        pl.when(text == "")
        .then(pl.lit(0, pl.Int64))
        .when(number.is_between(0, MAX_VERSION))
        .then(number)
    )


def _text_stamps(text: pl.Expr, clock: Clock) -> Stamps:
    read = text.map_batches(
        lambda stamps: _each_once(stamps, clock),
        return_dtype=pl.Struct({"at": pl.Int64, "naive": pl.Boolean}),
        is_elementwise=True,
    ).struct
    return Stamps(read.field("at"), read.field("naive"))


def _each_once(stamps: pl.Series, clock: Clock) -> pl.Series:
    """Struct of at and naive. Meters share their stamps: each text is parsed once a batch."""
    unique = pl.DataFrame({"text": stamps.unique()})
    at, naive = (_parsed_as if clock.time_format else _parsed_text)(pl.col("text"), clock)
    known = unique.with_columns(at=at, naive=naive)
    rows = pl.DataFrame({"text": stamps}).join(
        known, on="text", how="left", nulls_equal=True, maintain_order="left"
    )
    return rows.select(pl.struct("at", "naive").alias(stamps.name)).to_series()


def _parsed_as(text: pl.Expr, clock: Clock) -> Stamps:
    """By the format that was given; with %z or %:z in it the stamps have their own offset."""
    written = clock.time_format
    if "%z" in written or "%:z" in written or "%#z" in written:
        aware = text.str.to_datetime(written, time_unit="us", time_zone="UTC", strict=False)
        return Stamps(_known(aware.dt.epoch("us")), pl.lit(False))
    local = text.str.to_datetime(written, time_unit="us", strict=False)
    return Stamps(_known(_zoned(local, clock)), local.is_not_null())


def _parsed_text(text: pl.Expr, clock: Clock) -> Stamps:
    digits = text.str.contains(r"^\d{1,19}$")
    parts = text.str.extract_groups(_STAMP).struct
    day, hour, seconds, fraction, offset = (parts.field(str(i)) for i in range(1, 6))
    local = pl.concat_str(
        day,
        pl.lit(" "),
        hour.fill_null("00:00"),
        seconds.fill_null(":00"),
        fraction.fill_null(""),
    ).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    bare = offset.str.replace_all(r"[^0-9]", "").str.pad_end(4, "0")
    minutes = bare.str.slice(0, 2).cast(pl.Int64, strict=False) * 60
    minutes = sign * (minutes + bare.str.slice(2, 2).cast(pl.Int64, strict=False))
    at = (
        pl.when(digits)
        .then(_scaled(text.cast(pl.Int64, strict=False)))
        .when(offset.is_not_null())
        .then(local.dt.epoch("us") - minutes * 60_000_000)
        .otherwise(_zoned(local, clock))
    )
    return Stamps(_known(at), ~digits & local.is_not_null() & offset.is_null())


def _zoned(naive: pl.Expr, clock: Clock) -> pl.Expr:
    """A clock's hour that never came is null; one that came twice is, unless it was said which."""
    aware = naive.dt.replace_time_zone(
        clock.time_zone, ambiguous=clock.ambiguous, non_existent="null"
    )
    return aware.dt.epoch("us")


def _scaled(number: pl.Expr) -> pl.Expr:
    out: Any = pl.when(number < 0).then(None)
    for below, factor in _EPOCH_US:
        out = out.when(number < below).then(number * factor)
    scaled: pl.Expr = out.otherwise(number // 1000)
    return scaled


def _known(at: pl.Expr) -> pl.Expr:
    """Null outside the years that a calendar knows."""
    days = (LAST_DATE - FIRST_DATE).days
    return pl.when(at.is_between(0, days * _DAY_US)).then(at)


def _unusable(name: str, what: str, dtype: pl.DataType) -> IngestError:
    return IngestError(
        f"{name.removeprefix('raw_')}: a column of type {dtype} cannot be read as {what}",
        "name another column, see wattstorm ingest -h",
    )
