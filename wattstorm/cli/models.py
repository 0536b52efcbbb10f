"""`wattstorm models`: fitted models, which is live, and how that changes in a running stream."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from models.forecast import artefact
from models.forecast.registry import Entry, Registry
from wattstorm.cli.common import open_store, say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.cli.train import now, registry_of, who
from wattstorm.settings import Settings
from wattstorm.store.control import MODEL, slots_control
from wattstorm.stream.forecast_models import Named, with_stages

app = typer.Typer(help="Fitted models.", no_args_is_help=True, rich_markup_mode=None)
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Or the first letters of it.")]


@app.callback()
def _group() -> None:
    """Fitted models by curve: staged, shadow, live (docs/forecast.md)."""


@app.command("list", short_help="All models, or one curve's.")
def list_models(
    context: typer.Context,
    curve: Annotated[str, typer.Argument(help="Only this curve's.")] = "",
    json: JsonOption = False,
) -> None:
    """Curve, id, stage, last training day, tools, when and by whom."""
    rows: list[dict[str, Any]] = []
    for entry in registry_of(settings_of(context)).entries(curve):
        card = entry.card
        rows.append(
            {
                "curve": entry.curve,
                "id": entry.id,
                "stage": entry.stage,
                "trained to": card.get("training", {}).get("last", "?"),
                "by": card.get("by", "?"),
                "when": card.get("trained", "?"),
                "tools": card.get("tools", {}).get("trainer", "?"),
            }
        )
    if json:
        print_json(rows)
    elif rows:
        print(table(list(rows[0]), [list(row.values()) for row in rows]))
    else:
        say("no model yet: wattstorm train FILE")


@app.command("show", short_help="A model's card.")
def show(context: typer.Context, model: IdArgument) -> None:
    """The card as JSON: data and its SHA-256, period, families, members, tools."""
    entry = registry_of(settings_of(context)).find(model)
    print_json({"id": entry.id, "curve": entry.curve, "stage": entry.stage, **entry.card})


@app.command("promote", short_help="Make a model live, or shadow.")
def promote(
    context: typer.Context,
    model: IdArgument,
    shadow: Annotated[bool, typer.Option("--shadow", help="Beside the live one, unseen.")] = False,
) -> None:
    """\b
    wattstorm models promote 1b8287 --shadow
    wattstorm models promote 1b8287

    Checks the artefact first; one that does not open is refused and nothing changes. Then the
    stream is told: forecasts of what closes from there on are this model's. Repeated, it says
    nothing twice.
    """
    settings, stage = settings_of(context), "shadow" if shadow else "live"
    registry = registry_of(settings)
    entry = registry.find(model)
    if entry.stage != stage:
        entry = registry.promote(model, stage, who(), now())
    say(f"{entry.curve}: {entry.id} is {entry.stage}")
    _tell(settings, registry, entry)


@app.command("rollback", short_help="The model before becomes live again.")
def rollback(
    context: typer.Context, curve: Annotated[str, typer.Argument(help="Its curve.")]
) -> None:
    """In one step; the model that was live stays in the registry, and goes on learning unseen.
    If it ends before the stream was told: wattstorm models promote ID, of the one that is live."""
    settings = settings_of(context)
    registry = registry_of(settings)
    entry = registry.rollback(curve, who(), now())
    say(f"{entry.curve}: {entry.id} is {entry.stage}")
    _tell(settings, registry, entry)


def _tell(settings: Settings, registry: Registry, entry: Entry) -> None:
    """The stream: what the registry says of the entry's curve is in force from here on."""
    of = {e.stage: e for e in registry.entries(entry.curve) if e.stage in ("live", "shadow")}
    known = int(entry.card["known"])
    live, shadow = (
        Named(of[stage].id, artefact.artefact_id(of[stage].directory))
        if stage in of and int(of[stage].card["known"]) == known
        else None
        for stage in ("live", "shadow")
    )
    with open_store(settings) as store:
        control = slots_control(store.connection, settings.store.prefix)
        place = entry.curve, known
        at = control.amend(MODEL, lambda text: with_stages(text, place, live, shadow)).position
    say(f"the stream is told, entry {at} of the log slots" if at else "the stream was told already")


@app.command("verify", short_help="Do models still say what their trainers said?")
def verify(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="ID", help="One; else all.")] = "",
) -> None:
    """Checksum, schema, shapes, reference rows. Ends with 4 at the first that fails."""
    registry = registry_of(settings_of(context))
    for entry in [registry.find(model)] if model else registry.entries():
        off = artefact.verify(artefact.load(entry.directory))
        print(f"{entry.curve}  {entry.id}  {entry.stage}  {off:.1e} off its reference rows")
