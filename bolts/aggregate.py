"""Readings in, exact sums by slot out: one commit a batch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bolts.minibatch import MinibatchBolt
from bolts.saving import Owned
from bolts.taking import apply_entry
from wattstorm.errors import BlockError
from wattstorm.metering import block as blocks
from wattstorm.metering.checks import OUTCOMES, WH_ACCEPTED, WH_REPLACED, Outcome
from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.log import Entry
from wattstorm.tuples import CHANGED_FIELDS

_NAMES = {int(outcome): outcome.name.lower() for outcome in Outcome}


@dataclass
class BatchAudit:
    """What became of a batch's readings, for the commit. by_day: by (UTC day, channel)."""

    total: Counter[str] = field(default_factory=Counter)
    by_day: dict[tuple[int, int], Counter[str]] = field(default_factory=dict)
    by_producer: dict[str, Counter[str]] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    poisoned: int = 0

    def refuse(self, entry: Entry, reason: str, what: str) -> None:
        """A block of which nothing is summed; nobody can count its readings."""
        self.total["refused_blocks"] += 1
        self.dead.append(DeadLetter(reason, entry.position, 0, entry.data, what))


class AggregateBolt(MinibatchBolt):
    """Checks, joins, recognises doubles, sums; commits partial sums of its partitions."""

    outputs = CHANGED_FIELDS

    def apply(self, own: Owned, entries: list[Entry]) -> BatchAudit:
        audit = BatchAudit()
        for entry in entries:
            became = apply_entry(own.state, entry)
            if isinstance(became, BlockError):
                audit.refuse(entry, became.reason, became.what)
                continue
            block, applied = became
            count(audit.by_producer.setdefault(block.producer, Counter()), applied.tally)
            for day, counters in applied.by_day.items():
                of_day = audit.by_day.setdefault((day, block.channel), Counter())
                count(of_day, counters[:OUTCOMES])
                of_day["wh_accepted"] += int(counters[WH_ACCEPTED])
                of_day["wh_replaced"] += int(counters[WH_REPLACED])
            for outcome, part in applied.rejected:
                what = f"producer {block.producer}, block {block.number}"
                audit.dead.append(
                    DeadLetter(
                        _NAMES[outcome], entry.position, part.wh.size, blocks.encode(part), what
                    )
                )
        for counts in audit.by_producer.values():
            audit.total.update(counts)
        audit.total.update(batches=1, blocks=len(entries))
        return audit

    def poison(self, own: Owned, entry: Entry, what: str) -> BatchAudit:
        audit = BatchAudit(poisoned=entry.position)
        own.state.refuse(entry.position)
        audit.refuse(entry, "poison", what)
        audit.total.update(poison_blocks=1, batches=1, blocks=1)
        return audit

    def commit(self, own: Owned, fence: int, entries: list[Entry], commit: BatchAudit) -> None:
        own.store.commit(
            own.token,
            fence,
            entries[-1].position,
            committed_bytes=sum(len(entry.data) for entry in entries),
            highest=own.state.highest,
            partials={key: sums.to_bytes() for key, sums in own.state.changes().items()},
            audit=commit.total,
            by_day=commit.by_day,
            by_producer=commit.by_producer,
            dead=commit.dead,
            poisoned=commit.poisoned,
            chain=entries[-1].chain,
            lows=own.state.lows(),
        )

    def announce(self, own: Owned) -> None:
        # Anchored to nothing: what to publish stands in the store, and no batch waits for it.
        self.emit((own.state.number, own.state.position), anchors=[])


def count(counts: Counter[str], tally: Any) -> None:
    """Add int64[OUTCOMES] to counters by outcome name, and to `received`."""
    assert len(tally) == OUTCOMES
    for code in np.flatnonzero(tally):
        counts[_NAMES[int(code)]] += int(tally[code])
    counts["received"] += int(tally.sum())
