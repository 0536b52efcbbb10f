"""What the page says about itself: the pill in its head, and the banner when something is amiss."""

from __future__ import annotations

from html import escape

from wattstorm.serve.page import figures
from wattstorm.serve.page.now import AWAY, EMPTY, LIVE, STALE, STARTING, STOPPED, Now

NAMES = {
    STARTING: "Starting",
    EMPTY: "No results yet",
    LIVE: "Live",
    STALE: "Stale",
    STOPPED: "Engine stopped",
    AWAY: "Store away",
}
SIGNS = {STARTING: "◌", EMPTY: "◌", LIVE: "●", STALE: "▲", STOPPED: "■", AWAY: "✕"}


def pill(now: Now) -> str:
    """The state in a word, with a sign that does not need colour.

    >>> pill(Now(AWAY, "gone"))
    '<span class="pill away"><span aria-hidden="true">✕</span> Store away</span>'
    """
    return (
        f'<span class="pill {now.state}"><span aria-hidden="true">{SIGNS[now.state]}</span> '
        f"{NAMES[now.state]}</span>"
    )


def banner(now: Now) -> str:
    """What is amiss, since when, and what to do; "" if nothing is."""
    since = f"The newest change was {figures.ago(now.quiet_s)}."
    said = {
        STARTING: ("Looking for the store …", ""),
        EMPTY: ("The store holds no results yet.", "They appear here with the first reading."),
        STALE: ("These figures are old.", f"{since} Readings do not arrive; is their source up?"),
        STOPPED: ("No engine runs.", f"Start it: wattstorm run. {since}"),
        AWAY: (
            "The store is away.",
            f"What is shown is as it was; the page goes on by itself. {now.why}",
        ),
    }.get(now.state)
    if said is None:
        return ""
    return f'<div class="banner {now.state}"><strong>{said[0]}</strong> {escape(said[1])}</div>'
