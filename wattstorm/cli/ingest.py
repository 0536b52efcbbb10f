"""`wattstorm ingest FILE…`: readings of files into the log, and what became of them."""

from __future__ import annotations

import typer

from wattstorm.cli import ingest_options as opt
from wattstorm.cli.common import Store, open_register, open_store, say, settings_of
from wattstorm.cli.ingest_report import interrupted, print_source, said_of, too_many_refused
from wattstorm.cli.progress import Terminal
from wattstorm.errors import UsageError
from wattstorm.files.columns import Wanted
from wattstorm.files.readings import read_files
from wattstorm.files.tables import Form
from wattstorm.ingest.from_files import send_files
from wattstorm.ingest.sent import Sent
from wattstorm.store.intake import Intake


def ingest(
    context: typer.Context,
    files: opt.Files,
    meter_column: opt.MeterColumn = "",
    meter: opt.MeterId = "",
    time_column: opt.TimeColumn = "",
    date_column: opt.DateColumn = "",
    energy_column: opt.EnergyColumn = "",
    unit: opt.Unit = "",
    version_column: opt.VersionColumn = "",
    version: opt.Version = None,
    replace: opt.Replace = False,
    time_zone: opt.TimeZone = "",
    time_format: opt.TimeFormat = "",
    ambiguous: opt.Ambiguous = "",
    stamps: opt.Stamps = "",
    sums: opt.Sum = False,
    spread: opt.Spread = False,
    sparse: opt.Sparse = False,
    rounded: opt.Round = False,
    wide: opt.Wide = False,
    separator: opt.Separator = "",
    encoding: opt.Encoding = "",
    channel: opt.ChannelName = "import",
    block: opt.BlockSize = 50_000,
    max_refused: opt.MaxRefused = 0.01,
    wait: opt.Wait = False,
    dry_run: opt.DryRun = False,
    follow: opt.Follow = False,
) -> None:
    """\b
    wattstorm ingest june.parquet july.csv
    wattstorm ingest --dry-run june.csv
    wattstorm ingest june-again.csv --replace
    wattstorm ingest --follow inbox/
    wattstorm ingest odd.csv --meter-column PDL --time-column debut --time-zone Europe/Paris
                     --energy-column valeur --unit Wh

    Readings of files (Parquet; CSV, TSV, gzip; Excel) into the log: the meter's id, the slot's
    start (ISO 8601, a datetime, or seconds, ms, µs, ns since the epoch), energy, optional version.
    Each energy is rounded to whole Wh, half to even. Files that are not in order of time are put
    in order in memory.

    Of two readings of one meter and slot the one of the higher version counts; of one version the
    larger energy, whichever came first, and both are counted as a conflict. So a day that is sent
    again with other values needs --replace, --version N or a column `version`.

    A row that is no reading goes to the dead letters with its reason, file and row (see
    `wattstorm dead`). Ends with received = accepted + rejected + doubles of these files, once the
    stream has dealt with them. Exit code 4 if more than --max-refused of them was refused, 1 if
    some were in blocks that the stream had to refuse whole.
    """
    settings = settings_of(context)
    if replace and (version is not None or version_column or follow):
        raise UsageError("--replace and a version, or --follow", "give one of them")
    wanted = Wanted(
        meter_column,
        time_column,
        energy_column,
        unit,
        version_column,
        time_zone,
        date=date_column,
        meter_id=meter,
        constant_version=version,
        time_format=time_format,
        ambiguous=ambiguous,
        stamps=stamps,
        interval=opt.interval_of(sums, spread, sparse),
        rounded=rounded,
        wide=wide,
        slot_minutes=settings.stream.slot_minutes,
        local_zone=settings.stream.time_zone,
        form=Form(separator, encoding),
    )
    opt.check(wanted)
    of_channel = opt.channel_of(channel)
    if follow:
        from wattstorm.cli import ingest_follow

        directory = ingest_follow.directory_of(files)
        with open_store(settings) as store:
            code = ingest_follow.follow(store, settings, directory, wanted, of_channel)
        raise typer.Exit(code)
    register = open_register(settings)
    source = read_files(files, wanted)
    print_source(source, wanted)
    if dry_run:
        from wattstorm.cli.ingest_trial import print_trial

        raise typer.Exit(print_trial(settings, register, source, of_channel, max_refused))
    with open_store(settings) as store:
        if replace:
            intake = Intake(store.connection, settings.store.prefix)
            source = source.versioned(intake.next_replacement())
        with Terminal() as terminal:
            try:
                sent = send_files(
                    store.connection,
                    settings,
                    register,
                    source,
                    channel=of_channel,
                    block=block,
                    listener=terminal,
                )
            except KeyboardInterrupt:
                say(interrupted(terminal.done, source.rows))
                raise
        raise typer.Exit(_end(store, sent, wait, max_refused))


def _end(store: Store, sent: Sent, wait: bool, max_refused: float) -> int:
    """Tell what became of it; the exit code."""
    if not sent.sent and not sent.shed:
        say(f"nothing was sent; {said_of(sent)}")
        return too_many_refused(sent.refused, sent.rows, max_refused)
    account = sent.wait(forever=wait, say=say) if wait or sent.engine_runs() else None
    if account is None:
        say(f"{said_of(sent)}; no engine runs: `wattstorm run --drain` does the rest")
        return too_many_refused(sent.refused, sent.rows, max_refused)
    print(account.line())
    missing = sent.rows - account.received
    if missing:
        say(f"{missing:,} readings are in blocks that the stream refused whole: see wattstorm dead")
    code = too_many_refused(account.rejected, sent.rows, max_refused)
    return 1 if missing or not account.holds else code
