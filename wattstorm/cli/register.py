"""`wattstorm register build | show`: who the meters are."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from wattstorm.cli.common import open_register, register_directory, say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.files.meters import build_register
from wattstorm.metering.slots import day_number
from wattstorm.private_files import make_private

app = typer.Typer(help="Who the meters are.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Who the meters are: external id, tariff, region, contracted power, by date."""


@app.command("build", short_help="Build or extend the register.")
def build(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="FILE...")],
    partition_size: Annotated[
        int | None,
        typer.Option(min=1, help="Meters in a partition; fixed by the first build."),
    ] = None,
    tariff: Annotated[
        list[str] | None, typer.Option(help="The only tariffs allowed; give it once for each.")
    ] = None,
) -> None:
    """\b
    wattstorm register build meters.csv
    wattstorm register build new-meters.parquet       (extends the register)

    Build the register, or extend it, from Parquet or CSV files with the columns external_id,
    tariff, contracted_power_va and, optional, region, producer, valid_from. A row that must be
    refused is named, and the register stays as it was.
    """
    directory = register_directory(settings_of(context))
    make_private(directory.parent)
    register = build_register(files, directory, partition_size=partition_size, tariffs=tariff)
    say(
        f"register version {register.version}: {register.count:,} meters, "
        f"{len(register.tariffs)} tariffs, {len(register.regions)} regions, "
        f"{register.partitions} partitions"
    )


@app.command("show", short_help="Show it.")
def show(
    context: typer.Context,
    day: Annotated[
        str, typer.Option("--date", help="Count the meters valid on this day.")
    ] = "today",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """\b
    wattstorm register show
    wattstorm register show --date 2013-06-24 --json

    The register's size and its meters by tariff and region.
    """
    register = open_register(settings_of(context))
    when = parse_date(day)
    counts = register.counts(day_number(when))
    facts = {
        "directory": str(register.directory),
        "version": register.version,
        "meters": register.count,
        "partitions": register.partitions,
        "partition_size": register.partition_size,
        "date": when.isoformat(),
    }
    if as_json:
        by_tariff = {
            tariff: dict(zip(register.regions, row, strict=True))
            for tariff, row in zip(register.tariffs, counts.tolist(), strict=True)
        }
        print_json({**facts, "by_tariff": by_tariff})
        return
    print("\n".join(f"{name:16}{value}" for name, value in facts.items()))
    rows = [
        (tariff, *row, sum(row))
        for tariff, row in zip(register.tariffs, counts.tolist(), strict=True)
    ]
    print()
    print(table(("tariff", *(f">{r}" for r in register.regions), ">all"), rows))


def parse_date(text: str) -> date:
    """YYYY-MM-DD or "today"; anything else is a usage error."""
    if text == "today":
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write YYYY-MM-DD") from None
