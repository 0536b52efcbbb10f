"""`wattstorm train`: a file of load and weather → fitted models, staged in the registry."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from models.forecast.model_set import ModelSet
from models.forecast.registry import Registry, check_name
from wattstorm.cli.common import open_store, say, settings_of
from wattstorm.cli.forecast_options import Chosen, with_series
from wattstorm.cli.forecast_series import UntilOption, training_end
from wattstorm.cli.train_process import Given, train_apart
from wattstorm.cli.train_source import NATIONAL, Source, from_file, from_store
from wattstorm.errors import UsageError
from wattstorm.readers.results import Results
from wattstorm.settings import Settings


def registry_of(settings: Settings) -> Registry:
    return Registry(settings.data.directory / "models")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


class Progress:
    """Curves and families as they are begun, on stderr; silent where nobody watches."""

    def __init__(self, curves: Sequence[str] = ()) -> None:
        self._curves, self._said = list(curves), ("", "")
        self._watched = sys.stderr.isatty()

    def heard(self, curve: str, family: str, slot: int) -> None:
        if self._watched and (curve, family) != self._said:
            of = f"{curve} ({self._curves.index(curve) + 1} of {len(self._curves)})"
            say(f"  {of if self._curves else curve}: {family} ...")
            self._said = curve, family


@with_series
def train(
    context: typer.Context,
    options: Chosen,
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True, dir_okay=False, metavar="[FILE]", help="With --store: weather."
        ),
    ] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Learn from the curves of the store.")
    ] = False,
    curve: Annotated[
        str, typer.Option(help="Name of the curve of a single --load COLUMN.")
    ] = NATIONAL,
    load: Annotated[
        list[str] | None,
        typer.Option("--load", help="COLUMN of the load, or CURVE=COLUMN; with --store names."),
    ] = None,
    until: UntilOption = "",
    cold: Annotated[
        bool, typer.Option("--cold", help="Leave out the state at the end of training.")
    ] = False,
) -> None:
    """\b
    wattstorm train load.parquet --load mw --temperature celsius --country FR
    wattstorm train load.parquet --load national=mw --load base_6=b6 --trainer pygam
    wattstorm train --store weather.parquet --country FR --issue 12

    Fits every family of models, one for each slot of the day, in a process of its own, and stages
    an artefact for each curve (wattstorm models list): all of them, or none if one fails. It holds
    filters, weights and intervals as they were at the end of training, so that a stream starts
    warm. mgcv wants R; pygam and statsmodels do without. Usual values: settings, section train.
    """
    settings = settings_of(context)
    wanted = load or list(settings.train.curves)
    if store:
        with open_store(settings) as held:
            results = Results(held.connection, settings)
            sources = from_store(results, wanted, file, options)
    elif file is None:
        raise UsageError("nothing to learn from", "give FILE, or --store")
    else:
        sources = from_file(file, wanted or ["load"], curve, options)
    registry, given = registry_of(settings), {}
    ends = {}
    for source in sources:
        check_name(source.curve)
        ends[source.curve] = end = training_end(source.table, until)
        given[source.curve] = _given(source, options, end, warm=not cold)
    start = time.monotonic()
    fitted, tools = train_apart(
        options.trainer,
        given,
        patience=options.patience,
        heard=Progress(list(given)).heard,
    )
    spent = time.monotonic() - start
    for source in sources:
        models = fitted[source.curve]
        told = _told(source, models, ends[source.curve], tools)
        print(registry.add(source.curve, models, told).id)
    days = max(ends.values())
    say(f"{len(sources)} curves, up to {days} days, {spent:.0f} s")
    say("staged: wattstorm models promote ID")


def _given(source: Source, options: Chosen, end: int, warm: bool) -> Given:
    """The first `end` days of a source, as a trainer wants them."""
    table, series = source.table, source.series
    believed, values = series.inputs(table, {k: table.values[k] for k in series.weather})
    return Given(
        table.days[:end],
        {k: v[:end] for k, v in values.items()},
        believed[:end],
        series.calendar(table),
        series.known,
        options.members(),
        warm,
    )


def _told(source: Source, models: ModelSet, end: int, tools: str) -> dict[str, Any]:
    """What the card says beside the models themselves."""
    days = source.table.days
    return {
        **source.told,
        "training": {"first": str(days[0]), "last": str(days[end - 1]), "days": end},
        "tools": {"trainer": tools, "python": sys.version.split()[0]},
        "trained": now(),
        "by": who(),
        "residual": {k: float(m.sd.mean()) for k, m in models.families.items()},
        "warm": bool(models.warm),
    }
