"""`wattstorm results forecast`: what is said of tomorrow, in Wh and in €."""

from __future__ import annotations

from typing import Annotated

import typer

from wattstorm.cli.common import parse_date, settings_of
from wattstorm.cli.output import console, energy, print_plot, table
from wattstorm.errors import DataError
from wattstorm.readers.forecast import Forecast
from wattstorm.readers.results import Results

app = typer.Typer(help="Forecasts.", no_args_is_help=True, rich_markup_mode=None)

Day = Annotated[
    str | None, typer.Option("--date", help="Local day, YYYY-MM-DD; without: the last forecast.")
]
Eur = Annotated[bool, typer.Option("--eur", help="Amounts in €, too.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]


@app.callback()
def _group() -> None:
    """Forecasts of the nation and of tariffs, with quantiles, model and accuracy."""


@app.command("national", short_help="All meters.")
def national(
    context: typer.Context, day: Day = None, eur: Eur = False, as_json: AsJson = False
) -> None:
    """\b
    wattstorm results forecast national --eur

    What was said last of tomorrow, or of --date.
    """
    _show(context, "nation", day, eur, as_json)


@app.command("tariff", short_help="One tariff.")
def tariff(
    context: typer.Context, name: str, day: Day = None, eur: Eur = False, as_json: AsJson = False
) -> None:
    """\b
    wattstorm results forecast tariff base_6 --date 2013-06-24

    What was said last of one tariff's tomorrow, or of --date.
    """
    _show(context, f"tariff:{name}", day, eur, as_json)


def _show(context: typer.Context, label: str, day: str | None, eur: bool, as_json: bool) -> None:
    when = parse_date(day) if day else None
    with Results.open(settings_of(context)) as results:
        forecast = results.forecast(label, when)
    if eur and forecast.money is None:
        raise DataError(f"{label} has no prices on {forecast.day}", "wattstorm prices load FILE")
    if as_json:
        print(forecast.to_json())
    else:
        print_forecast(forecast, eur)


def print_forecast(forecast: Forecast, eur: bool) -> None:
    """Title, amounts, accuracy, plot, then one line a slot."""
    out = console()
    zone, model = forecast.calendar.time_zone, f"{forecast.model} {forecast.version}".strip()
    lines = [
        f"{forecast.label} · {forecast.day} ({zone}) · {energy(forecast.total_wh)}, 90 % between "
        f"{energy(forecast.low_wh)} and {energy(forecast.high_wh)}",
        f"issued {forecast.issued} by {model}",
    ]
    if forecast.missing:
        lines.append(
            f"without {' and '.join(forecast.missing)}: {', '.join(forecast.asleep)} sleep"
        )
    if eur and forecast.money:
        money = forecast.money
        settled = "" if money.settled else ", not all announced yet"
        lines.append(
            f"{money.point} €, 90 % between {money.low} € and {money.high} € "
            f"(prices {money.version}{settled})"
        )
    for days, accuracy in sorted(forecast.accuracy.items()):
        lines.append(
            f"last {days} d: {accuracy.ours:.2f} % off, D-7 {accuracy.naive:.2f} % "
            f"({accuracy.slots} slots)"
        )
    for i, line in enumerate(lines):
        out.print(line, style="bold" if not i else None, markup=False, highlight=False)
    print_plot(out, forecast.wh.tolist(), forecast.local_labels())
    out.print()
    low, high = forecast.quantiles["0.05"].tolist(), forecast.quantiles["0.95"].tolist()
    columns = ["local time", ">Wh", ">5 %", ">95 %"]
    rows = [
        [label[11:], f"{wh:,}", f"{least:,}", f"{most:,}"]
        for label, wh, least, most in zip(
            forecast.local_labels(), forecast.wh.tolist(), low, high, strict=True
        )
    ]
    if eur and forecast.money:
        columns.append(">€")
        rows = [[*row, each] for row, each in zip(rows, forecast.money.slots, strict=True)]
    print(table(columns, rows))
