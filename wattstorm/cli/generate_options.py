"""Options that the commands of `wattstorm generate` share, and the town that they describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import numpy.typing as npt
import polars as pl
import typer

from wattstorm.cli.common import parse_date
from wattstorm.errors import IngestError, UsageError
from wattstorm.setting_values import closest
from wattstorm.settings import Settings

if TYPE_CHECKING:
    from generator.feed.faults import Faults
    from generator.model.driver import Driver
    from generator.town.layers import Layers
    from generator.town.register import Shares
    from generator.town.town import Town

MetersOption = Annotated[int, typer.Option(min=1, help="How many homes.")]
FirstOption = Annotated[int, typer.Option(min=0, help="Number of the first home.")]
FromOption = Annotated[str, typer.Option("--from", help="First local day, YYYY-MM-DD.")]
ToOption = Annotated[str, typer.Option("--to", help="Last local day, included.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Another seed, another town.")]
EngineOption = Annotated[str, typer.Option(help="block (most real) or chain.")]
ModelOption = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="Directory that `generate fit` wrote."),
]
ThreadsOption = Annotated[int, typer.Option(min=1, max=64, help="Threads that draw curves.")]
TemperaturesOption = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="CSV with date,celsius: moves all homes."),
]
StrengthOption = Annotated[
    float, typer.Option(min=0, max=3, help="Of what moves all homes together; 0: nothing does.")
]
OffPeakOption = Annotated[
    float, typer.Option(min=0, max=1, help="Share of off-peak homes with their water heaters.")
]
CarOption = Annotated[float, typer.Option(min=0, max=1, help="Share of homes with a car.")]
SolarOption = Annotated[
    float, typer.Option(min=0, max=1, help="Share of producers: negative net at noon.")
]


def town_of(
    settings: Settings,
    *,
    seed: int,
    engine: str,
    model: Path | None,
    temperatures: Path | None = None,
    strength: float = 1.0,
    off_peak: float = 0.0,
    car: float = 0.0,
    solar: float = 0.0,
    threads: int = 1,
) -> Town:
    """The town of these options, in the stream's time zone."""
    from generator.town.layers import Layers
    from generator.town.town import Town

    layers: Layers | None = None
    if off_peak or car or solar:
        layers = Layers(off_peak=off_peak, car=car, solar=solar)
    town = Town(
        seed=seed,
        time_zone=settings.stream.time_zone,
        engine=engine,
        model=model,
        layers=layers,
        threads=threads,
    )
    if temperatures is None and strength == 1.0:
        return town
    return replace(town, driver=_driver(town, temperatures, seed, strength))


def _driver(town: Town, temperatures: Path | None, seed: int, strength: float) -> Driver:
    from generator.model.driver import Driver, from_temperatures
    from generator.model.tables import training_driver

    if temperatures is None:
        return Driver(seed, training_driver(town.generator.model), strength)
    days, celsius = _read_temperatures(temperatures)
    return from_temperatures(days, celsius, seed, strength)


def _read_temperatures(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """(day numbers, °C) in order of date."""
    try:
        frame = pl.read_csv(path, schema_overrides={"date": pl.Date, "celsius": pl.Float64})
        frame = frame.select("date", "celsius").sort("date")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise IngestError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            "write a CSV with the columns date (YYYY-MM-DD) and celsius",
        ) from error
    if frame.null_count().sum_horizontal().item():
        raise IngestError(f"{path} has empty cells", "give one temperature for each day")
    return frame["date"].to_physical().to_numpy().astype(np.int64), frame["celsius"].to_numpy()


def dates_of(first: str, last: str) -> tuple[date, ...]:
    """The dates first to last, both included; an empty `last` is `first`."""
    from generator.town.outputs import days_from

    begin = parse_date(first)
    return tuple(days_from(begin, parse_date(last) if last else begin))


def range_of(meters: int, first: int, shard: str) -> range:
    """The homes of shard "i/n" of `meters` homes from `first` on; "" for all."""
    from generator.town.town import share_of

    if not shard:
        return range(first, first + meters)
    index, slash, of = shard.partition("/")
    if not (slash and index.isdecimal() and of.isdecimal() and int(of)):
        raise UsageError(f"shard {shard!r}", "write i/n, such as 1/4")
    start, stop = share_of(meters, int(index), int(of))
    return range(first + start, first + stop)


def faults_of(preset: str, given: Sequence[str], settings: Settings) -> Faults:
    """Faults of a preset with "name=rate" on top."""
    from generator.feed.faults import RATES, TYPICAL, Faults

    presets = {"none": Faults(), "typical": TYPICAL}
    if preset not in presets:
        raise UsageError(f"faults {preset!r}", f"take {' or '.join(presets)}")
    known = [*RATES, "concentrator"]
    chosen: dict[str, float] = {}
    for text in given:
        name, equals, rate = text.partition("=")
        if name not in known:
            raise UsageError(
                f"fault {name!r}", closest(name, known) or f"known are {', '.join(known)}"
            )
        try:
            value = float(rate)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"fault {text!r}", f"write name=rate, such as {name}=0.01")
        chosen[name] = value
    size = int(chosen.pop("concentrator", presets[preset].concentrator))
    return replace(
        presets[preset], **chosen, concentrator=size, open_days=settings.stream.open_days
    )


def shares_of(text: str) -> Shares:
    """base=0.5,offpeak=0.4,tempo=0.05,weekend=0.05 → shares; "" for the usual ones."""
    from generator.town.register import OPTIONS, Shares

    if not text:
        return Shares()
    pairs = dict(pair.partition("=")[::2] for pair in text.split(","))
    if unknown := [name for name in pairs if name not in OPTIONS]:
        raise UsageError(f"tariff option {unknown[0]!r}", f"known are {', '.join(OPTIONS)}")
    try:
        return Shares(tuple(float(pairs.get(name, 0)) for name in OPTIONS))
    except ValueError:
        raise UsageError(f"shares {text!r}", "write base=0.6,offpeak=0.4") from None


def days_text(days: Sequence[date]) -> str:
    """As 2025-01-14, or 2025-01-14 to 2025-01-20."""
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"
