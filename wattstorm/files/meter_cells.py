"""Cells of a register's source → numbers and names, as polars expressions; null where refused."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from wattstorm.errors import RegisterError
from wattstorm.files import ids
from wattstorm.files.tables import Table
from wattstorm.register.arrays import FIRST_DATE, LAST_DATE

DEFAULT_REGION: Final = "all"
_YES, _NO = ("true", "1", "yes", "t", "y"), ("false", "0", "no", "f", "n")
_DAY = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]00:00(?::00(?:\.0+)?)?)?$"
_MAX_POWER = 2**32 - 1
WRONG: Final = {
    "external_id": (ids.WHAT, "correct the id or take the row out"),
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
"""What is wrong with a cell that was refused, and what to do about it."""


def typed(table: Table, raw: pl.DataFrame, kva: bool) -> pl.DataFrame:
    """The six columns as numbers and names, null where a cell is refused; `raw` has those of
    them that the file has. kva: powers are in kVA."""
    schema = raw.schema
    made = {
        "external_id": _external_id(table, schema["external_id"]),
        "tariff": _name(table, schema["tariff"], "tariff"),
        "contracted_power_va": _power(table, schema["contracted_power_va"], kva),
        "region": pl.lit(DEFAULT_REGION),
        "producer": pl.lit(False),
        "valid_from": pl.lit(0, pl.UInt16),
    }
    if "region" in schema:
        made["region"] = _name(table, schema["region"], "region").fill_null(DEFAULT_REGION)
    if "producer" in schema:
        made["producer"] = _producer(table, schema["producer"])
    if "valid_from" in schema:
        made["valid_from"] = _day(table, schema["valid_from"])
    # With a literal alone, select would give one row.
    return raw.with_columns(made[name].alias(name) for name in made).select(*made)


def shown(value: object) -> str:
    return "(empty)" if value is None or str(value).strip() == "" else repr(value)


def _refuse_type(table: Table, dtype: Any, name: str, wanted: str) -> RegisterError:
    return RegisterError(f"{table.path}: column {name} is {dtype}", f"store it as {wanted}")


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.strip_chars()


def _external_id(table: Table, dtype: Any) -> pl.Expr:
    found = None if dtype.is_float() else ids.keys("external_id", dtype)
    if found is None:
        raise _refuse_type(table, dtype, "external_id", "whole numbers or text")
    return found


def _name(table: Table, dtype: Any, name: str) -> pl.Expr:
    if not (dtype in (pl.String, pl.Categorical, pl.Enum) or dtype.is_integer()):
        raise _refuse_type(table, dtype, name, "text")
    return pl.when(_text(name) != "").then(_text(name)).otherwise(None)


def _power(table: Table, dtype: Any, kva: bool) -> pl.Expr:
    name = "contracted_power_va"
    if not (dtype == pl.String or dtype.is_numeric()):
        raise _refuse_type(table, dtype, name, "whole numbers of VA")
    source = _text(name).str.replace(",", ".", literal=True) if dtype == pl.String else pl.col(name)
    power = source.cast(pl.Float64, strict=False)
    if kva:
        power = (power * 1000).round(6)
    fits = power.is_between(0, _MAX_POWER) & (power == power.floor())
    return pl.when(fits).then(power).otherwise(None).cast(pl.UInt32, strict=False)


def _producer(table: Table, dtype: Any) -> pl.Expr:
    if dtype == pl.Boolean:
        return pl.col("producer").fill_null(False)
    if not (dtype == pl.String or dtype.is_integer()):
        raise _refuse_type(table, dtype, "producer", "true or false")
    text = _text("producer").str.to_lowercase().fill_null("")
    return (
        pl.when(text.is_in(_YES))
        .then(pl.lit(True))
        .when(text.is_in((*_NO, "")))
        .then(pl.lit(False))
        .otherwise(None)
    )


def _day(table: Table, dtype: Any) -> pl.Expr:
    name = "valid_from"
    if dtype == pl.Date:
        dates = pl.col(name)
    elif isinstance(dtype, pl.Datetime):
        dates = pl.col(name).dt.date()
    elif dtype == pl.String:
        # A workbook's dates come with a midnight.
        day = _text(name).str.extract(_DAY)
        dates = day.str.to_date("%Y-%m-%d", strict=False)
    else:
        raise _refuse_type(table, dtype, name, "dates")
    fits = dates.is_between(pl.lit(FIRST_DATE), pl.lit(LAST_DATE))
    day = pl.when(fits).then(dates.to_physical()).otherwise(None).cast(pl.UInt16, strict=False)
    missing = pl.col(name).is_null() if dtype != pl.String else _text(name).fill_null("") == ""
    return pl.when(missing).then(pl.lit(0, pl.UInt16)).otherwise(day)
