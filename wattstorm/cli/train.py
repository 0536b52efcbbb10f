"""`wattstorm train`: a file of load and weather → fitted models, staged in the registry."""

from __future__ import annotations

import getpass
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from models.forecast.registry import Registry
from models.forecast.trainers.training import TRAINERS
from wattstorm.cli.common import say, settings_of
from wattstorm.cli.forecast_series import (
    CountryOption,
    FileArgument,
    IssueOption,
    LoadOption,
    MinutesOption,
    TemperatureOption,
    TimeOption,
    TrainerOption,
    UntilOption,
    WeatherOption,
    ZoneOption,
    series_of,
    training_end,
)
from wattstorm.cli.train_process import Given, train_apart
from wattstorm.errors import UsageError
from wattstorm.settings import Settings


def registry_of(settings: Settings) -> Registry:
    return Registry(settings.data.directory / "models")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class Progress:
    """Families as they are done, on stderr; silent where nobody watches."""

    def __init__(self) -> None:
        self._family, self._watched = "", sys.stderr.isatty()

    def heard(self, family: str, slot: int) -> None:
        if self._watched and family != self._family:
            say(f"  {family} ...")
            self._family = family


def train(
    context: typer.Context,
    file: FileArgument,
    curve: Annotated[
        str, typer.Option(help="Name of the curve: national, a tariff ...")
    ] = "national",
    time_column: TimeOption = "ts_utc",
    load: LoadOption = "load",
    temperature: TemperatureOption = "",
    weather: WeatherOption = None,
    time_zone: ZoneOption = "",
    country: CountryOption = "",
    minutes: MinutesOption = 30,
    issue: IssueOption = 0,
    trainer: TrainerOption = "mgcv",
    until: UntilOption = "",
    patience: Annotated[
        float, typer.Option(min=1, help="Seconds without a fitted slot until it is given up.")
    ] = 300,
) -> None:
    """\b
    wattstorm train load.parquet --load mw --temperature celsius --country FR
    wattstorm train load.parquet --trainer pygam --until 2023-12-31 --issue 12

    Fits every family of models, one for each slot of the day, in a process of its own, and stages
    the artefact (wattstorm models list). mgcv wants R; pygam and statsmodels do without.
    """
    if trainer not in TRAINERS:
        raise UsageError(f"trainer {trainer!r}", f"take {', '.join(TRAINERS)}")
    settings = settings_of(context)
    zone = time_zone or settings.stream.time_zone
    series = series_of(
        *(file, time_column, load, temperature, weather), *(zone, country, minutes, issue)
    )
    table = series.table()
    end = training_end(table, until)
    believed, values = series.inputs(table, {k: table.values[k] for k in series.weather})
    start = time.monotonic()
    models, tools = train_apart(
        trainer,
        Given(
            {k: v[:end] for k, v in values.items()},
            believed[:end],
            series.calendar(table),
            series.known,
        ),
        patience=patience,
        heard=Progress().heard,
    )
    spent = time.monotonic() - start
    told: dict[str, Any] = {
        **series.told(),
        "training": {"first": str(table.days[0]), "last": str(table.days[end - 1]), "days": end},
        "tools": {"trainer": tools, "python": sys.version.split()[0]},
        "trained": now(),
        "by": who(),
        "residual": {k: float(m.sd.mean()) for k, m in models.families.items()},
    }
    entry = registry_of(settings).add(curve, models, told)
    say(f"{end} days to {table.days[end - 1]}, {len(models.families)} families, {spent:.0f} s")
    print(entry.id)
    say(f"staged: wattstorm models promote {entry.id}")
