"""The noun "health": what became of every reading, how far the stream is, and who works on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from wattstorm.metering.balance import DayBalance
from wattstorm.metering.block import Channel
from wattstorm.readers.accounts import Conservation, Health, PartitionLag
from wattstorm.readers.reader import Reader
from wattstorm.store.daycounters import NAMES
from wattstorm.store.deadletters import DeadAccount

_DAYS_AT_ONCE = 32


class HealthReader(Reader):
    """Accounts, lag and processes of the stream."""

    def conservation(self) -> Conservation:
        """What became of all readings: the audit of all partitions, and the rows refused before."""
        heads = self._all.log.statuses(self.partitions)
        return Conservation.of(
            self.audit(), self._all.intake.counts(), sum(head.shed_readings for head in heads)
        )

    def audit(self) -> dict[str, int]:
        """Counters of the stream: received, each outcome, batches, blocks and so on."""
        return self._all.results.audit(self.partitions)

    def balances(self, days: Sequence[int] | None = None) -> list[DayBalance]:
        """What the counters of each UTC day and channel say, beside what its curves hold.

        days: UTC days since the epoch; None: all with results. Days that change while they are
        looked at, or wait to be published, are left out: ask again. The counters of a day
        outlive its results by a month; a partition that lagged by more could be missed here.
        """
        days = self._all.results.days() if days is None else days
        found: list[DayBalance] = []
        for at in range(0, len(days), _DAYS_AT_ONCE):
            found += self._balanced(days[at : at + _DAYS_AT_ONCE])
        return found

    def lag(self) -> list[PartitionLag]:
        """How far each partition's sums are behind its log."""
        heads = self._all.log.statuses(self.partitions)
        fences = self._all.results.fences(self.partitions).stamp.tolist()
        faults = self._all.results.faults(self.partitions)
        return [
            PartitionLag(
                p, head.tail, fence, max(0, head.appended - head.committed), faults.get(p, "")
            )
            for p, head, fence in zip(self.partitions, heads, fences, strict=True)
        ]

    def dead_letters(self) -> DeadAccount:
        """What is held of all that was refused, by the stream and by ingest, and what fell
        out at the bound."""
        return self._all.dead.account(self.partitions) + self._all.intake.account()

    def beats(self) -> list[dict[str, Any]]:
        """The heartbeat of each process of the stream: see `wattstorm.store.workers`."""
        return self._all.beats()

    def health(self) -> Health:
        info = self.connection.check()
        return Health(
            info.product,
            info.aof,
            info.warnings,
            tuple(self._all.beats()),
            sum(lag.waiting_blocks for lag in self.lag()),
            self.dead_letters().held,
        )

    def _balanced(self, days: Sequence[int]) -> Iterator[DayBalance]:
        """In this order a look cannot be torn: where the counters are the same at its end, no sum
        moved meanwhile; what was not dirty after its begin was published then, and stays so."""
        counters = self._all.day_counters
        per_day = self.calendar.grid.per_day
        before = counters.read(days, self.partitions)
        dirty = {(slot // per_day, c) for c, slot in self._all.results.dirty(self.partitions)}
        curves = self._whole(days)
        after = counters.read(days, self.partitions)
        for of, parts in before.items():
            total = Counter({name: sum(part[name] for part in parts) for name in NAMES})
            if parts != after[of] or of in dirty or not (any(total.values()) or of in curves):
                continue
            readings, wh = curves.get(of, (0, 0))
            yield DayBalance.of(*of, total, readings_in_curves=readings, wh_in_curves=wh)

    def _whole(self, days: Sequence[int]) -> dict[tuple[int, int], tuple[int, int]]:
        """(UTC day, channel) → (readings, Wh) of the scopes that are the register together."""
        labels = self.labels or ["nation"]
        kind = "nation" if "nation" in labels else labels[0].partition(":")[0]
        total: dict[tuple[int, int], tuple[int, int]] = {}
        for channel in Channel:
            whole = [label for label in labels if label.partition(":")[0] == kind]
            for rows in self._all.results.curves(int(channel), whole, days).values():
                for slot, row in rows.items():
                    of = slot // self.calendar.grid.per_day, int(channel)
                    n, wh = total.get(of, (0, 0))
                    total[of] = n + row.readings, wh + row.wh
        return total
