"""`wattstorm generate curves | register | stream | fit | validate`: homes that do not exist."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from wattstorm.cli import generate_models
from wattstorm.cli import generate_options as options
from wattstorm.cli.common import open_register, open_store, register_directory, say, settings_of
from wattstorm.cli.output import print_json
from wattstorm.engine.watch import Watch
from wattstorm.errors import UsageError
from wattstorm.store.workers import heartbeats

app = typer.Typer(
    help="Homes that do not exist: files, a stream.", no_args_is_help=True, rich_markup_mode=None
)
app.command("fit", short_help="A model of real homes.")(generate_models.fit)
app.command("validate", short_help="Do synthetic homes pass for real ones?")(
    generate_models.validate
)


@app.callback()
def _group() -> None:
    """Synthetic homes that look and move like real ones: into files, or into the log.

    What a home uses on a day follows from the seed, its number and the date alone: any part can be
    drawn alone, again, or elsewhere.
    """


@app.command("curves", short_help="Curves into a file.")
def curves(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help=".parquet, .csv or .npy", metavar="FILE")],
    first_day: options.FromOption,
    last_day: options.ToOption = "",
    meters: options.MetersOption = 1000,
    first: options.FirstOption = 0,
    shard: Annotated[str, typer.Option(help="Only part i of n, as 2/7.")] = "",
    seed: options.SeedOption = 1,
    engine: options.EngineOption = "block",
    model: options.ModelOption = None,
    temperatures: options.TemperaturesOption = None,
    strength: options.StrengthOption = 1.0,
    off_peak: options.OffPeakOption = 0.0,
    car: options.CarOption = 0.0,
    solar: options.SolarOption = 0.0,
    threads: options.ThreadsOption = 2,
) -> None:
    """\b
    wattstorm generate curves week.parquet --meters 10000 --from 2025-01-13 --to 2025-01-19
    wattstorm generate curves day.npy --meters 35000000 --from 2025-01-14 --shard 1/4

    Parquet or CSV: readings (meter, ts_utc, wh) as `wattstorm ingest` reads them, with the ids of
    `wattstorm generate register` of the same seed. numpy: [meters, days, slots of the wall
    clock], Wh.
    """
    from generator.town import outputs
    from generator.town.register import external_ids

    days, homes = options.dates_of(first_day, last_day), options.range_of(meters, first, shard)
    town = options.town_of(
        settings_of(context),
        seed=seed,
        engine=engine,
        model=model,
        temperatures=temperatures,
        strength=strength,
        off_peak=off_peak,
        car=car,
        solar=solar,
        threads=threads,
    )
    begun = time.monotonic()
    total = len(homes) * len(days) * town.generator.model.slots
    with progress("drawing", total) as done:
        if out.suffix == ".npy":
            outputs.write_numpy(town, homes, days, out, done)
        else:
            outputs.write_parquet(town, homes, days, out, partial(external_ids, seed), done)
    took = time.monotonic() - begun
    say(f"{out}: {len(homes):,} homes, {options.days_text(days)}, {took:.1f} s")


@app.command("register", short_help="Their meter register.")
def register(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help=".parquet or .csv", metavar="FILE")],
    meters: options.MetersOption = 1000,
    first: options.FirstOption = 0,
    shares: Annotated[
        str, typer.Option(help="Of tariffs: base=0.55,offpeak=0.33,tempo=0.05,weekend=0.07.")
    ] = "",
    seed: options.SeedOption = 1,
    engine: options.EngineOption = "block",
    model: options.ModelOption = None,
    off_peak: options.OffPeakOption = 0.0,
    car: options.CarOption = 0.0,
    solar: options.SolarOption = 0.0,
) -> None:
    """\b
    wattstorm generate register town.parquet --meters 200000 --seed 7
    wattstorm register build town.parquet

    The register of these homes: 14-digit ids, regions by neighbourhood, contracted power that holds
    each home's highest slot, twelve tariffs (base, offpeak, tempo, weekend, each by power). With
    --off-peak the off-peak homes have the off-peak tariffs; with --solar producers are marked.
    """
    from generator.town.register import write_register

    town = options.town_of(
        settings_of(context),
        seed=seed,
        engine=engine,
        model=model,
        off_peak=off_peak,
        car=car,
        solar=solar,
    )
    write_register(town, meters, out, first=first, shares=options.shares_of(shares))
    say(f"{out}: {meters:,} meters; next: wattstorm register build {out}")


@app.command("stream", short_help="Their readings into the log, with faults if wanted.")
def stream(
    context: typer.Context,
    first_day: options.FromOption,
    last_day: options.ToOption = "",
    rate: Annotated[str, typer.Option(help="Readings a second, or max.")] = "max",
    speed: Annotated[
        float, typer.Option(min=0, help="Times real time: 1 lives, 1800 a slot a second.")
    ] = 0.0,
    shape: Annotated[str, typer.Option(help="live (slot by slot) or nightly (curves).")] = "live",
    producers: Annotated[int, typer.Option(min=1, max=256, help="Processes.")] = 1,
    faults: Annotated[str, typer.Option(help="none or typical.")] = "none",
    fault: Annotated[
        list[str] | None, typer.Option(help="name=rate, as late=0.01; once for each.")
    ] = None,
    ledger: Annotated[Path | None, typer.Option(help="Directory of the faults' ledger.")] = None,
    block: Annotated[int, typer.Option(min=100, max=1 << 20, help="Readings a block.")] = 50_000,
    name: Annotated[str, typer.Option(help="Producer name; else by what is sent.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    seed: options.SeedOption = 1,
    engine: options.EngineOption = "block",
    model: options.ModelOption = None,
    temperatures: options.TemperaturesOption = None,
    strength: options.StrengthOption = 1.0,
    off_peak: options.OffPeakOption = 0.0,
    car: options.CarOption = 0.0,
    solar: options.SolarOption = 0.0,
    threads: options.ThreadsOption = 1,
) -> None:
    """\b
    wattstorm generate stream --from 2025-01-13 --to 2025-01-26 --producers 2
    wattstorm generate stream --from 2025-01-13 --rate 200000 --fault late=0.01 --fault silent=0.05
    wattstorm generate stream --from today --speed 1 --faults typical

    Readings of the register's meters (wattstorm generate register, with the same seed) into the
    log. Waits where the backlog bound is reached. Interrupted, the same command goes on where it
    was; finished, it sends nothing. A slot is never sent before it is over.

    \b
    Faults, each at its rate: gap, late, too_late, doubled, corrected, conflict, spike (of
    readings); gap_day, stuck (of meters' days); clock (of meters); dead (of meters, in 28 days);
    silent (of concentrators' days; concentrator=500 meters). Each faulty reading stands in the
    ledger, with what was sent, what is true and what the stream must count it as.
    """
    from generator.feed.producers import Sending, name_of, send
    from generator.feed.publish import Job

    settings = settings_of(context)
    days, found = options.dates_of(first_day, last_day), open_register(settings)
    town = options.town_of(
        settings,
        seed=seed,
        engine=engine,
        model=model,
        temperatures=temperatures,
        strength=strength,
        off_peak=off_peak,
        car=car,
        solar=solar,
        threads=threads,
    )
    job = Job(
        town,
        days,
        options.faults_of(faults, fault or [], settings),
        shape,
        block,
        _rate(rate),
        speed,
        settings.stream.power_margin,
        ledger,
    )
    name = name or name_of(job, found)
    if job.faults.any and ledger is None:
        job = job.with_ledger(settings.data.directory / "ledger" / name)
    slots = town.calendar.day_slots(days[-1]).stop - town.calendar.day_slots(days[0]).start
    with open_store(settings) as store:
        Watch(store.connection, settings, found).meet()
        where = Sending(settings, store.url, register_directory(settings), producers, name)
        begun = time.monotonic()
        with progress("sending", found.count * slots) as done:
            sent = send(job, where, done=done)
        took = time.monotonic() - begun
        runs = any(beat["alive"] for beat in heartbeats(store.connection, settings.store.prefix))
    facts = {
        "sent": sent,
        "seconds": round(took, 3),
        "producer": name,
        "ledger": str(job.ledger) if job.ledger else None,
        "engine_runs": runs,
    }
    if as_json:
        print_json(facts)
        return
    say(
        f"sent {sent:,} readings in {took:.1f} s ({sent / max(took, 1e-9) / 1e6:.1f} M/s) as {name}"
    )
    if job.ledger:
        say(f"ledger {job.ledger}")
    if not runs:
        say("no engine runs: `wattstorm run --drain` does the rest")


class Done(Protocol):
    def __call__(self, readings: int, /) -> None: ...


@contextmanager
def progress(what: str, total: int) -> Iterator[Done]:
    """A bar on stderr, if somebody watches; told how much more is done."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as shown:
        task = shown.add_task(what, total=total)
        yield lambda readings: shown.update(task, advance=readings)


def _rate(text: str) -> float:
    """Readings a second; 0 for "max"."""
    if text == "max":
        return 0.0
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if rate <= 0:
        raise UsageError(f"rate {text!r}", "write readings a second, such as 200000, or max")
    return rate
