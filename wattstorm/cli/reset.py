"""`wattstorm reset` and `wattstorm stores`: begin again, and what there is."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from wattstorm.cli.common import open_store, register_directory, say, settings_of
from wattstorm.cli.output import table
from wattstorm.errors import UsageError
from wattstorm.store.reset import empty, prefixes
from wattstorm.store.workers import heartbeats


def reset(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only say what would go.")] = False,
    register: Annotated[
        bool, typer.Option("--register", help="The register in the data directory, too.")
    ] = False,
) -> None:
    """\b
    wattstorm reset
    wattstorm reset --yes
    wattstorm reset --yes --register

    Delete the log, the results and all else that a stream has under store.prefix, and its snapshots
    in the data directory: after a wrong unit or a wrong register, begin again with the files. Other
    prefixes of the store stay. Refused while an engine runs.
    """
    settings = settings_of(context)
    prefix, state = settings.store.prefix, settings.data.directory / "state"
    with open_store(settings) as store:
        if any(beat["alive"] for beat in heartbeats(store.connection, prefix)):
            raise UsageError(f"an engine runs on prefix {prefix!r}", "stop it first")
        where = f"{store.connection.address}, prefix {prefix!r}"
        if not yes:
            known = "a register, " if register and register_directory(settings).is_dir() else ""
            say(f"would go: all of {where}; {known}{state}\n  wattstorm reset --yes does it")
            raise typer.Exit(UsageError.exit_code)
        gone = empty(store.connection, prefix)
    shutil.rmtree(state, ignore_errors=True)
    if register:
        shutil.rmtree(register_directory(settings), ignore_errors=True)
    say(f"deleted {gone:,} keys of {where}, and {state}" + (", and the register" * register))


def stores(context: typer.Context) -> None:
    """\b
    wattstorm stores

    The streams that have data in the configured store, by prefix (setting store.prefix), and
    whether an engine runs on each.
    """
    settings = settings_of(context)
    with open_store(settings) as store:
        found = prefixes(store.connection)
        beats = {name: heartbeats(store.connection, name) for name in found}
        say(f"{store.connection.address}: {len(found)} streams")
    rows = [
        (name, "runs" if any(beat["alive"] for beat in of) else "") for name, of in beats.items()
    ]
    if rows:
        print(table(("prefix", "engine"), rows))
