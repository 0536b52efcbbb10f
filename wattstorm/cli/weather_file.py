"""A file of weather as vintages: one series for each place and issue time, in equal steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from models.forecast.calendar import Floats
from models.forecast.weather_book import LIMITS, MOST, NATION, Vintage, hundredths
from wattstorm.cli.columns import (
    column_of,
    moment_of,
    needed_column,
    read_table,
    seconds_of,
    shown,
)
from wattstorm.errors import IngestError, UsageError
from wattstorm.files.columns import TIME_NAMES

TEMPERATURE_NAMES: Final = ("temp", "temperature", "celsius", "temp_c", "temperature_2m", "t2m")
PLACE_NAMES: Final = ("place", "region", "station")
ISSUED_NAMES: Final = ("issued", "issue_time", "run", "reference_time")


@dataclass(frozen=True)
class Wanted:
    """Columns and constants as the options name them; "": the usual ones."""

    issued: str = ""
    place: str = ""
    time: str = ""
    temperature: str = ""
    weather: tuple[str, ...] = ()
    time_zone: str = "UTC"


def read_vintages(file: Path, wanted: Wanted) -> list[Vintage]:
    """A file's series, one for each place and issue time; UsageError or DataError names what
    cannot be meant."""
    frame = read_table(file, as_text=True)
    time = needed_column(frame, wanted.time, TIME_NAMES, "--time")
    columns = {"temp": column_of(frame, wanted.temperature, TEMPERATURE_NAMES, "--temperature")}
    for given in wanted.weather:
        name, _, column = given.partition("=")
        if name not in LIMITS or not column:
            raise UsageError(f"--weather {given!r}", f"NAME=COLUMN; names: {', '.join(LIMITS)}")
        columns[name] = column_of(frame, column, (), "--weather")
    columns = {name: column for name, column in columns.items() if column}
    if not columns:
        needed_column(frame, "", TEMPERATURE_NAMES, "--temperature")
    rows = _rows(frame, wanted, time, columns)
    found = []
    for (where, when), part in rows.sort("place", "issued", "at").group_by(
        "place", "issued", maintain_order=True
    ):
        said = str(where), int(str(when)), part["at"]
        found += [_vintage(name, *said, part[name]) for name in columns]
    if not found:
        raise IngestError(f"{file} has no rows", "give one for each time")
    return found


def _rows(frame: pl.DataFrame, wanted: Wanted, time: str, columns: dict[str, str]) -> pl.DataFrame:
    """place, issued, at, and each of `columns`."""

    def named(given: str, usual: tuple[str, ...], option: str) -> str:
        return given if given in frame.columns else column_of(frame, "", usual, option)

    issued = named(wanted.issued, () if wanted.issued else ISSUED_NAMES, "--issued")
    place = named(wanted.place, () if wanted.place else PLACE_NAMES, "--place")
    moment, count = (0 if issued else moment_of(wanted.issued, "--issued")), len(frame)
    return pl.DataFrame(
        {
            "place": frame[place].cast(pl.String)
            if place
            else pl.repeat(wanted.place or NATION, count, eager=True),
            "issued": seconds_of(frame, issued, wanted.time_zone)
            if issued
            else pl.repeat(moment, count, dtype=pl.Int64, eager=True),
            "at": seconds_of(frame, time, wanted.time_zone),
            **{name: _numbers(frame, column) for name, column in columns.items()},
        }
    )


def _numbers(frame: pl.DataFrame, column: str) -> pl.Series:
    """Float64, NaN where a cell is empty; IngestError names the first that is no number."""
    text = frame[column]
    numbers = text.cast(pl.Float64, strict=False)
    bad = numbers.is_null() & text.is_not_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise IngestError(
            f"row {row + 1}: {text[row]!r} in column {column!r} is no number", "leave it empty"
        )
    return numbers.fill_null(float("nan"))


def _vintage(name: str, place: str, issued: int, at: pl.Series, values: pl.Series) -> Vintage:
    """One series in equal steps; times left out are missing."""
    seconds = at.to_numpy()
    gaps = np.diff(seconds)
    if (gaps == 0).any():
        twice = int(seconds[int((gaps == 0).argmax())])
        raise IngestError(
            f"{name} of {place} has {shown(twice)} twice",
            "give each time once, or name the columns of place and issue time",
        )
    step = int(gaps.min()) if len(gaps) else 3600
    if (gaps % step).any():
        odd = int((gaps % step != 0).argmax())
        raise IngestError(
            f"{name} of {place}: {shown(int(seconds[odd + 1]))} is not a whole number of "
            f"{step // 60} minutes after {shown(int(seconds[odd]))}",
            "give values in equal steps",
        )
    places = (seconds - seconds[0]) // step
    if places[-1] >= MOST:
        raise IngestError(
            f"{name} of {place} from {shown(int(seconds[0]))} to {shown(int(seconds[-1]))} every "
            f"{step // 60} minutes: {places[-1] + 1:,} values",
            f"at most {MOST:,}; a forecast looks back ten days",
        )
    whole = np.full(int(places[-1]) + 1, np.nan)
    whole[places] = values.to_numpy()
    return Vintage(place, name, issued, int(seconds[0]), step, _in_range(whole, name, place))


def _in_range(values: Floats, name: str, place: str) -> npt.NDArray[np.int16]:
    """As a vintage has them; what no weather is would not fit into them."""
    low, high = LIMITS[name]
    there = values[np.isfinite(values)]
    if len(there) and not (low <= there.min() and there.max() <= high):
        worst = there.min() if there.min() < low else there.max()
        what = f"{name} of {worst:g} in {place}"
        raise IngestError(what, f"it may be {low:g} to {high:g}; are the units right?")
    return hundredths(values)
