"""`wattstorm demo --real`: twenty real homes, from file to curves."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path

import numpy as np

from wattstorm.cli.common import open_store, register_directory
from wattstorm.cli.output import console, energy, table
from wattstorm.cli.progress import Terminal
from wattstorm.cli.results import print_head
from wattstorm.cli.run import StoreKeeper
from wattstorm.engine.supervisor import Engine
from wattstorm.errors import StreamError
from wattstorm.files.meters import build_register
from wattstorm.files.readings import Wanted, read_files
from wattstorm.ingest.from_files import send_files
from wattstorm.readers.accounts import balance_line
from wattstorm.readers.results import Results
from wattstorm.register.register import Register
from wattstorm.sample import READINGS, REGISTER, TIME_ZONE
from wattstorm.settings import Settings


def settings_of(data: Path, workers: int) -> Settings:
    """Only what is said here: a configured store or zone is none of the demo's business."""
    return Settings.load(
        config=os.devnull,
        environ={},
        options={
            "data.directory": data,
            "stream.time_zone": TIME_ZONE,
            "store.url": "",
            "engine.workers": workers,
        },
    )


def run(data: Path, workers: int) -> bool:
    """Register, ingest, stream, curves; whether every reading is accounted for."""
    settings = settings_of(data, workers)
    out = console()
    settings.data.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    register = build_register([REGISTER], register_directory(settings))
    out.print(
        f"register   {register.count} homes, {len(register.tariffs)} tariffs, "
        f"{len(register.regions)} regions, {register.partitions} partitions"
    )
    with open_store(settings) as store:
        out.print(f"store      {store.connection.info.product}, started for this demo")
        began = time.monotonic()
        with Terminal() as terminal:
            source = read_files([READINGS], Wanted())
            sent = send_files(store.connection, settings, register, source, listener=terminal)
        out.print(
            f"ingest     {sent.sent:,} readings in {sent.blocks:,} blocks, "
            f"{time.monotonic() - began:.1f} s"
        )
        began = time.monotonic()
        engine = Engine(settings, store.url)
        engine.run(drain=True, should_stop=StoreKeeper(store.server))
        out.print(f"run        until the log was empty, {time.monotonic() - began:.1f} s\n")
        account = sent.account()
        if account.received != sent.sent:
            raise StreamError(
                f"{sent.sent - account.received:,} readings were not dealt with",
                "the messages above say why the engine stopped early",
            )
        results = Results(store.connection, settings)
        day = _a_good_day(results)
        print_head(results.national(day))
        out.print()
        print_tariffs(results, register, day)
        out.print(f"\n{account.line()}", markup=False, soft_wrap=True)
        balances = results.balances()
        out.print(balance_line(balances), markup=False, soft_wrap=True)
        balanced = all(balance.holds for balance in balances)
        return account.holds and results.conservation().holds and balanced


def _a_good_day(results: Results) -> date:
    """Of the days in which every slot is as well covered as it gets, the one of most energy."""
    whole = results.curve("nation", *results.days())
    days = whole.calendar.dates_of(whole.slots)
    known = np.unique(days)
    coverage = np.array([whole.coverage[days == d].min() for d in known])
    total = np.array([whole.wh[days == d].sum() for d in known])
    lengths = np.array([(days == d).sum() for d in known])
    best = (coverage == coverage.max()) & (lengths >= np.median(lengths))
    chosen = known[best][np.argmax(total[best])]
    return whole.calendar.date_of(int(whole.slots[days == chosen][0]))


def print_tariffs(results: Results, register: Register, day: date) -> None:
    rows = []
    nation = results.national(day).total_wh
    for name in sorted(register.tariffs):
        curve = results.tariff(name, day)
        peak = curve.local_labels()[int(curve.wh.argmax())][11:16] if curve.published.any() else ""
        homes = int(curve.expected.max()) if curve.published.any() else 0
        total = curve.total_wh
        rows.append((name, homes, f"{total:,}", f"{total / nation:.1%}", peak))
    out = console()
    print(table((f"tariff on {day}", ">homes", ">Wh", ">share", "peak at"), rows))
    total = sum(int(row[2].replace(",", "")) for row in rows)
    same = "the nation's, to the Wh" if total == nation else f"but the nation has {nation:,}"
    out.print(f"sum of the tariffs {total:,} Wh = {energy(total)}: {same}", markup=False)
