"""The parts of the nation's page as HTML, out of `Now`: pure, escaped, with a table for each
picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from wattstorm.serve.page import figures
from wattstorm.serve.page.now import Alarm, Now
from wattstorm.serve.page.tables import plain, table
from wattstorm.serve.page.views import Line, ScopeView, ranked

SPARK = (120, 34)
"""Width and height of a small curve."""


def title(view: ScopeView) -> str:
    """The scope in words."""
    return "The nation" if view.kind == "nation" else f"{view.kind.capitalize()} {plain(view.name)}"


def link(view: ScopeView) -> str:
    return "/" if view.kind == "nation" else f"/?of={quote(view.label)}"


def hero(view: ScopeView) -> str:
    """The newest slot in figures."""
    if view.at is None:
        return f'<p class="big">{figures.NOTHING}</p><p class="when">no slot is covered yet</p>'
    begin = view.clocks[view.at]
    after = view.clocks[(view.at + 1) % len(view.clocks)]
    day = f"{view.day:%A} {view.day.day} {view.day:%B %Y}"
    number, unit = figures.quantity(view.power, "W").rsplit(" ", 1)
    return (
        f'<p class="big">{number}<small>{unit}</small></p>'
        f'<p class="when"><time datetime="{view.day}T{begin}">{begin} to {after}</time>, {day}</p>'
    )


def tiles(view: ScopeView) -> str:
    """What it is compared with."""
    week = view.energy_against(view.last_week)
    filling = _filling(view)
    rows = [
        ("Yesterday", figures.change(view.power, view.then(view.yesterday)), "same time"),
        ("A week ago", figures.change(view.power, view.then(view.last_week)), "same time"),
        (
            "Energy today",
            figures.quantity(view.energy_wh, "Wh"),
            f"{figures.change(*week)} on a week ago" if week[1] else "so far",
        ),
        ("Coverage today", figures.share(view.closed_coverage, 2), filling),
        ("Forecast error", *_error(view)),
    ]
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
        for name, value, note in rows
    )


def _error(view: ScopeView) -> tuple[str, str]:
    """The forecast's, and that of the curve of a week ago."""
    if view.foreseen is None:
        return figures.NOTHING, "no forecast yet"
    week = figures.share(view.error(view.last_week))
    return figures.share(view.error(view.foreseen.point)), f"so far (last week's curve {week})"


def _filling(view: ScopeView) -> str:
    """Of how many meters, and which slot is filling."""
    places = [place for place, row in enumerate(view.rows) if row]
    meters = f"{figures.count(view.meters)} meters"
    if not places or (row := view.rows[places[-1]]) is None or row.final:
        return meters
    return f"{view.clocks[places[-1]]}: {figures.share(row.coverage)} of {meters}"


def spark(view: ScopeView) -> str:
    """A small curve: today on top of a week ago. Decoration: the figures stand beside it."""
    values = [v for line in (view.measured, view.last_week) for v in line if v is not None]
    if not values or max(values) == min(values):
        return ""
    between = min(values), max(values)
    width, height = SPARK
    return (
        f'<svg class="spark" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'aria-hidden="true"><path class="week" d="{_path(view.last_week, *between)}"/>'
        f'<path class="today" d="{_path(view.measured, *between)}"/></svg>'
    )


def _path(line: Line, least: float, most: float) -> str:
    """
    >>> _path([1.0, None, 2.0, 1.0], 1.0, 2.0)
    'M0 32M80 2L120 32'
    """
    width, height = SPARK
    step = width / max(1, len(line) - 1)
    drawn, down = [], False
    for place, value in enumerate(line):
        if value is not None:
            y = height - 2 - (height - 4) * (value - least) / (most - least)
            drawn.append(f"{'L' if down else 'M'}{place * step:.4g} {y:.4g}")
        down = value is not None
    return "".join(drawn)


def tariffs(now: Now, chosen: str) -> str:
    """A card for each tariff."""
    views = ranked(now.views, "tariff")
    total = sum(view.energy_wh for view in views) or 1
    return "".join(
        f'<li><a href="{link(view)}"{_current(view, chosen)}>'
        f'<span class="name">{escape(plain(view.name))}</span>'
        f"<strong>{figures.quantity(view.power, 'W')}</strong>{spark(view)}"
        f"<small>{figures.share(view.energy_wh / total)} of today's energy"
        f"<br>{_against(view)} on a week ago</small></a></li>"
        for view in views
    )


def regions(now: Now, chosen: str) -> str:
    """A ranking with bars."""
    views = ranked(now.views, "region")
    most = max((view.energy_wh for view in views), default=0) or 1
    rows = [
        (
            f'<a href="{link(view)}"{_current(view, chosen)}>{escape(plain(view.name))}</a>'
            f'<span class="bar" style="--part:{view.energy_wh / most:.4f}"></span>',
            figures.quantity(view.power, "W"),
            figures.quantity(view.energy_wh, "Wh"),
            _against(view),
            figures.share(view.closed_coverage),
        )
        for view in views
    ]
    return table(
        "Regions by their energy today",
        ("Region", ">Now", ">Today", ">A week ago", ">Coverage"),
        rows,
        raw=True,
    )


def _against(view: ScopeView) -> str:
    return figures.change(*view.energy_against(view.last_week))


def _current(view: ScopeView, chosen: str) -> str:
    return ' aria-current="page"' if view.label == chosen else ""


def curve_table(view: ScopeView) -> str:
    """All that the chart shows, in figures."""
    rows = []
    for place, (clock, row) in enumerate(zip(view.clocks, view.rows, strict=True)):
        foreseen = view.foreseen.point[place] if view.foreseen else None
        rows.append(
            (
                clock,
                figures.quantity(row.wh if row else None, "Wh"),
                figures.quantity(view.measured[place], "W"),
                figures.quantity(view.yesterday[place], "W"),
                figures.quantity(view.last_week[place], "W"),
                figures.quantity(foreseen, "W"),
                figures.share(row.coverage if row else None, 2),
                row.status if row else "",
                str(row.revision) if row else "",
            )
        )
    names = ("Slot", ">Energy", ">Power", ">Yesterday", ">A week ago", ">Forecast", ">Coverage")
    return table(f"{title(view)}, {view.day}", (*names, "Status", ">Revision"), rows)


def alarms(found: Sequence[Alarm]) -> str:
    """What has to be looked at."""
    if not found:
        return '<p class="calm">No alarm.</p>'
    return (
        "<ul>"
        + "".join(
            f"<li><strong>{escape(alarm.title)}</strong><span>{escape(alarm.why)}</span></li>"
            for alarm in found
        )
        + "</ul>"
    )
