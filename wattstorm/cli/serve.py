"""`wattstorm serve` and `wattstorm tokens`: the API and the page, and who may see them."""

from __future__ import annotations

from typing import Annotated

import typer

from wattstorm.cli.common import say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.readers.public import Public
from wattstorm.readers.results import Results

tokens = typer.Typer(help="Who may ask.", no_args_is_help=True, rich_markup_mode=None)


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0: any that is free.")] = None,
) -> None:
    """\b
    wattstorm serve
    wattstorm serve --port 0

    The live page and the HTTP API, until Ctrl-C; the address is printed. It listens on loopback,
    where readers need no token; elsewhere it needs TLS (serve.certificate, serve.key) and tokens.
    docs/api.md says what the API answers.
    """
    # The web server is loaded here: no other command waits for it.
    from wattstorm.serve.app import make_app
    from wattstorm.serve.page.mount import mount
    from wattstorm.serve.server import Server, check_address

    settings = settings_of(context, serve__host=host, serve__port=port)
    check_address(settings)
    with Results.open(settings) as results:
        app = make_app(settings, results)
        mount(app, lambda: Public.open(settings))  # who sees the page needs no token
        Server(app, settings, lambda address: print(address, flush=True)).run()
    say("stopped")


@tokens.callback()
def _group() -> None:
    """Tokens of `wattstorm serve`: add, list, revoke."""


@tokens.command("add", short_help="A new one, shown once.")
def add(
    context: typer.Context,
    name: str,
    role: Annotated[str, typer.Option(help="reader, analyst or operator.")] = "reader",
) -> None:
    """\b
    wattstorm tokens add dispatch
    wattstorm tokens add billing --role analyst

    Print a new token. It is kept as a hash only, so this is the one time that it can be seen. A
    reader sees curves, forecasts and health; an analyst single meters, too; an operator may
    change what runs.
    """
    from wattstorm.serve.tokens import TokenFile

    file = TokenFile.of(settings_of(context))
    print(file.add(name, role))
    say(f"{role} {name}, kept as a hash in {file.path}")


@tokens.command("list", short_help="Names and roles.")
def list_(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list.")] = False,
) -> None:
    """\b
    wattstorm tokens list

    Names, roles and when each was added.
    """
    from wattstorm.serve.tokens import TokenFile

    found = TokenFile.of(settings_of(context)).all()
    if as_json:
        print_json([{"name": t.name, "role": t.role, "created": t.created} for t in found])
    else:
        print(table(("name", "role", "created"), [(t.name, t.role, t.created) for t in found]))


@tokens.command("revoke", short_help="End one.")
def revoke(context: typer.Context, name: str) -> None:
    """\b
    wattstorm tokens revoke dispatch

    End a token, also of a server that runs.
    """
    from wattstorm.serve.tokens import TokenFile

    TokenFile.of(settings_of(context)).revoke(name)
    say(f"revoked {name}")
