"""`wattstorm run`: the stream on this machine, until stopped or until the log is empty."""

from __future__ import annotations

import logging
import time
from typing import Annotated

import typer

from wattstorm.cli.common import open_register, open_store, say, settings_of
from wattstorm.engine.supervisor import Engine
from wattstorm.errors import StoreError
from wattstorm.readers.accounts import balance_line
from wattstorm.readers.results import Results
from wattstorm.store.server import EmbeddedServer

ENSURE_S = 1.0
_log = logging.getLogger("wattstorm.cli")


def run(
    context: typer.Context,
    drain: Annotated[
        bool, typer.Option("--drain", help="Stop when the log is empty and all is published.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Tasks that sum; 0: one per core (setting engine.workers)."),
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the store from an engine that runs on it.")
    ] = False,
) -> None:
    """\b
    wattstorm run
    wattstorm run --drain --workers 2

    Run the topology on the local engine. Ctrl-C or SIGTERM stops it cleanly: each worker saves
    its state, and the next run goes on from there. Ends with what became of all readings, and
    whether the curves hold what was counted; exit code 1 if not.
    """
    settings = settings_of(context, engine__workers=workers)
    register = open_register(settings)
    with open_store(settings) as store:
        say(
            f"running {settings.engine.topology} over {register.partitions} partitions; "
            + ("ends when the log is empty" if drain else "Ctrl-C stops it")
        )
        Engine(settings, store.url).run(
            drain=drain, take_over=take_over, should_stop=StoreKeeper(store.server)
        )
        results = Results(store.connection, settings)
        account, balances = results.conservation(), results.balances()
    say(account.line())
    say(balance_line(balances))
    if not (account.holds and all(balance.holds for balance in balances)):
        raise typer.Exit(1)


class StoreKeeper:
    """Asked again and again whether to stop: never, but it looks after the embedded store."""

    def __init__(self, server: EmbeddedServer | None) -> None:
        self.server, self._next = server, 0.0

    def __call__(self) -> bool:
        if self.server is not None and time.monotonic() >= self._next:
            try:
                self.server.ensure()
            except StoreError as error:
                _log.error("the embedded store does not start again: %s", error)
            self._next = time.monotonic() + ENSURE_S
        return False
