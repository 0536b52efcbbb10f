"""`Now`: everything that the page shows, frozen at a moment; one for all clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wattstorm.serve.page.outlook import Outlook
from wattstorm.serve.page.views import ScopeView
from wattstorm.serve.page.vitals import Vitals, alarms

STARTING, EMPTY, LIVE, STALE, STOPPED, AWAY = (
    "starting",
    "empty",
    "live",
    "stale",
    "stopped",
    "away",
)
MISSING = 0.05
"""Share of a region's meters that may be missing beyond the nation's own before it is an alarm."""
BEHIND = 4
"""Blocks that wait per partition while it is not asked whether readings are missing."""
LOOKED_AT, FILLING = 4, 2
"""Slots over which that is looked at, behind the newest ones, which may still fill."""


@dataclass(frozen=True)
class Alarm:
    """title: what; why: out of which figures."""

    title: str
    why: str


@dataclass(frozen=True)
class Now:
    """state: one of those above; why: of a store that is away; views: by label, {} before the
    first reading; changed_ms: when a slot changed last, by the store's clock, 0: unknown;
    clock_ms: the store's clock at `vitals`; time_zone: of the local days; outlook: forecasts."""

    state: str = STARTING
    why: str = ""
    views: Mapping[str, ScopeView] = field(default_factory=dict)
    vitals: Vitals | None = None
    changed_ms: int = 0
    clock_ms: int = 0
    time_zone: str = ""
    outlook: Outlook | None = None

    @property
    def quiet_s(self) -> float:
        """Seconds without a change of any slot."""
        return max(0.0, (self.clock_ms - self.changed_ms) / 1000) if self.changed_ms else 0.0

    @property
    def alarms(self) -> list[Alarm]:
        """What a person has to look at, with why."""
        if self.vitals is None:
            return []
        found = [Alarm(*alarm) for alarm in alarms(self.vitals)]
        # What waits in the log is not missing.
        behind = self.vitals.waiting_blocks > BEHIND * len(self.vitals.lags)
        return found if behind else found + missing_data(self.views)


def missing_data(views: Mapping[str, ScopeView]) -> list[Alarm]:
    """Regions and tariffs that miss many more meters than the nation, in the newest slots that are
    closed."""
    nation = views.get("nation")
    if nation is None:
        return []
    found = []
    for view in views.values():
        ours, whole = _recent(view), _recent(nation)
        if view is nation or ours is None or whole is None or whole[0] - ours[0] < MISSING:
            continue
        part, since = ours
        found.append(
            Alarm(
                f"{view.kind.capitalize()} {view.name}: readings are missing",
                f"{part:.1%} of its meters have reported since {since}, of all meters "
                f"{whole[0]:.1%}",
            )
        )
    return found


def _recent(view: ScopeView) -> tuple[float, str] | None:
    """Coverage over the slots looked at, and when the first of them began."""
    rows = [(clock, row) for clock, row in zip(view.clocks, view.rows, strict=True) if row]
    rows = rows[-LOOKED_AT - FILLING : -FILLING]
    expected = sum(row.expected for _, row in rows)
    if not expected:
        return None
    return sum(row.readings for _, row in rows) / expected, rows[0][0]
