"""`wattstorm dead`: what was refused, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer

from wattstorm.cli.common import settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.readers.results import Results
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.intake import Intake


def dead(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="Letters shown, at most.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """\b
    wattstorm dead
    wattstorm dead --limit 1000 --json

    What was refused, by reason and one by one: rows that `ingest` could not use (newest first),
    then blocks and readings that the stream refused (oldest first in each partition).
    """
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
