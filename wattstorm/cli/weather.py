"""`wattstorm weather load | show`: what the weather was said to be, and when that was said."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from models.forecast.weather_book import MISSING, Vintage, WeatherBook
from wattstorm.cli.columns import shown
from wattstorm.cli.common import open_store, say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.cli.weather_file import Wanted, read_vintages
from wattstorm.store.control import WEATHER, slots_control

app = typer.Typer(help="Weather that was said.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Weather for forecasts: series with the time at which they became known (docs/forecast.md)."""


@app.command("load", short_help="A file of temperatures into the stream.")
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE")],
    issued: Annotated[
        str, typer.Option(help="When it became known, as 2025-01-14T06:00Z; now, or a column.")
    ] = "",
    place: Annotated[
        str, typer.Option(help="Whose weather: nation, region:NAME; or a column of the file.")
    ] = "",
    time_column: Annotated[str, typer.Option("--time", help="Column of the times.")] = "",
    temperature: Annotated[str, typer.Option(help="Column in °C.")] = "",
    weather: Annotated[
        list[str] | None, typer.Option("--weather", help="cloud=COLUMN, wind=COLUMN; repeatable.")
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Of times that name no zone.")] = "UTC",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """\b
    wattstorm weather load run-06h.parquet --issued 2025-01-14T06:00Z
    wattstorm weather load all-runs.csv --time valid --temperature t2m --issued run --place region

    Weather becomes known to the forecasts from its issue time on, and from its entry in the log
    on. Loaded again it changes nothing; another file of the same place and issue time takes the
    first one's place. A row for each time, every 5 minutes to 6 hours; what is missing stays so.
    """
    wanted = Wanted(issued, place, time_column, temperature, tuple(weather or ()), time_zone)
    vintages = read_vintages(file, wanted)
    book = WeatherBook().with_(vintages)
    if dry_run:
        _show(book, json)
        say("nothing was written: --dry-run")
        return
    settings = settings_of(context)
    with open_store(settings) as store:
        control = slots_control(store.connection, settings.store.prefix)
        placed = control.amend(WEATHER, lambda text: WeatherBook.of(text).with_(vintages).text())
    _show(book, json)
    where = f"entry {placed.position} of the log" if placed.position else "known already"
    say(f"{len(vintages)} series, {sum(len(v.values) for v in vintages):,} values: {where}")


@app.command("show", short_help="What is known.")
def show(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Each series that was said, oldest first, with its issue time, from when to when, and what it
    says."""
    settings = settings_of(context)
    with open_store(settings) as store:
        control = slots_control(store.connection, settings.store.prefix)
        said = control.newest(WEATHER, [0])[0]
        passed = control.in_force(WEATHER, [0])[0]
    book = WeatherBook.of(said.text)
    _show(book, json)
    if not book.vintages:
        say("no weather yet: wattstorm weather load FILE")
    elif passed != said.text:
        say("the forecasts have not passed the newest entry yet")


def _show(book: WeatherBook, as_json: bool) -> None:
    rows = [_row(vintage) for vintage in book.vintages]
    if as_json:
        print_json(rows)
    elif rows:
        print(table([_HEADS.get(name, name) for name in rows[0]], [[*r.values()] for r in rows]))


_HEADS: Final = {n: f">{n}" for n in ("minutes", "values", "missing", "least", "mean", "most")}


def _row(vintage: Vintage) -> dict[str, Any]:
    said = vintage.values[vintage.values != MISSING] / 100
    three = [round(float(f(said)), 1) if len(said) else "" for f in (np.min, np.mean, np.max)]
    return {
        "place": vintage.place,
        "what": vintage.name,
        "issued": shown(vintage.issued),
        "from": shown(vintage.first),
        "to": shown(vintage.end),
        "minutes": vintage.step // 60,
        "values": len(vintage.values),
        "missing": len(vintage.values) - len(said),
        **dict(zip(("least", "mean", "most"), three, strict=True)),
    }
