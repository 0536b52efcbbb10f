"""What the stream published, against what the generator's ledger says it must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wattstorm.metering.aggregates import Scopes, SlotSums
from wattstorm.metering.checks import Outcome
from wattstorm.readers.results import Results
from wattstorm.register.register import Register

if TYPE_CHECKING:
    from generator.feed.ledger import Truth


@dataclass(frozen=True)
class Verdict:
    """values: published (slot, scope) pairs compared; wrong: those that differ, in Wh or in
    readings; counts: outcome → (counted by the stream, foretold by the ledger)."""

    values: int
    wrong: int
    counts: dict[str, tuple[int, int]]

    @property
    def holds(self) -> bool:
        return self.wrong == 0 and all(a == b for a, b in self.counts.values())


def compare(results: Results, register: Register, truth: Truth) -> Verdict:
    """Every slot of every curve, and every outcome that a reading can have."""
    scopes = Scopes(register, results.settings.stream.scopes)
    rolled = [
        scopes.roll_up(SlotSums(wh, n, 0)) for wh, n in zip(truth.wh, truth.readings, strict=True)
    ]
    wanted = np.array(rolled)  # [slots, (wh, readings), scopes]
    days = [results.calendar.date_of(truth.first + at) for at in (0, len(rolled) - 1)]
    wrong = 0
    for i, label in enumerate(scopes.labels()):
        found = np.zeros((len(rolled), 2), np.int64)
        curve = results.curve(label, days[0], days[1])
        at = curve.slots - truth.first
        there = curve.published & (at >= 0) & (at < len(rolled))
        found[at[there]] = np.stack([curve.wh, curve.readings], axis=1)[there]
        wrong += int((found != wanted[:, :, i]).any(axis=1).sum())
    audit = results.audit()
    names = sorted({*truth.counts, *(n for o in Outcome if audit.get(n := o.name.lower()))})
    counts = {name: (audit.get(name, 0), truth.counts.get(name, 0)) for name in names}
    counts["received"] = audit.get("received", 0), truth.received
    return Verdict(len(rolled) * len(scopes.labels()), wrong, counts)
