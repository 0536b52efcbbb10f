"""`wattstorm prices load | show`: what energy costs, as far as it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer

from models.forecast.calendar import Calendar
from models.forecast.price_book import PriceBook
from wattstorm.cli.common import open_store, parse_date, say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.cli.price_file import read_news
from wattstorm.store.control import PRICES, slots_control

app = typer.Typer(help="Prices by tariff.", no_args_is_help=True, rich_markup_mode=None)
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
NO_HOLIDAYS: Final = Calendar(np.empty(0, "datetime64[D]"))


@app.callback()
def _group() -> None:
    """Prices by tariff: flat, by the clock, by the day's colour, by the hour (docs/forecast.md)."""


@app.command("load", short_help="Rules, colours or hourly prices into the stream.")
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE")],
    tariff: Annotated[
        str, typer.Option(help="Whose prices a CSV or Parquet file has: a name, or base_*.")
    ] = "",
    since: Annotated[str, typer.Option("--from", help="From this day on, YYYY-MM-DD.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check only.")] = False,
    json: JsonOption = False,
) -> None:
    """\b
    wattstorm prices load tariffs.toml --from 2025-02-01
    wattstorm prices load tomorrow.csv --tariff spot          columns time, eur_mwh
    wattstorm prices load colours.csv --tariff 'tempo_*'      columns date, colour

    Amounts in € that have been issued for days whose prices change are issued again, with the
    version that they were worked out with. Loaded again it changes nothing.
    """
    settings = settings_of(context)
    news = read_news(file, tariff, settings.stream.time_zone)
    if since:
        news["from"] = str(parse_date(since))
    with open_store(settings) as store:
        control = slots_control(store.connection, settings.store.prefix)
        before = PriceBook.of(control.newest(PRICES, [0])[0].text)
        book = before.with_(_for_known(news, before))
        position = 0
        if not dry_run:
            position = control.amend(PRICES, lambda text: _added(text, news)).position
    changed = [each._asdict() for each in book.changed_since(before)]
    if json:
        print_json(changed)
    elif changed:
        rows = [(c["name"], c["first"] or "always", c["last"] or "for good") for c in changed]
        print(table(("tariff", "from", "to"), rows))
    if dry_run:
        say("nothing was written: --dry-run")
    else:
        where = f"entry {position} of the log" if position else "known already"
        say(f"{len(changed)} changes: {where}")


def _added(text: str, news: dict[str, Any]) -> str:
    held = PriceBook.of(text)
    return held.with_(_for_known(news, held)).text()


def _for_known(news: dict[str, Any], held: PriceBook) -> dict[str, Any]:
    """Without the rule that a table of hourly prices brings for a tariff that has one already."""
    if "hourly" not in news:
        return news
    mine = news.get("rules", {})
    rules = {
        name: rule
        for name, rule in mine.items()
        if not (rule == {"kind": "hourly"} and name in held.rules)
    }
    return {**news, "rules": rules}


@app.command("show", short_help="What is known.")
def show(
    context: typer.Context,
    day: Annotated[str, typer.Option("--date", help="Prices of this local day.")] = "",
    json: JsonOption = False,
) -> None:
    """\b
    wattstorm prices show
    wattstorm prices show --date 2025-04-01     least, mean and most of the day, and their version

    Tariffs with the rules in force and what was announced. Of a day, holidays count as ordinary
    days here: the forecasts know them from their model.
    """
    settings = settings_of(context)
    with open_store(settings) as store:
        control = slots_control(store.connection, settings.store.prefix)
        book = PriceBook.of(control.newest(PRICES, [0])[0].text)
    if day:
        slots = 1440 // settings.stream.slot_minutes
        found = _of_day(book, np.datetime64(parse_date(day)), slots)
    else:
        found = _rules(book)
    if json:
        print_json(found)
    elif found:
        print(table(list(found[0]), [list(row.values()) for row in found]))
    else:
        say("no prices yet: wattstorm prices load FILE")


def _rules(book: PriceBook) -> list[dict[str, Any]]:
    rows = []
    for name, dated in sorted(book.rules.items()):
        told = [*book.colours.get(name, {}), *book.hourly.get(name, {})]
        for since, rule in sorted(dated.items()):
            price = rule.get("price", rule.get("otherwise", ""))
            rows.append(
                {
                    "tariff": name,
                    "from": since or "always",
                    "kind": rule["kind"],
                    "€/kWh": price,
                    "days announced": len(told),
                    "newest": max(told, default=""),
                }
            )
    return rows


def _of_day(book: PriceBook, day: np.datetime64, slots: int) -> list[dict[str, Any]]:
    rows = []
    for name in sorted(book.rules):
        priced = book.priced(name, day, slots, NO_HOLIDAYS)
        if priced is None:
            continue
        eur = priced.prices / 1e6
        rows.append(
            {
                "tariff": name,
                "version": priced.version,
                "settled": priced.settled,
                "least": f"{eur.min():.6f}",
                "mean": f"{eur.mean():.6f}",
                "most": f"{eur.max():.6f}",
            }
        )
    return rows
