"""The list of commands: a command's module is imported when the command is run.

So `wattstorm status` need not wait for what fits models, nor `--help` for any of them.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any, Final, NamedTuple, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from wattstorm.errors import UsageError


class Command(NamedTuple):
    """where: module and attribute below `wattstorm.cli`, a function or a typer app."""

    where: str
    short_help: str


COMMANDS: Final[dict[str, Command]] = {
    "demo": Command("demo:demo", "A town of synthetic homes, or real ones, to curves."),
    "register": Command("register:app", "Who the meters are: build, show."),
    "ingest": Command("ingest:ingest", "Readings of files into the log."),
    "generate": Command("generate:app", "Homes that do not exist: curves, stream."),
    "run": Command("run:run", "The stream on this machine."),
    "results": Command("results:app", "Curves: national, tariff, region."),
    "train": Command("train:train", "Forecast models of a curve."),
    "backtest": Command("backtest:backtest", "How good forecasts would have been."),
    "models": Command("models:app", "Fitted models: list, promote, rollback."),
    "weather": Command("weather:app", "Weather that was said: load, show."),
    "prices": Command("prices:app", "Prices by tariff: load, show."),
    "sax": Command("sax:app", "Curves as words."),
    "status": Command("status:status", "Lag, rates, refused readings, processes."),
    "serve": Command("serve:serve", "The HTTP API."),
    "tokens": Command("serve:tokens", "Who may ask: add, list, revoke."),
    "dead": Command("deadletters:app", "What was refused, and why."),
    "doctor": Command("doctor:doctor", "What is missing, and what to do about it."),
    "deploy": Command("deploy:deploy", "The stream on a Storm cluster."),
    "undeploy": Command("deploy:undeploy", "End it there; nothing is lost."),
    "deactivate": Command("deploy:deactivate", "Pause it there; the log keeps what comes."),
    "activate": Command("deploy:activate", "Let it go on."),
    "storm": Command("storm:app", "A Storm cluster on this machine, for trials."),
    "reset": Command("reset:reset", "Begin again: delete a stream's data."),
    "stores": Command("reset:stores", "The streams that have data in the store."),
    "config": Command("config:app", "The settings in force: show."),
}
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Commands(TyperGroup):
    """A group whose members are `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        known = COMMANDS.get(cmd_name)
        return _made(cmd_name, known) if known else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1, cutoff=0.7)
            known = f"did you mean {near[0]}?" if near else "wattstorm -h lists the commands"
            raise UsageError(f"there is no command {args[0]!r}", known)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, known.short_help) for name, known in COMMANDS.items()])


def _made(name: str, known: Command) -> Any:
    module, _, attribute = known.where.partition(":")
    found = getattr(importlib.import_module(f"wattstorm.cli.{module}"), attribute)
    around = typer.Typer(add_completion=False, rich_markup_mode=None)
    around.callback()(lambda: None)  # or a single command would be the whole
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, short_help=known.short_help)
    else:
        around.command(name, short_help=known.short_help)(found)
    return cast(Any, get_command(around)).commands[name]
