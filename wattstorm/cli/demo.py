"""`wattstorm demo`: a synthetic town, streamed with faults, checked against its ledger."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from wattstorm.cli import demo_forecast, demo_live, demo_real
from wattstorm.cli.common import open_store, register_directory
from wattstorm.cli.output import console, energy, table
from wattstorm.cli.results import print_head
from wattstorm.cli.run import StoreKeeper
from wattstorm.engine.supervisor import Engine
from wattstorm.engine.watch import Watch
from wattstorm.files.meters import build_register
from wattstorm.readers.accounts import balance_line
from wattstorm.readers.results import Results
from wattstorm.readers.truth import Verdict, compare
from wattstorm.settings import Settings

if TYPE_CHECKING:
    from generator.feed.producers import Sending
    from generator.feed.publish import Job

FIRST, LAST = date(2025, 3, 24), date(2025, 4, 6)
CELSIUS = (12, 11, 12, 11, 10, 9, 8, 3, 1, 0, 2, 7, 10, 12)
"""Daily means: a cold spell from 31 March to 3 April, after the clocks changed on the 30th."""
HOMES, SEED, ZONE = 200_000, 7, "Europe/Paris"
LATER = demo_live.celsius_after(LAST, CELSIUS[-1], SEED)
"""Of the days after: what the town's homes go on by, and what is foretold."""


def demo(
    data: Annotated[
        Path | None, typer.Option(help="Keep the data here; without: removed at the end.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a core.")] = 0,
    homes: Annotated[int, typer.Option(min=1000, help="How many homes.")] = HOMES,
    real: Annotated[
        bool, typer.Option("--real", help="Twenty real Australian homes instead; ends by itself.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="End after the two weeks, without a page.")
    ] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page.")] = demo_live.PORT,
) -> None:
    """\b
    wattstorm demo
    wattstorm demo --once --homes 20000 --data /tmp/demo && wattstorm --data /tmp/demo status
    wattstorm demo --real

    A town of synthetic homes: two weeks with a clock change and a cold spell, streamed slot by slot
    with faults (late, twice, corrected, dead meters, silent concentrators …) while the topology
    runs. Prints days and tariffs, and compares every slot of every curve and every count with
    the truth, which the generator's ledger knows. Then the town goes on, a half-hour each second,
    until Ctrl-C: its live page is at the address that was printed. Uses a store of its own,
    whatever is configured. Exit code 1 if anything differs, a reading is unaccounted for, or a
    curve is not what the counters say.
    """
    with contextlib.ExitStack() as stack:
        if data is None:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="wattstorm-demo-"))
            data = Path(name)
        holds = (
            demo_real.run(data, workers)
            if real
            else _run(data, workers, homes, 0 if once else port)
        )
    if not holds:
        raise typer.Exit(1)


def _run(data: Path, workers: int, homes: int, port: int) -> bool:
    """port: of the page; 0: no page, and an end after the two weeks."""
    from generator.feed import ledger
    from generator.feed.producers import Sending
    from generator.town.outputs import days_from
    from generator.town.register import write_register

    out, begun = console(), time.monotonic()
    settings = Settings.load(
        config=os.devnull,
        environ={},
        options={
            "data.directory": data,
            "stream.time_zone": ZONE,
            "store.url": "",
            "engine.workers": workers,
        },
    )
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    job = _job(settings)
    write_register(job.town, homes, data / "meters.parquet")
    register = build_register([data / "meters.parquet"], register_directory(settings))
    out.print(
        f"register   {register.count:,} homes, {len(register.tariffs)} tariffs, "
        f"{len(register.regions)} regions, {register.partitions} partitions"
    )
    with open_store(settings) as store, contextlib.ExitStack() as stack:
        out.print(f"store      {store.connection.info.product}, started for this demo")
        watch = Watch(store.connection, settings, register)
        watch.introduce()
        demo_forecast.prepare(
            *(settings, store.connection, register, job.town.calendar),
            days_from(FIRST, LAST + timedelta(demo_live.FORETOLD_DAYS)),
            (*CELSIUS, *LATER),
        )
        page = stack.enter_context(demo_live.page(data, port)) if port else None
        if page:
            out.print(f"page       {page.address}", soft_wrap=True)
        sending = Sending(settings, store.url, register_directory(settings))
        streaming = time.monotonic()
        results = Results(store.connection, settings)
        tomorrow = demo_forecast.Tomorrow(results, LAST + timedelta(days=1))
        engine, keeper = Engine(settings, store.url), StoreKeeper(store.server)
        sent = _stream(job, sending, lambda: watch.drained() and tomorrow(), engine, keeper)
        took = time.monotonic() - streaming
        out.print(
            f"stream     {sent:,} readings drawn, sent and added up in {took:.0f} s, "
            f"{sent / took / 1e6:.1f} M/s"
        )
        assert job.ledger is not None
        faults = ledger.read(job.ledger)
        kinds = ", ".join(f"{name} {n:,}" for name, n in ledger.kinds(faults).items())
        out.print(f"faults     {kinds}\n", soft_wrap=True)
        _print_days(results)
        coldest = FIRST.fromordinal(FIRST.toordinal() + int(np.argmin(CELSIUS)))
        print_head(results.national(coldest))
        out.print()
        demo_real.print_tariffs(results, register, coldest)
        out.print()
        tomorrow.show()
        verdict = compare(results, register, ledger.truth(job.town, register, job.days, faults))
        account = results.conservation()
        _print_verdict(verdict)
        out.print(account.line(), markup=False, soft_wrap=True)
        balances = results.balances()
        out.print(balance_line(balances), markup=False, soft_wrap=True)
        out.print(f"{time.monotonic() - begun:.0f} s in all")
        whole = account.holds and not account.refused_blocks
        holds = verdict.holds and whole and all(balance.holds for balance in balances)
        if page and holds:
            page.wait()
            out.print(f"\n{demo_live.SAID} {page.address}", soft_wrap=True)
            again = Engine(settings, store.url), StoreKeeper(store.server)
            _stream(demo_live.going_on(job, LAST), sending, watch.drained, *again)
        return holds


