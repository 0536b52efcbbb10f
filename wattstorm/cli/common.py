"""What the commands share: settings, the store they use, what a person is told."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from wattstorm.errors import WattstormError
from wattstorm.logs import to_stderr
from wattstorm.settings import Settings

if TYPE_CHECKING:  # imported where they are used: a command that needs neither starts sooner
    from wattstorm.register.register import Register
    from wattstorm.store.connection import Connection
    from wattstorm.store.server import EmbeddedServer


@dataclass
class Given:
    """The options before the command: settings are loaded by the command that needs them."""

    config: Path | None = None
    data: Path | None = None

    def settings(self, **options: Any) -> Settings:
        """Settings with this command's own options ("section__name") on top."""
        named = {name.replace("__", "."): value for name, value in options.items()}
        return Settings.load(self.config, options={"data.directory": self.data, **named})


def settings_of(context: typer.Context, **options: Any) -> Settings:
    given: Given = context.obj
    return given.settings(**options)


@dataclass
class Store:
    """A store in use: its connection, its URL, and the server if it is the embedded one."""

    connection: Connection
    url: str
    server: EmbeddedServer | None


@contextlib.contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The configured store, or the embedded one, held meanwhile; its warnings on stderr."""
    from wattstorm.store.connection import connected
    from wattstorm.store.server import EmbeddedServer

    with contextlib.ExitStack() as stack:
        url: str
        url, server = settings.store.url, None
        if not url:
            server = stack.enter_context(EmbeddedServer(settings.data.directory))
            url = server.url
        connection = stack.enter_context(connected(settings, url))
        for warning in connection.check().warnings:
            say(f"warning: {warning}")
        yield Store(connection, url, server)


def register_directory(settings: Settings) -> Path:
    return settings.data.directory / "register"


def open_register(settings: Settings) -> Register:
    from wattstorm.register.register import Register

    return Register.open(register_directory(settings))


def say(message: str) -> None:
    """A message for a person: stderr, so that stdout stays data."""
    print(message, file=sys.stderr, flush=True)


def complain(error: WattstormError) -> None:
    say(f"wattstorm: {error.what}")
    if error.remedy:
        say(f"  {error.remedy}")


def log_to_stderr(verbose: bool) -> None:
    to_stderr(logging.INFO if verbose else logging.WARNING, "%(levelname)s %(name)s: %(message)s")


def parse_date(text: str) -> date:
    """YYYY-MM-DD or "today"; anything else is a usage error."""
    if text == "today":
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write YYYY-MM-DD") from None
