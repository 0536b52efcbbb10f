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
from wattstorm.cli import (
    backtest,
    config,
    deadletters,
    demo,
    deploy,
    doctor,
    generate,
    ingest,
    models,
    prices,
    register,
    results,
    run,
    sax,
    serve,
    status,
    storm,
    train,
    weather,
)
from wattstorm.cli.common import Given, complain, log_to_stderr, say
from wattstorm.errors import WattstormError

INTERRUPTED = 130

app = typer.Typer(
    name="wattstorm",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
app.command("demo", short_help="A town of synthetic homes, or real ones, to curves.")(demo.demo)
app.add_typer(register.app, name="register", short_help="Who the meters are: build, show.")
app.command("ingest", short_help="Readings of files into the log.")(ingest.ingest)
app.add_typer(generate.app, name="generate", short_help="Homes that do not exist: curves, stream.")
app.command("run", short_help="The stream on this machine.")(run.run)
app.add_typer(results.app, name="results", short_help="Curves: national, tariff, region.")
app.command("train", short_help="Forecast models of a curve.")(train.train)
app.command("backtest", short_help="How good forecasts would have been.")(backtest.backtest)
app.add_typer(models.app, name="models", short_help="Fitted models: list, promote, rollback.")
app.add_typer(weather.app, name="weather", short_help="Weather that was said: load, show.")
app.add_typer(prices.app, name="prices", short_help="Prices by tariff: load, show.")
app.add_typer(sax.app, name="sax", short_help="Curves as words.")
app.command("status", short_help="Lag, rates, refused readings, processes.")(status.status)
app.command("serve", short_help="The HTTP API.")(serve.serve)
app.add_typer(serve.tokens, name="tokens", short_help="Who may ask: add, list, revoke.")
app.add_typer(deadletters.app, name="dead", short_help="What was refused, and why.")
app.command("doctor", short_help="What is missing, and what to do about it.")(doctor.doctor)
app.command("deploy", short_help="The stream on a Storm cluster.")(deploy.deploy)
app.command("undeploy", short_help="End it there; nothing is lost.")(deploy.undeploy)
app.command("deactivate", short_help="Pause it there; the log keeps what comes.")(deploy.deactivate)
app.command("activate", short_help="Let it go on.")(deploy.activate)
app.add_typer(storm.app, name="storm", short_help="A Storm cluster on this machine, for trials.")
app.add_typer(config.app, name="config", short_help="The settings in force: show.")


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
