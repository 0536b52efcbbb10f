"""`wattstorm results`: a curve as a table and a plot, as JSON or as CSV."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from wattstorm.cli.common import parse_date, settings_of
from wattstorm.cli.output import console, energy, print_plot, table
from wattstorm.cli.results_forecast import app as forecast
from wattstorm.cli.results_scores import meter, scores
from wattstorm.errors import DataError, UsageError
from wattstorm.readers.results import Curve, Results

app = typer.Typer(help="Published curves.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(forecast, name="forecast")
app.command("scores", short_help="Whose behaviour changed.")(scores)
app.command("meter", short_help="One meter.")(meter)

Day = Annotated[
    str | None, typer.Option("--date", help="Local day, YYYY-MM-DD; without: the newest.")
]
Channel = Annotated[str, typer.Option(help="import or export.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, energies in exact Wh.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="A header and one line a slot, exact Wh.")]


@app.callback()
def _group() -> None:
    """Published curves: the nation's, a tariff's, a region's."""


@app.command("national", short_help="All meters.")
def national(
    context: typer.Context,
    day: Day = None,
    channel: Channel = "import",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """\b
    wattstorm results national
    wattstorm results national --date 2013-06-24 --csv > national.csv

    The curve of all meters on a local day, with coverage, revision and status of each slot.
    """
    _show(context, "nation", day, channel, as_json, as_csv)


@app.command("tariff", short_help="One tariff.")
def tariff(
    context: typer.Context,
    name: str,
    day: Day = None,
    channel: Channel = "import",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """\b
    wattstorm results tariff base_6 --date 2013-06-24

    The curve of one tariff on a local day.
    """
    _show(context, f"tariff:{name}", day, channel, as_json, as_csv)


@app.command("region", short_help="One region.")
def region(
    context: typer.Context,
    name: str,
    day: Day = None,
    channel: Channel = "import",
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """\b
    wattstorm results region north --json

    The curve of one region on a local day.
    """
    _show(context, f"region:{name}", day, channel, as_json, as_csv)


def _show(
    context: typer.Context, label: str, day: str | None, channel: str, as_json: bool, as_csv: bool
) -> None:
    if as_json and as_csv:
        raise UsageError("both --json and --csv", "give one of them")
    when = parse_date(day) if day else None
    with Results.open(settings_of(context)) as results:
        first, last = results.days()
        curve = results.curve(label, when or last, when or last, channel)
    if not curve.published.any():
        raise DataError(
            f"no {channel} results of {label} on {curve.first}",
            f"there are results from {first} to {last}",
        )
    if as_json:
        print(curve.to_json())
    elif as_csv:
        print(curve.to_csv(), end="")
    else:
        print_curve(curve)


def print_curve(curve: Curve) -> None:
    """Title, plot, then one line a slot."""
    out = console()
    print_head(curve)
    rows = [
        (
            label[11:],
            f"{wh:,}" if revision else "",
            f"{readings:,}/{expected:,}",
            f"{coverage:.1%}",
            revision or "",
            status,
        )
        for label, wh, readings, expected, coverage, revision, status in zip(
            curve.local_labels(),
            curve.wh.tolist(),
            curve.readings.tolist(),
            curve.expected.tolist(),
            curve.coverage.tolist(),
            curve.revision.tolist(),
            curve.status.tolist(),
            strict=True,
        )
    ]
    out.print()
    columns = ("local time", ">Wh", ">meters", ">coverage", ">revision", "status")
    print(table(columns, rows))


def print_head(curve: Curve) -> None:
    """What the curve is, its total, and the plot."""
    out = console()
    final = int((curve.status == "final").sum())
    out.print(
        f"{curve.label} · {curve.channel} · {_days(curve.first, curve.last)} "
        f"({curve.calendar.time_zone}) · {energy(curve.total_wh)} in {_there(curve)} slots, "
        f"{final} final · coverage from {curve.coverage[curve.status != 'awaited'].min():.1%}",
        style="bold",
        markup=False,
    )
    print_plot(out, curve.wh.tolist(), curve.local_labels())


def _there(curve: Curve) -> str:
    """Of how many slots there is a result."""
    there = int(curve.published.sum())
    return str(there) if there == len(curve) else f"{there} of {len(curve)}"


def _days(first: date, last: date) -> str:
    return str(first) if first == last else f"{first} to {last}"
