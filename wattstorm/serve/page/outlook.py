"""What the page shows of forecasts: today's beside the curve, tomorrow in Wh and in €."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape

from wattstorm.metering.forecasts import ForecastRow
from wattstorm.serve.page import figures
from wattstorm.serve.page.tables import plain, table
from wattstorm.serve.page.views import Foreseen, Line

LOW, HIGH = "0.05", "0.95"
"""Levels of the band: 90 % of what comes should lie in it."""

ByLabel = Mapping[str, Sequence[ForecastRow]]
"""label → what was said of a day, in order of issue."""


@dataclass(frozen=True)
class Outlook:
    """day: tomorrow in the time of the readings; today, tomorrow: what was said of them."""

    day: date
    today: ByLabel
    tomorrow: ByLabel


def foreseen(rows: Sequence[ForecastRow], slots: range, minutes: int) -> Foreseen | None:
    """Of each slot what was said last before it began; None if nothing was said."""
    if not rows:
        return None
    watts = 60 / minutes
    point: Line = [None] * len(slots)
    low, high = list(point), list(point)
    for row in rows:
        band = row.quantiles[LOW], row.quantiles[HIGH]
        for line, values in zip((point, low, high), (row.wh, *band), strict=True):
            for slot, wh in enumerate(values, row.first):
                if slot in slots:
                    line[slot - slots.start] = wh * watts
    return Foreseen(point, low, high, name_of(rows[-1]))


def name_of(row: ForecastRow) -> str:
    """
    >>> from types import SimpleNamespace as Row
    >>> name_of(Row(model="naive", version="")), name_of(Row(model="mixture", version="m-2025-04"))
    ('the last day of its kind', 'm-2025-04')
    """
    return "the last day of its kind" if row.model == "naive" else row.version or row.model


def tomorrow(outlook: Outlook | None) -> str:
    """The next day in Wh and €: the nation in a sentence, and a table."""
    last = {label: rows[-1] for label, rows in outlook.tomorrow.items()} if outlook else {}
    if not last:
        return (
            '<p class="calm">No forecast yet: nation and tariffs are forecast once a week of slots '
            "has closed.</p>"
        )
    assert outlook is not None
    rows = sorted(last.values(), key=lambda row: (row.label != "nation", -row.total))
    cells = [
        (
            "The nation" if row.label == "nation" else plain(row.label.partition(":")[2]),
            figures.quantity(row.total, "Wh"),
            between(row.low, row.high, "Wh"),
            "" if row.money is None else figures.quantity(float(row.money.point), "€"),
            "" if row.money is None else between(float(row.money.low), float(row.money.high), "€"),
        )
        for row in rows
    ]
    caption = f"{outlook.day:%A} {outlook.day.day} {outlook.day:%B}, each with its 90 % interval"
    names = ("Curve", ">Energy", ">90 %", ">Amount", ">90 %")
    return _noted(rows[0]) + table(caption, names, cells)


def _noted(row: ForecastRow) -> str:
    said = []
    if row.money is None:
        said.append("No prices are known: wattstorm prices load FILE.")
    elif not row.money.settled:
        said.append("Not all prices have been announced; the usual ones stand in.")
    if row.asleep:
        lacking = ", ".join(row.missing)
        said.append(f"{len(row.asleep)} members of the model sleep, lacking {lacking}.")
    return f'<p class="calm">{escape(" ".join(said))}</p>' if said else ""


def between(low: float, high: float, unit: str) -> str:
    """
    >>> between(6_900_000_000, 7_512_000_000, "Wh")
    '6.90 to 7.51 GWh'
    """
    factor, name = figures.scale(high, unit)
    return f"{figures.digits(low / factor)} to {figures.digits(high / factor)} {name}"


def models(outlook: Outlook | None) -> str:
    """Which model said what is newest of each curve, and how good such forecasts have been."""
    by_label = {**outlook.today, **outlook.tomorrow} if outlook else {}
    if not by_label:
        return '<p class="calm">No forecast has been issued.</p>'
    cells = []
    for label, said in sorted(by_label.items()):
        row = said[-1]
        week = row.accuracy.get(7)
        cells.append(
            (
                plain(label.replace(":", " ")),
                name_of(row),
                "" if week is None else f"{week.ours:.2f} %",
                "" if week is None else f"{week.naive:.2f} %",
                ", ".join(row.missing),
            )
        )
    names = ("Curve", "Model", ">Error, 7 days", ">A week before", "Lacks")
    return table("Models of the newest forecasts", names, cells)
