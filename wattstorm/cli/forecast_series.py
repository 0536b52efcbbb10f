"""What `wattstorm train` and `wattstorm backtest` share: a file of load and weather as days."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import typer

from models.forecast.calendar import Calendar
from models.forecast.covariates import covariates
from models.forecast.days import Table, by_day
from models.forecast.trainers.holiday_dates import holiday_dates
from models.forecast.trusted import trusted
from wattstorm.cli.columns import read_table
from wattstorm.errors import IngestError, UsageError

Floats = npt.NDArray[np.float64]
FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE")]
UntilOption = Annotated[str, typer.Option("--until", help="Last training day, included.")]


@dataclass(frozen=True)
class Series:
    """A curve's file and how to read it."""

    file: Path
    time: str
    load: str
    weather: dict[str, str]
    time_zone: str
    country: str
    minutes: int
    issue: int

    @property
    def known(self) -> int:
        """Slots of the eve that are known at issue."""
        slots = 1440 // self.minutes
        return slots * self.issue // 24 if self.issue else slots

    def table(self) -> Table:
        """The file as local days, its load under "load"."""
        if self.minutes not in (10, 15, 30, 60):
            raise UsageError(f"slots of {self.minutes} minutes", "take 10, 15, 30 or 60")
        frame = read_table(self.file)
        names = {"load": self.load, **self.weather}
        missing = [c for c in (self.time, *names.values()) if c not in frame.columns]
        if missing:
            what = f"{self.file} has no column {', '.join(map(repr, missing))}"
            raise UsageError(what, f"it has {', '.join(frame.columns)}")
        stamps = frame[self.time]
        if stamps.dtype == pl.String:
            stamps = stamps.str.to_datetime(time_zone="UTC")
        if not isinstance(stamps.dtype, pl.Datetime):
            raise IngestError(f"column {self.time!r} holds {stamps.dtype}", "give time stamps, UTC")
        there = stamps.is_not_null()
        values = {
            k: frame[v].filter(there).cast(pl.Float64).fill_null(float("nan")).to_numpy()
            for k, v in names.items()
        }
        seconds = stamps.filter(there).dt.epoch("s").to_numpy().astype(np.int64)
        return by_day(seconds, values, self.time_zone, self.minutes)

    def calendar(self, table: Table) -> Calendar:
        years = table.days[[0, -1]].astype("datetime64[Y]").astype(int) + 1970
        country, _, part = self.country.partition("-")
        return Calendar(holiday_dates(country, part, int(years[0]) - 1, int(years[1]) + 1))

    def inputs(self, table: Table, weather: dict[str, Floats]) -> tuple[Floats, dict[str, Floats]]:
        """Load that may be believed, float64[days, S], and the covariates of all days."""
        load = trusted(table.values["load"])
        return load, covariates(table.days, load, weather, self.calendar(table), self.known)

    def told(self) -> dict[str, Any]:
        """What the card says of the data."""
        sha256 = hashlib.sha256(self.file.read_bytes()).hexdigest()
        given = {
            "file": self.file.name,
            "sha256": sha256,
            "load": self.load,
            "weather": self.weather,
        }
        return {"data": given, **self.place()}

    def place(self) -> dict[str, Any]:
        """What the card says of its days and its issue time."""
        return {
            "time_zone": self.time_zone,
            "country": self.country,
            "minutes": self.minutes,
            "issue_hour": self.issue,
        }


def weather_columns(temperature: str, weather: Sequence[str]) -> dict[str, str]:
    """ "temp", "cloud", "wind" → column; weather: "cloud=COLUMN"."""
    columns = {"temp": temperature} if temperature else {}
    for given in weather:
        name, _, column = given.partition("=")
        if name not in ("cloud", "wind") or not column:
            raise UsageError(f"weather {given!r}", "give cloud=COLUMN or wind=COLUMN")
        columns[name] = column
    return columns


def training_end(table: Table, until: str) -> int:
    """How many of the days are trained on; `until`: the last of them, YYYY-MM-DD, or all."""
    if not until:
        return len(table.days)
    try:
        last = np.datetime64(date.fromisoformat(until))
    except ValueError as error:
        raise UsageError(f"--until {until!r} is no date", "write YYYY-MM-DD") from error
    count = int((table.days <= last).sum())
    if count == 0:
        raise UsageError(f"--until {until} lies before the file's first day", f"{table.days[0]}")
    return count
