"""Options that `wattstorm train` and `wattstorm backtest` share, as one object.

What is not given is what the section `train` of the settings says.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from models.forecast.formula import STANDARD, Member
from models.forecast.trainers.training import TRAINERS
from wattstorm.cli.common import settings_of
from wattstorm.cli.forecast_series import Series, weather_columns
from wattstorm.errors import UsageError
from wattstorm.settings import Settings


@dataclasses.dataclass(frozen=True)
class SeriesOptions:
    """How a file of load and weather is read, and what is fitted on it. None: as the settings."""

    time_column: Annotated[
        str, typer.Option("--time", help="Column of the slots' starts, UTC.")
    ] = "ts_utc"
    temperature: Annotated[
        str | None, typer.Option("--temperature", help="Column in °C; none: without weather.")
    ] = None
    weather: Annotated[
        list[str] | None, typer.Option("--weather", help="cloud=COLUMN or wind=COLUMN; repeatable.")
    ] = None
    time_zone: Annotated[str, typer.Option("--time-zone", help="Of the local days.")] = ""
    country: Annotated[
        str | None, typer.Option(help="Of the holidays: FR, AU-VIC ...; empty: none.")
    ] = None
    minutes: Annotated[int, typer.Option(help="Length of a slot: 10, 15, 30 or 60.")] = 30
    issue: Annotated[int, typer.Option(min=0, max=23, help="0: midnight; 12: noon D-1 ...")] = 0
    trainer: Annotated[str | None, typer.Option(help="mgcv, pygam or statsmodels.")] = None
    family: Annotated[list[str] | None, typer.Option(help="Only these families; repeatable.")] = (
        None
    )
    patience: Annotated[
        float | None,
        typer.Option(min=1, help="Seconds without a fitted slot until it is given up."),
    ] = None


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The options, what was not given filled in from the settings."""

    time_column: str
    temperature: str
    weather: Sequence[str]
    time_zone: str
    country: str
    minutes: int
    issue: int
    trainer: str
    family: Sequence[str]
    patience: float

    @classmethod
    def of(cls, given: SeriesOptions, settings: Settings) -> Chosen:
        train, whole = settings.train, dataclasses.asdict(given)
        usual = {
            "temperature": train.temperature,
            "weather": train.weather,
            "country": train.country,
            "trainer": train.trainer,
            "family": train.families,
            "patience": train.patience_s,
        }
        whole |= {name: value for name, value in usual.items() if whole[name] is None}
        chosen = cls(**whole | {"time_zone": given.time_zone or settings.stream.time_zone})
        if chosen.trainer not in TRAINERS:
            raise UsageError(f"trainer {chosen.trainer!r}", f"take {', '.join(TRAINERS)}")
        return chosen

    def series(self, file: Path, load: str) -> Series:
        """The file, as days of these slots."""
        columns = weather_columns(self.temperature, self.weather)
        place = self.time_zone, self.country, self.minutes, self.issue
        return Series(file, self.time_column, load, columns, *place)

    def members(self) -> tuple[Member, ...]:
        """Of the standard set, those of the wanted families; the naive one always is."""
        known = {m.family for m in STANDARD}
        wanted = {"naive", *(self.family or known)}
        if unknown := wanted - known:
            raise UsageError(f"family {min(unknown)!r}", f"take {', '.join(sorted(known))}")
        if wanted == {"naive"}:
            raise UsageError("the family naive alone", "it needs no training; take another beside")
        return tuple(m for m in STANDARD if m.family in wanted)


def with_series(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `SeriesOptions` in place of its parameter `options`, which
    it gets completed."""
    own = inspect.signature(command, eval_str=True)
    hints = get_type_hints(SeriesOptions, include_extras=True)
    shared = [
        inspect.Parameter(
            f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=hints[f.name]
        )
        for f in dataclasses.fields(SeriesOptions)
    ]
    mine = [
        p.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for p in own.parameters.values()
        if p.name != "options"
    ]

    def run(**given: Any) -> None:
        options = SeriesOptions(**{p.name: given.pop(p.name) for p in shared})
        command(options=Chosen.of(options, settings_of(given["context"])), **given)

    both = [*mine, *shared]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {p.name: p.annotation for p in both}
    run.__signature__ = own.replace(parameters=both)  # type: ignore[attr-defined]
    return run
