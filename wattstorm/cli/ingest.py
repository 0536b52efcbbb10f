"""`wattstorm ingest FILE…`: readings of files into the log, and what became of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from wattstorm.cli.common import open_register, open_store, say, settings_of
from wattstorm.cli.progress import Terminal
from wattstorm.errors import UsageError
from wattstorm.files.readings import Wanted
from wattstorm.ingest.from_files import send_files
from wattstorm.metering.block import MAX_READINGS, Channel
from wattstorm.metering.slots import load_zone


def ingest(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="FILE...")],
    meter_column: Annotated[str, typer.Option(help="Column of the external id.")] = "",
    time_column: Annotated[str, typer.Option(help="Column of the slot's start.")] = "",
    energy_column: Annotated[str, typer.Option(help="Column of the slot's energy.")] = "",
    unit: Annotated[str, typer.Option(help="kWh or Wh; else by the column's name.")] = "",
    version_column: Annotated[str, typer.Option(help="Column of a correction's version.")] = "",
    time_zone: Annotated[str, typer.Option(help="Of stamps without an offset.")] = "",
    channel: Annotated[str, typer.Option(help="import or export.")] = "import",
    block: Annotated[
        int, typer.Option(min=1, max=MAX_READINGS, help="Readings in a block, at most.")
    ] = 50_000,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the stream even if none runs yet.")
    ] = False,
) -> None:
    """\b
    wattstorm ingest june.parquet july.csv
    wattstorm ingest odd.csv --meter-column PDL --time-column debut --time-zone Europe/Paris
                     --energy-column valeur --unit Wh

    Readings of Parquet or CSV files into the log: external id, time stamp (ISO 8601, a datetime,
    or seconds, ms, µs, ns since the epoch), energy, optional version. A row that is no reading
    goes to the dead letters with its reason, file and row (see `wattstorm dead`). Files that are
    not in order of time are sorted in memory. Ends with
    received = accepted + rejected + doubles, once the stream has dealt with all of it; exit
    code 1 if some of it was in blocks that the stream had to refuse whole.
    """
    settings = settings_of(context)
    wanted = Wanted(meter_column, time_column, energy_column, unit, version_column, time_zone)
    _check(wanted)
    register = open_register(settings)
    with open_store(settings) as store:
        with Terminal() as terminal:
            sent = send_files(
                store.connection,
                settings,
                register,
                files,
                wanted,
                channel=_channel(channel),
                block=block,
                listener=terminal,
            )
        if not wait and not sent.engine_runs():
            say(
                f"sent {sent.sent:,} readings in {sent.blocks:,} blocks, "
                f"refused {sum(sent.refused.values()):,} rows{_reasons(sent.refused)}; "
                "no engine runs: `wattstorm run --drain` does the rest"
            )
            return
        account = sent.wait(forever=wait, say=say)
    if account is None:
        say("the engine stopped meanwhile: `wattstorm run --drain` does the rest")
        return
    print(account.line())
    if missing := sent.rows - account.received:
        say(f"{missing:,} readings are in blocks that the stream refused whole: see wattstorm dead")
    if missing or not account.holds:
        raise typer.Exit(1)


def _check(wanted: Wanted) -> None:
    if wanted.unit and wanted.unit.lower() not in ("kwh", "wh"):
        raise UsageError(f"unit {wanted.unit!r}", "it may be kWh or Wh")
    if wanted.time_zone:
        load_zone(wanted.time_zone)


def _channel(name: str) -> Channel:
    try:
        return Channel[name.upper()]
    except KeyError:
        known = " or ".join(channel.name.lower() for channel in Channel)
        raise UsageError(f"channel {name!r}", f"it may be {known}") from None


def _reasons(refused: Counter[str]) -> str:
    return f" ({', '.join(f'{k} {n:,}' for k, n in refused.items())})" if refused else ""
