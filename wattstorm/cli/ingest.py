"""`wattstorm ingest FILE…`: readings of files into the log, and what became of them."""

from __future__ import annotations

import secrets
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wattstorm.cli.common import Store, open_register, open_store, say, settings_of
from wattstorm.cli.loading import Loading
from wattstorm.cli.sent import Sent
from wattstorm.engine.watch import Watch
from wattstorm.errors import UsageError
from wattstorm.files.readings import Wanted, read_files
from wattstorm.metering.block import MAX_READINGS, Channel
from wattstorm.metering.slots import SlotGrid, load_zone
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.deadletters import share_of
from wattstorm.store.intake import Intake
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer

MOST_ROWS = 2_000_000


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
        sent = send(settings, store, register, files, wanted, _channel(channel), block)
        if not wait and not sent.engine_runs():
            say(
                f"sent {sent.sent:,} readings in {sent.blocks:,} blocks, "
                f"refused {sum(sent.refused.values()):,} rows{_reasons(sent.refused)}; "
                "no engine runs: `wattstorm run --drain` does the rest"
            )
            return
        account = sent.wait(forever=wait)
    if account is None:
        say("the engine stopped meanwhile: `wattstorm run --drain` does the rest")
        return
    print(account.line())
    if missing := sent.rows - account.received:
        say(f"{missing:,} readings are in blocks that the stream refused whole: see wattstorm dead")
    if missing or not account.holds:
        raise typer.Exit(1)


def send(
    settings: Settings,
    store: Store,
    register: Register,
    files: list[Path],
    wanted: Wanted,
    channel: Channel = Channel.IMPORT,
    block: int = 50_000,
) -> Sent:
    """Read the files and put their readings into the log, under a producer of their own."""
    prefix, name = settings.store.prefix, f"in-{secrets.token_hex(6)}"
    Watch(store.connection, settings, register).meet()
    batch = min(max(block * register.partitions, 10_000), MOST_ROWS)
    rows, sorted_, batches = read_files(files, wanted, batch)
    if sorted_:
        say(f"{rows:,} rows are not in order of time and are sorted in memory")
    with (
        Producer(
            Log(store.connection, prefix),
            name,
            range(register.partitions),
            backlog_bytes=settings.log.backlog_mb << 20,
            when_full=settings.log.when_full,
            full_timeout_s=settings.log.full_timeout_s,
            should_stop=_Patience(),
        ) as producer,
        _progress() as progress,
    ):
        loading = Loading(
            register,
            SlotGrid(settings.stream.slot_minutes),
            producer,
            Intake(
                store.connection,
                prefix,
                keep=settings.dead_letters.keep,
                bytes_=share_of(
                    settings.dead_letters.keep_mb,
                    register.partitions,
                    store.connection.info.maxmemory,
                ),
            ),
            files,
            channel,
            block,
        )
        task = progress.add_task("reading", total=rows)
        for batch_rows in batches:
            loading.load(batch_rows)
            progress.update(task, completed=loading.received)
    counts = producer.counts
    used = [lane.partition for lane in producer.lanes if lane.last]
    tails = Log(store.connection, prefix).tails(used)
    return Sent(
        store,
        prefix,
        name,
        counts.sent_readings,
        counts.sent_blocks,
        counts.shed_readings,
        loading.refused,
        dict(zip(used, tails, strict=True)),
    )


class _Patience:
    """Asked by a producer while it waits for room: never gives up, but says so once."""

    def __init__(self, after_s: float = 5.0) -> None:
        self.after_s, self._since, self._said = after_s, 0.0, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now - getattr(self, "_asked", 0.0) > 1.0:
            self._since = now
        self._asked = now
        if not self._said and now - self._since > self.after_s:
            self._said = True
            say("waiting for the store, or for room in the log: is `wattstorm run` running?")
        return False


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )


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
