"""What `wattstorm ingest` says of its files before it sends them, and of what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import groupby

from wattstorm.cli.common import say
from wattstorm.errors import DataError
from wattstorm.files.columns import Wanted
from wattstorm.files.readings import Source
from wattstorm.ingest.remedies import gravest
from wattstorm.ingest.sent import Sent
from wattstorm.metering.slots import load_zone


def print_source(source: Source, wanted: Wanted) -> None:
    """One line for each set of columns that was found, and the empty files."""
    zone = load_zone(wanted.local_zone)
    for path in source.empty:
        say(f"{path} is empty")

    def shown(us: int) -> str:
        return (
            datetime.fromtimestamp(us // 1_000_000, UTC).astimezone(zone).isoformat(" ", "minutes")
        )

    by_columns = sorted(source.surveys, key=lambda s: (s.taken.shown(wanted), s.path))
    for taken, group in groupby(by_columns, key=lambda s: s.taken.shown(wanted)):
        found = list(group)
        rows = sum(s.rows for s in found)
        files = found[0].path.name if len(found) == 1 else f"{len(found):,} files"
        first, last = min(s.first for s in found), max(s.last for s in found)
        every = {s.minutes for s in found if s.minutes}
        pace = f", every {min(every)} minutes" if len(every) == 1 else ""
        say(f"{files}: {taken}; {rows:,} rows{pace}, {shown(first)} to {shown(last)}")


def interrupted(done: int, rows: int) -> str:
    """What was sent by then, and what the same command will do."""
    return (
        f"{done:,} of {rows:,} rows were dealt with; the same command sends all of them again, and "
        "what is there already counts as doubles. `wattstorm run` goes on with what is in the log"
    )


def said_of(sent: Sent) -> str:
    reasons = ", ".join(f"{name} {n:,}" for name, n in sent.refused.items())
    return (
        f"sent {sent.sent:,} readings in {sent.blocks:,} blocks, "
        f"refused {sum(sent.refused.values()):,} rows" + (f" ({reasons})" if reasons else "")
    )


def too_many_refused(rejected: Mapping[str, int], of: int, most: float) -> int:
    """0, or the exit code of bad data: more than the share `most` was refused; why, on stderr."""
    refused = sum(rejected.values())
    if not refused or refused <= most * of:
        return 0
    reason, n, remedy = gravest(rejected)
    say(
        f"wattstorm: {refused:,} of {of:,} readings refused ({refused / of:.1%}, --max-refused "
        f"{most:.1%}), {n:,} of them as {reason}\n  {remedy}"
    )
    return DataError.exit_code
