"""What is said of a day's scores: the highest of each scope, how many at which level, alarms.

All of it is of single homes. Meters are named as the register names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from models.explain import RULES, explain
from models.score_book import Day
from wattstorm.metering.slots import date_of_day_number

if TYPE_CHECKING:
    from wattstorm.register.register import Register
    from wattstorm.setting_sections import Scores as Settings

LEVELS: Final = (0.05, 0.01, 0.001)
MOST_ALARMS: Final = 1000
"""Of one part of a partition and one day: the rest is counted, and no more than that."""

Ids = npt.NDArray[np.uint64]
Array = npt.NDArray[Any]


class Names:
    """A day's meters as the register names them. first: dense index of the first."""

    def __init__(self, register: Register, first: int, day: Day) -> None:
        n = len(day.states)
        self.ids = register.external_ids(first, first + n)
        known = day.classes < len(register.classes)
        self.tariff, self.region = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
        self.tariff[known] = register.classes.tariff[day.classes[known]]
        self.region[known] = register.classes.region[day.classes[known]]
        self.register = register

    def row(self, meter: int) -> dict[str, Any]:
        """What names one of them."""
        tariff, region = int(self.tariff[meter]), int(self.region[meter])
        return {
            "meter": int(self.ids[meter]),
            "tariff": self.register.tariffs[tariff] if tariff >= 0 else "",
            "region": self.register.regions[region] if region >= 0 else "",
        }

    def scopes(self) -> Iterator[tuple[str, Array]]:
        """(label, which meters) of the nation, each tariff and each region."""
        yield "nation", np.arange(len(self.ids))
        of = (
            ("tariff", self.tariff, self.register.tariffs),
            ("region", self.region, self.register.regions),
        )
        for kind, codes, names in of:
            for code in np.unique(codes[codes >= 0]).tolist():
                yield f"{kind}:{names[code]}", np.flatnonzero(codes == code)


def scopes_of(day: Day, names: Names, settings: Settings) -> dict[str, dict[str, Any]]:
    """Scope → its day: how many meters were scored, how many at which level, the highest."""
    rows: dict[int, dict[str, Any]] = {}
    said = {}
    for label, meters in names.scopes():
        rank = day.rank[meters]
        scored = meters[~np.isnan(rank)]
        top = highest(day.rank, scored, settings.top)
        for meter in top:
            if meter not in rows:
                rows[meter] = row_of(day, names, meter)
        p, rules = day.p[scored], day.scores.rules[meters]
        said[label] = {
            "day": str(date_of_day_number(day.segments.day)),
            "stretches": int((day.segments.slots > 0).any(axis=0).sum()),
            "meters": len(meters),
            "scored": len(scored),
            "at_most": {str(level): int((p <= level).sum()) for level in LEVELS},
            "rules": {rule: int((rules >> i & 1).sum()) for i, rule in enumerate(RULES)},
            "top": [rows[meter] for meter in top],
        }
    return said


def alarms_of(day: Day, names: Names, settings: Settings) -> dict[str, Any] | None:
    """The alarms of a closed day, the highest first; None where there are none."""
    raised = np.flatnonzero(~np.isnan(day.rank) & (day.p <= settings.alarm_p))
    if not raised.size:
        return None
    named = highest(day.rank, raised, MOST_ALARMS)
    return {
        "day": str(date_of_day_number(day.segments.day)),
        "raised": int(raised.size),
        "alarms": [row_of(day, names, meter) for meter in named],
    }


def row_of(day: Day, names: Names, meter: int) -> dict[str, Any]:
    """A meter's day: p, what it comes from."""
    why = explain(day.states, day.segments, day.scores, meter)
    p = float(day.p[meter])
    return {**names.row(meter), "p": float(f"{p:.3g}"), "kind": why.kind, "why": str(why)}


def highest(rank: Array, among: Array, most: int) -> list[int]:
    """The meters of `among` that rank highest, the highest first; of equals the first."""
    if len(among) > most:
        at = np.partition(rank[among], len(among) - most)[len(among) - most]
        among = among[rank[among] >= at]
    order = np.argsort(-rank[among], kind="stable")[:most]
    return [int(m) for m in among[order]]
