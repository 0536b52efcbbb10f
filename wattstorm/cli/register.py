"""`wattstorm register build | show`: who the meters are."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from wattstorm.cli.common import (
    Store,
    open_register,
    open_store,
    parse_date,
    register_directory,
    say,
    settings_of,
)
from wattstorm.cli.output import print_json, table
from wattstorm.engine.watch import Watch
from wattstorm.errors import UsageError
from wattstorm.files.meters import Meaning, build_register
from wattstorm.files.tables import Form
from wattstorm.metering.slots import day_number
from wattstorm.private_files import make_private
from wattstorm.register.files import prune
from wattstorm.register.register import Register
from wattstorm.register.versions import Version
from wattstorm.settings import Settings
from wattstorm.store.control import REGISTER, Control
from wattstorm.store.workers import heartbeats

IN_FORCE_S = 30.0
"""How long it is waited for that a running stream has passed a new version."""

app = typer.Typer(help="Who the meters are.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Who the meters are: external id, tariff, region, contracted power, by date."""


@app.command("build", short_help="Build or extend the register.")
def build(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    partition_size: Annotated[
        int | None,
        typer.Option(min=1, help="Meters in a partition; fixed by the first build."),
    ] = None,
    tariff: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The only tariffs allowed; give it once for each."),
    ] = None,
    power_unit: Annotated[
        str, typer.Option(metavar="UNIT", help="VA or kVA; else by the column's name.")
    ] = "",
    separator: Annotated[str, typer.Option(metavar="CHAR", help="Of cells; else found out.")] = "",
    encoding: Annotated[str, typer.Option(metavar="NAME", help="Of text; else found out.")] = "",
) -> None:
    """\b
    wattstorm register build meters.csv
    wattstorm register build clients.xlsx --power-unit kVA
    wattstorm register build new-meters.parquet       (extends the register)

    Build the register, or extend it, from files (Parquet, CSV and its kin, Excel) with the columns
    external_id (1 to 40 letters, digits and signs; leading zeros count), tariff,
    contracted_power_va and, optional, region, producer (its meters may send negative energies),
    valid_from. All cells that must be refused are named, and the register stays as it was.

    A stream takes an extension without a restart, from an entry of its log on: this says when. A
    change that is dated in the open days moves what is summed in them; one that is dated before
    holds from the first open slot on. Give the same files again if this was interrupted.
    """
    settings = settings_of(context)
    directory = register_directory(settings)
    make_private(directory.parent)
    if power_unit not in ("", "VA", "kVA"):
        raise UsageError(f"--power-unit {power_unit!r}", "it may be VA or kVA")
    meaning = Meaning(power_unit, tariff, Form(separator, encoding))
    register = build_register(
        files, directory, partition_size=partition_size, meaning=meaning, say=say
    )
    say(
        f"register version {register.version}: {register.count:,} meters, "
        f"{len(register.tariffs)} tariffs, {len(register.regions)} regions, "
        f"{register.partitions} partitions"
    )
    if settings.store.url or (settings.data.directory / "store").is_dir():
        with open_store(settings) as store:
            say(in_stream(settings, store, register))


def in_stream(settings: Settings, store: Store, register: Register) -> str:
    """Give the register to the stream, if the store has one; since when it is in force there."""
    watch = Watch(store.connection, settings, register)
    if not watch.results.meta():
        return "in force    when a stream begins in this store"
    control = Control(store.connection, settings.store.prefix)
    settled = control.settled(REGISTER, watch.partitions)
    placed = watch.extend()
    needed = min(Version.parse(text).number if text else 0 for text in settled)
    prune(register.directory, needed, time.time())
    mine = str(Version.of(register))
    deadline = time.monotonic() + IN_FORCE_S
    while True:
        waiting = sum(text != mine for text in control.in_force(REGISTER, watch.partitions))
        if not waiting:
            return f"in force    in all {register.partitions} partitions, at {_now()}"
        runs = any(beat["alive"] for beat in heartbeats(store.connection, settings.store.prefix))
        if not runs or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    where = ", ".join(f"entry {at.position} of partition {at.partition}" for at in placed[:3])
    return (
        f"in force    once the stream has passed {where or 'what it was given before'}"
        f"{', …' if len(placed) > 3 else ''}; {waiting} partitions are before that"
        + ("" if runs else ": no engine runs")
    )


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


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
