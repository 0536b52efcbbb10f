"""The noun "scores": whose behaviour changed, by scope; alarms; and one meter, on demand.

All of it is of single homes: a user of the store needs the right to (docs/security.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wattstorm.errors import DataError, UsageError
from wattstorm.metering.parts import firsts
from wattstorm.readers.reader import Reader
from wattstorm.store.scores import ScoreStore

if TYPE_CHECKING:
    from models.insights import Insights


@dataclass(frozen=True)
class Scored:
    """A meter's day. p: how often a usual day is as odd, among its peers; kind: more, less, moved,
    dead, flat, stuck or spike; why: the stretches that weigh most, in Wh."""

    meter: int
    tariff: str
    region: str
    day: date
    p: float
    kind: str
    why: str


@dataclass(frozen=True)
class ScopeScores:
    """A scope's day. running: it has not closed, `stretches` of eight have come; scored: meters
    that have a p-value; at_most: p → how many have that or less; rules: how many each fires for."""

    scope: str
    day: date
    running: bool
    stretches: int
    meters: int
    scored: int
    at_most: dict[float, int]
    rules: dict[str, int]
    top: tuple[Scored, ...]


@dataclass(frozen=True)
class MeterScore:
    """One meter, as its partition's last snapshot has it. history: the last closed days, the newest
    first, p in steps of a quarter, None where nothing could be said; today: the running day."""

    meter: int
    tariff: str
    region: str
    closed: date | None
    history: tuple[float | None, ...]
    insights: Insights
    today: Scored | None
    alarms: tuple[Scored, ...]


class ScoreReader(Reader):
    """See the module."""

    def scores(self, scope: str = "nation", *, running: bool = False, top: int = 20) -> ScopeScores:
        """A scope's last closed day, or its running one. scope: "nation", "tariff:base_6",
        "region:north". DataError if nothing was scored."""
        self._check_labels([scope])
        size = int(self._card.get("partition_size", 0))
        store = ScoreStore(self.connection, self.settings.store.prefix)
        found = store.scopes(self.partitions, firsts(size), scope, running)
        if not found:
            raise DataError(
                f"nothing is scored of {scope}",
                "set scores.enabled, and run: a day is scored when it leaves the open days",
            )
        day = max(part["day"] for part in found)
        parts = [part for part in found if part["day"] == day]
        rows = sorted((row for part in parts for row in part["top"]), key=lambda row: row["p"])
        return ScopeScores(
            scope,
            date.fromisoformat(day),
            running,
            max(part["stretches"] for part in parts),
            sum(part["meters"] for part in parts),
            sum(part["scored"] for part in parts),
            {float(p): sum(part["at_most"][p] for part in parts) for p in parts[0]["at_most"]},
            {rule: sum(part["rules"][rule] for part in parts) for rule in parts[0]["rules"]},
            tuple(scored_of(day, row) for row in rows[:top]),
        )

    def score_alarms(self, since: date | None = None) -> list[Scored]:
        """The alarms that their log still holds, by day, the highest first."""
        store = ScoreStore(self.connection, self.settings.store.prefix)
        found = [
            scored_of(each.said["day"], row)
            for each in store.alarms(self.partitions)
            for row in each.said["alarms"]
        ]
        kept = [row for row in found if since is None or row.day >= since]
        return sorted(kept, key=lambda row: (row.day, row.p, row.meter))

    def meter(self, meter: int) -> MeterScore:
        """One meter: its curve as symbols, its last days, why, what its bytes say of the household.

        Out of the snapshot in the state directory of the machine that scores; DataError elsewhere.
        """
        # With compiled kernels, which other readers need not load.
        from wattstorm.readers.meter import meter_score
        from wattstorm.register.register import Register

        raised = tuple(row for row in self.score_alarms() if row.meter == meter)
        directory = Path(self.settings.data.directory)
        register = Register.open(directory / "register")
        dense = int(register.lookup(np.array([max(meter, 0)], np.uint64))[0])
        if dense < 0:
            raise UsageError(f"the register has no meter {meter}", "wattstorm register info")
        partition, at = divmod(dense, register.partition_size)
        store = ScoreStore(self.connection, self.settings.store.prefix)
        found = store.state(directory / "state", partition)
        if found is None:
            raise DataError(
                f"no snapshot of the scores of partition {partition} is in {directory}",
                "ask on the machine that scores, with scores.enabled, once it has saved",
            )
        return meter_score(meter, at, register, raised, *found)


def days_back(closed: date, history: tuple[float | None, ...]) -> list[tuple[date, float | None]]:
    """Each day of a history with its p."""
    return [(closed - timedelta(back), p) for back, p in enumerate(history)]


def scored_of(day: str, row: dict[str, Any]) -> Scored:
    names = row["meter"], row["tariff"], row["region"]
    return Scored(*names, date.fromisoformat(day), row["p"], row["kind"], row["why"])