def _job(settings: Settings) -> Job:
    from generator.feed.faults import TYPICAL
    from generator.feed.publish import Job
    from generator.model.driver import from_temperatures
    from generator.town.outputs import days_from
    from generator.town.town import Town
    from wattstorm.metering.slots import day_number

    days = days_from(FIRST, LAST)
    known = range(day_number(FIRST), day_number(LAST) + len(LATER) + 1)
    driver = from_temperatures(known, (*CELSIUS, *LATER), seed=SEED)
    town = Town(seed=SEED, time_zone=ZONE, driver=driver, threads=2)
    return Job(
        town,
        tuple(days),
        TYPICAL,
        power_margin=settings.stream.power_margin,
        ledger=settings.data.directory / "ledger",
    )


def _stream(
    job: Job, sending: Sending, drained: Callable[[], bool], engine: Engine, keeper: StoreKeeper
) -> int:
    """Send while the engine runs, until all is added up and published; readings sent."""
    from generator.feed.producers import send

    done, sent = threading.Event(), 0
    failed: list[BaseException] = []

    def work() -> None:
        nonlocal sent
        try:
            sent = send(job, sending, should_stop=done.is_set)
        except BaseException as error:
            failed.append(error)

    def stop() -> bool:
        return keeper() or bool(failed) or (not sender.is_alive() and drained())

    sender = threading.Thread(target=work, daemon=True)
    sender.start()
    try:
        engine.run(should_stop=stop)
    finally:
        done.set()
        sender.join()
    if failed:
        raise failed[0]
    return sent


def _print_days(results: Results) -> None:
    rows = []
    whole = results.curve("nation", FIRST, LAST)
    dates = whole.calendar.dates_of(whole.slots)
    for number, celsius in zip(np.unique(dates).tolist(), CELSIUS, strict=True):
        wh = whole.wh[dates == number]
        peak = whole.local_labels()[int(np.flatnonzero(dates == number)[wh.argmax()])]
        rows.append(
            (
                peak[:10],
                f"{celsius} °C",
                len(wh),
                energy(int(wh.sum())),
                peak[11:16],
                f"{whole.coverage[dates == number].min():.2%}",
            )
        )
    columns = ("day", ">mean", ">slots", ">energy", ">peak at", ">coverage from")
    print(table(columns, rows) + "\n", flush=True)


def _print_verdict(verdict: Verdict) -> None:
    counts = ", ".join(
        f"{name} {found:,}" + ("" if found == told else f" (ledger: {told:,})")
        for name, (found, told) in verdict.counts.items()
    )
    same = "all as" if verdict.wrong == 0 else f"{verdict.wrong:,} NOT as"
    print(f"\n{verdict.values:,} values of curves against the ledger: {same} foretold, to the Wh")
    print(f"counted as foretold: {counts}", flush=True)
