"""`wattstorm results scores` and `meter`: whose behaviour changed, and why."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import numpy as np
import typer

from wattstorm.cli.common import settings_of
from wattstorm.cli.output import console, energy, print_json, table
from wattstorm.readers.results import Results
from wattstorm.readers.scores import MeterScore, ScopeScores, Scored, days_back

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
COLUMNS = ("meter", "tariff", "region", ">p", "kind", "why")


def scores(
    context: typer.Context,
    top: Annotated[int, typer.Option(min=1, max=200, help="The highest so many.")] = 20,
    region: Annotated[str, typer.Option(help="Of one region.")] = "",
    tariff: Annotated[str, typer.Option(help="Of one tariff.")] = "",
    running: Annotated[
        bool, typer.Option("--running", help="The day that has not closed yet.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """\b
    wattstorm results scores --top 5
    wattstorm results scores --region north --running

    The meters whose last closed day was least like their others, with the reason in Wh. p: how
    often a usual day of such homes is as odd. Needs scores.enabled, and the right to read homes.
    """
    scope = f"region:{region}" if region else f"tariff:{tariff}" if tariff else "nation"
    with Results.open(settings_of(context)) as results:
        found = results.scores(scope, running=running, top=top)
    if as_json:
        print_json(asdict(found))
        return
    console().print(_head(found), markup=False, soft_wrap=True)
    print(table(COLUMNS, map(_row, found.top)))


def meter(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="ID", help="As the register names it.")],
    as_json: AsJson = False,
) -> None:
    """\b
    wattstorm results meter 21000010006414

    One meter: its days as symbols, the last two weeks' p, alarms, why, and what its 64 bytes say
    of the household. On the machine that scores, as of its last snapshot.
    """
    with Results.open(settings_of(context)) as results:
        found = results.meter(number)
    if as_json:
        plain = asdict(found)
        plain["insights"]["usual_wh"] = np.rint(found.insights.usual_wh).astype(int).tolist()
        print_json(plain)
        return
    for line in _lines(found):
        console().print(line, markup=False, soft_wrap=True)


def _head(found: ScopeScores) -> str:
    levels = ", ".join(f"{n:,} at p <= {p:g}" for p, n in found.at_most.items())
    rules = ", ".join(f"{n:,} {rule}" for rule, n in found.rules.items() if n)
    so_far = f", {3 * found.stretches} h of it" if found.running else ""
    head = (
        f"{found.scope} on {found.day}{so_far}: {found.scored:,} of {found.meters:,} meters scored"
    )
    return "; ".join(filter(None, (head, levels, rules))) + "\n"


def _row(row: Scored) -> tuple[str, ...]:
    return (
        str(row.meter),
        row.tariff,
        row.region,
        f"{row.p:.2g}",
        row.kind,
        row.why.partition(": ")[2],
    )


def _lines(found: MeterScore) -> list[str]:
    said = found.insights
    lines = [f"meter {found.meter}, {found.tariff} in {found.region}, {said.days} days known"]
    lines.append(f"  symbols     {said.last_word} (usually {said.usual_word}), 3 h a letter")
    lines.append(f"  usual day   {energy(round(float(said.usual_wh.sum())))}")
    lines.append(f"  base load   {said.base_wh:,.0f} Wh a slot")
    if said.percentile is not None:
        lines.append(f"  peers       more than {said.percentile:.0%} of {said.peers:,} like it")
    if said.change is not None:
        lines.append(f"  today       {said.change:+.0%} of what is usual so far")
    if found.today:
        lines.append(f"  today       p {found.today.p:.2g}, {found.today.why}")
    history = days_back(found.closed, found.history) if found.closed else []
    lines += [f"  {day}  p {p:.2g}" for day, p in history if p is not None]
    lines += [f"  alarm       {row.day}: {row.why}" for row in found.alarms]
    return lines
