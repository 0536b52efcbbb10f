"""`wattstorm dead`: what was refused, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer

from wattstorm.cli.common import open_register, open_store, say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.engine.watch import Watch
from wattstorm.ingest.dock import Patience
from wattstorm.ingest.replay import replay
from wattstorm.readers.results import Results
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.intake import Intake

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def dead(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Letters shown, at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """\b
    wattstorm dead
    wattstorm dead --limit 1000 --json
    wattstorm dead replay --reason unknown_meter

    What was refused, by reason and one by one: rows that `ingest` could not use (newest first),
    then blocks and readings that the stream refused (oldest first in each partition).
    """
    if context.invoked_subcommand:
        return
    settings = settings_of(context)
    with Results.open(settings) as results:
        prefix, connection = settings.store.prefix, results.connection
        letters: list[dict[str, Any]] = [
            {"reason": row.reason, "where": row.place, "readings": 1, "what": row.raw}
            for row in Intake(connection, prefix).list(limit)
        ]
        store = DeadLetters(connection, prefix)
        for p in results.partitions:
            letters += [
                {
                    "reason": letter.reason,
                    "where": f"partition {p}, entry {letter.position}",
                    "readings": letter.count,
                    "what": letter.what,
                }
                for letter in store.list(p, max(0, limit - len(letters)))
            ]
        account = results.conservation()
        bounds = results.dead_letters()
    counts = dict(account.rejected)
    if account.refused_blocks:
        counts["refused_blocks"] = account.refused_blocks
    if as_json:
        print_json(
            {
                "counts": counts,
                "dropped": bounds.dropped,
                "account": asdict(bounds),
                "letters": letters[:limit],
            }
        )
        return
    if not counts:
        print("nothing was refused")
        return
    print(table(("reason", ">count"), Counter(counts).most_common()))
    print()
    rows = [tuple(letter.values()) for letter in letters[:limit]]
    print(table(("reason", "where", ">readings", "what"), rows))
    if bounds.dropped:
        print(
            f"{bounds.dropped:,} more letters, with {bounds.dropped_readings:,} readings, fell out "
            "at the bound (dead_letters.keep, keep_mb)"
        )


@app.command("replay", short_help="Send it again.")
def replay_(
    context: typer.Context,
    reason: Annotated[
        str | None, typer.Option(help="Only what was refused for this; else all of it.")
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
