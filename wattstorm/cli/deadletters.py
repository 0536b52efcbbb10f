"""`wattstorm dead`: what was refused, and why."""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from wattstorm.cli.common import (
    open_register,
    open_store,
    register_directory,
    say,
    settings_of,
)
from wattstorm.cli.output import print_json, table
from wattstorm.engine.watch import Watch
from wattstorm.errors import UsageError
from wattstorm.ingest.dock import Patience
from wattstorm.ingest.letters import all_refused, matching, write_csv
from wattstorm.ingest.remedies import REMEDIES
from wattstorm.ingest.replay import replay
from wattstorm.metering.rules import Rules
from wattstorm.readers.results import Results
from wattstorm.register.register import Register
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.intake import Intake

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def dead(
    context: typer.Context,
    reason: Annotated[str, typer.Option(metavar="REASON", help="Only of this reason.")] = "",
    meter: Annotated[str, typer.Option(metavar="ID", help="Only of this meter.")] = "",
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Readings shown, at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="All that are held, a line a reading.")
    ] = False,
) -> None:
    """\b
    wattstorm dead
    wattstorm dead --reason too_high --limit 1000 --json
    wattstorm dead --csv > refused.csv
    wattstorm dead replay --reason unknown_meter

    What was refused, by reason and one by one, with meter, time, energy and limit: rows that
    `ingest` could not use (newest first), then readings that the stream refused (oldest first in
    each partition).
    """
    if context.invoked_subcommand:
        return
    if as_json and as_csv:
        raise UsageError("both --json and --csv", "give one of them")
    settings = settings_of(context)
    known = Register.exists(register_directory(settings))
    register = open_register(settings) if known else None
    with Results.open(settings) as results:
        prefix, connection = settings.store.prefix, results.connection
        filtered = bool(reason or meter) or as_csv
        found = matching(
            all_refused(
                Intake(connection, prefix, keep=settings.dead_letters.keep, bytes_=1 << 40),
                DeadLetters(connection, prefix),
                results.partitions,
                register,
                Rules.from_settings(settings),
                None if filtered else limit,
            ),
            reason,
            meter,
        )
        if as_csv:
            write_csv(found, sys.stdout)
            return
        letters = [asdict(refused) for refused in itertools.islice(found, limit)]
        account = results.conservation()
        bounds = results.dead_letters()
    counts = dict(account.rejected)
    if account.refused_blocks:
        counts["refused_blocks"] = account.refused_blocks
    if as_json:
        told = {"counts": counts, "dropped": bounds.dropped, "account": asdict(bounds)}
        print_json({**told, "letters": letters})
        return
    if not counts:
        print("nothing was refused")
        return
    print(table(("reason", ">count"), Counter(counts).most_common()))
    for name in Counter(counts):
        if name in REMEDIES:
            say(f"{name}: {REMEDIES[name]}")
    print()
    columns = ("reason", "meter", "start", ">energy", "limit", "where", "why")
    shown = [[letter[name.lstrip(">")] for name in columns] for letter in letters]
    print(table(columns, shown))
    if bounds.dropped:
        print(
            f"{bounds.dropped:,} more letters, with {bounds.dropped_readings:,} readings, fell out "
            "at the bound (dead_letters.keep, keep_mb)"
        )


@app.command("replay", short_help="Send it again.")
def replay_(
    context: typer.Context,
    reason: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Only what was refused for this; else all of it."),
    ] = None,
) -> None:
    """\b
    wattstorm dead replay --reason unknown_meter
    wattstorm dead replay

    Send what was refused to the log again, each letter once: it is in the log, or still here,
    however often this is interrupted. Readings of meters that the register has got since are
    accepted then, as far as their days are open; what is refused again comes back. Rows that
    `ingest` could not read stay: mend the file and ingest it again.
    """
    settings = settings_of(context)
    register = open_register(settings)
    with open_store(settings) as store:
        watch = Watch(store.connection, settings, register)
        if watch.results.meta():
            watch.extend()  # or the stream would not know the meters either
        patience = Patience(say)
        done = replay(store.connection, settings, register, reason, patience)
    print(f"sent {done.readings:,} readings again in {done.blocks:,} blocks")
    if done.left:
        kept = ", ".join(f"{why} {n:,}" for why, n in done.left.most_common())
        say(f"left where they were: {kept}")
