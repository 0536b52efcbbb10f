"""The `wattstorm` command: options for all commands, and how each of them ends.

Exit codes: 0 done, 1 failed, 2 usage, 3 store unreachable, 4 bad data, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from wattstorm import __version__
from wattstorm.cli.common import Given, complain, log_to_stderr, say
from wattstorm.cli.lazy import SETTINGS, Commands
from wattstorm.errors import WattstormError

INTERRUPTED = 130

app = typer.Typer(
    name="wattstorm",
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=dict(SETTINGS),
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"wattstorm {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data directory (setting data.directory).")
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="Settings file instead of ./wattstorm.toml.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more, on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Exact load curves out of a stream of smart-meter readings.

    \b
    wattstorm demo                                200,000 homes through the stream
    wattstorm register build meters.csv           who the meters are
    wattstorm ingest june.parquet july.csv        readings into the log
    wattstorm run --drain                         the stream, until the log is empty
    wattstorm results national --date 2013-06-24  a curve

    Exit codes: 0 done, 1 failed, 2 usage, 3 store unreachable, 4 bad data, 130 interrupted.
    """
    log_to_stderr(verbose)
    context.obj = Given(config_file, data)


def main() -> None:
    """Run the command of `sys.argv`; ends the process with its exit code."""
    try:
        app()
    except WattstormError as error:
        complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # who read our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
