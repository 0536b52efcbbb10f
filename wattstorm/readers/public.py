"""`Public`: the client for those who may not see single meters.

What it leaves out follows the store's card, which the engine writes: curves whose totals would
show a few meters, by themselves or by a difference (`metering.disclosure`); and of the others each
slot in which fewer meters than that have reported so far, with all curves but the nation's of that
slot, as it could be told by the difference. What is left out looks as if it had not come yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from wattstorm.errors import UsageError
from wattstorm.metering.results import SlotResult
from wattstorm.readers.change import Change
from wattstorm.readers.results import Results
from wattstorm.store.curves import Published
from wattstorm.store.log import Entry

_SLOT, _READINGS = 0, 2
NATION = "nation"


class Public(Results):
    """`Results` without what is of few meters."""

    @property
    def labels(self) -> list[str]:
        held = set(self.withheld)
        return [label for label in super().labels if label not in held]

    @property
    def withheld(self) -> list[str]:
        """Curves that are not shown."""
        return list(json.loads(self._card.get("withheld", "[]")))

    @property
    def group_size(self) -> int:
        return int(self._card.get("group_size", 1))

    def shown(self, rows: Mapping[str, SlotResult]) -> dict[str, SlotResult]:
        known, least = set(self.labels), self.group_size
        mine = {label: row for label, row in rows.items() if label in known}
        if any(0 < row.readings < least for row in mine.values()):
            mine = {NATION: mine[NATION]} if NATION in mine else {}
        return {label: row for label, row in mine.items() if not 0 < row.readings < least}

    # ------------------------------------------------------------ inside

    def _check_labels(self, labels: Sequence[str]) -> None:
        held = set(self.withheld)
        for label in labels:
            if label in held:
                raise UsageError(
                    f"the curve {label!r} is withheld: it, or what it would tell, is of fewer than "
                    f"{self.group_size} meters, or one meter dominates it",
                    "who may see single meters sees it; privacy.group_size is the rule",
                )
        super()._check_labels(labels)

    def _read(
        self, labels: Sequence[str] | None, utc_days: Iterable[int], channel: str
    ) -> tuple[Published, list[str]]:
        """All curves are read, whatever is asked: a slot is left out for any that is too small."""
        utc_days = list(utc_days)
        if labels is not None:
            self._check_labels(labels)
        found, known = super()._read(None, utc_days, channel)
        least = self.group_size
        small = [
            rows[(rows[:, _READINGS] > 0) & (rows[:, _READINGS] < least), _SLOT]
            for rows in found.rows.values()
        ]
        few = np.unique(np.concatenate(small)) if small else np.empty(0, np.int64)
        shown = {
            label: rows[
                (rows[:, _READINGS] == 0) | (rows[:, _READINGS] >= least)
                if label == NATION
                else ~np.isin(rows[:, _SLOT], few)
            ]
            for label, rows in found.rows.items()
        }
        return found._replace(rows=shown), known if labels is None else list(labels)

    def _change(self, entry: Entry, gap: bool) -> Change:
        change = super()._change(entry, gap)
        return replace(change, rows=self.shown(change.rows))
