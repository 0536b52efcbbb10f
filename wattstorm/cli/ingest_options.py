"""Options of `wattstorm ingest`, and what they say together about a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wattstorm.errors import UsageError
from wattstorm.files.cells import MAX_VERSION
from wattstorm.files.columns import Wanted
from wattstorm.metering.block import MAX_READINGS, Channel
from wattstorm.metering.slots import load_zone

_COLUMNS, _CELLS, _TIME, _SENDING = "Columns", "Cells", "Time", "Sending"

Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Files, directories, quoted globs; - for stdin."),
]
MeterColumn = Annotated[str, typer.Option(metavar="NAME", help="Column of the meter's id.")]
MeterId = Annotated[
    str, typer.Option("--meter", metavar="ID", help="Of a file of one meter, without a column.")
]
TimeColumn = Annotated[str, typer.Option(metavar="NAME", help="Column of the slot's start.")]
DateColumn = Annotated[
    str, typer.Option(metavar="NAME", help="Column of the day, if the time stands in another.")
]
EnergyColumn = Annotated[str, typer.Option(metavar="NAME", help="Column of the slot's energy.")]
Unit = Annotated[
    str, typer.Option(metavar="UNIT", help="kWh, Wh or MWh; else by the column's name.")
]
VersionColumn = Annotated[
    str, typer.Option(metavar="NAME", help="Column of a correction's version; else `version`.")
]
Version = Annotated[
    int | None,
    typer.Option(
        "--version", min=0, max=MAX_VERSION // 2, metavar="N", help="Version of all readings."
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="What is sent now replaces what was sent before.")
]
TimeZone = Annotated[str, typer.Option(metavar="ZONE", help="Of stamps without an offset.")]
TimeFormat = Annotated[
    str, typer.Option(metavar="FORMAT", help="'%d/%m/%Y %H:%M', or excel; else ISO 8601.")
]
Ambiguous = Annotated[
    str,
    typer.Option(
        metavar="WHICH",
        help="Of autumn's two equal hours: earliest, latest, order (of a meter's rows).",
    ),
]
Stamps = Annotated[str, typer.Option(metavar="WHERE", help="start or end of the slot.")]
Sum = Annotated[bool, typer.Option("--sum", help="Add finer readings up to slots.")]
Spread = Annotated[bool, typer.Option("--spread", help="Share coarser readings among slots.")]
Sparse = Annotated[
    bool, typer.Option("--sparse", help="Readings are rarer than slots, and that is right.")
]
Round = Annotated[bool, typer.Option("--round", help="Round fractions of a Wh.")]
Wide = Annotated[bool, typer.Option("--wide", help="A column a meter, named by its id.")]
Separator = Annotated[str, typer.Option(metavar="CHAR", help="Of cells; else found out.")]
Encoding = Annotated[str, typer.Option(metavar="NAME", help="Of text; else found out.")]
ChannelName = Annotated[str, typer.Option("--channel", metavar="CHANNEL", help="import or export.")]
BlockSize = Annotated[
    int, typer.Option("--block", min=1, max=MAX_READINGS, metavar="N", help="Readings in a block.")
]
MaxRefused = Annotated[
    float,
    typer.Option(min=0.0, max=1.0, metavar="SHARE", help="Refused readings above which it fails."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the stream even if none runs yet.")]
Follow = Annotated[
    bool, typer.Option("--follow", help="A directory: send each file once, as they come.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Look at the files, say what would happen; send nothing.")
]


def check(wanted: Wanted) -> None:
    """UsageError for what no file could be read by."""
    allowed = {
        "unit": (wanted.unit.lower(), ("kwh", "wh", "mwh")),
        "--ambiguous": (wanted.ambiguous, ("earliest", "latest", "order")),
        "--stamps": (wanted.stamps, ("start", "end")),
    }
    for name, (value, choices) in allowed.items():
        if value and value not in choices:
            raise UsageError(f"{name} {value!r}", f"it may be {' or '.join(choices)}")
    if wanted.meter and wanted.meter_id:
        raise UsageError("both --meter and --meter-column", "give one of them")
    if wanted.time_zone:
        load_zone(wanted.time_zone)


def interval_of(sums: bool, spread: bool, sparse: bool) -> str:
    """The one of them that was said."""
    said = [name for name, on in (("sum", sums), ("spread", spread), ("sparse", sparse)) if on]
    if len(said) > 1:
        raise UsageError(f"--{said[0]} and --{said[1]}", "give one of them")
    return said[0] if said else ""


def channel_of(name: str) -> Channel:
    try:
        return Channel[name.upper()]
    except KeyError:
        known = " or ".join(channel.name.lower() for channel in Channel)
        raise UsageError(f"channel {name!r}", f"it may be {known}") from None
