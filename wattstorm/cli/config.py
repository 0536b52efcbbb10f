"""`wattstorm config show`: each setting and where it came from."""

from __future__ import annotations

from typing import Annotated

import typer

from wattstorm.cli.common import settings_of
from wattstorm.cli.output import print_json, table

app = typer.Typer(help="The settings in force.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """The settings in force."""


@app.command("show", short_help="Show it.")
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """\b
    wattstorm config show
    WATTSTORM_STREAM_SLOT_MINUTES=15 wattstorm config show --json

    Each setting, its value and its origin: default, wattstorm.toml, environment or command line.
    Passwords are masked.
    """
    rows = settings_of(context).rows()
    if as_json:
        print_json(
            {
                row.name: {"value": row.value, "origin": row.origin, "description": row.description}
                for row in rows
            }
        )
        return
    print(table(("setting", "value", "from", "meaning"), [(*row,) for row in rows]))
