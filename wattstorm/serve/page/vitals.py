"""How the stream is doing, as plain values: asked every second or two, for all clients at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattstorm.metering.balance import DayBalance
from wattstorm.readers.accounts import Conservation, PartitionLag, balance_line
from wattstorm.readers.results import Results
from wattstorm.store.store import Store

BALANCED_S = 10.0
"""How often the newest days' curves are compared with their counters."""
BALANCED_DAYS = 4
_RATE_S = 5.0
"""Rates are means over so long."""


@dataclass(frozen=True)
class Vitals:
    """at: monotonic s; rates: readings/s and batches/s, None before two looks."""

    at: float
    store: str
    address: str
    append_only: bool
    warnings: tuple[str, ...]
    workers: tuple[Mapping[str, Any], ...]
    lags: tuple[PartitionLag, ...]
    account: Conservation
    audit: Mapping[str, int]
    balances: tuple[DayBalance, ...]
    letters: tuple[int, int]
    rates: tuple[float, float] | None = None

    @property
    def running(self) -> bool:
        """An engine gave a sign of life lately."""
        return any(worker["alive"] for worker in self.workers)

    @property
    def waiting_blocks(self) -> int:
        return sum(lag.waiting_blocks for lag in self.lags)

    @property
    def balance(self) -> str:
        return balance_line(self.balances)

    def slowest(self) -> list[tuple[str, str, float, float]]:
        """(task, what it waits for, p50 ms, p99 ms) of all tasks alive, slowest first."""
        rows = [
            (str(worker["worker"]), str(name), float(ms["p50"]), float(ms["p99"]))
            for worker in self.workers
            if worker["alive"]
            for name, ms in ((worker.get("instruments") or {}).get("ms") or {}).items()
            if ms.get("n")
        ]
        return sorted(rows, key=lambda row: -row[3])


@dataclass
class Pulse:
    """Looks at the store again and again; remembers what rates and balances need."""

    looks: list[tuple[float, int, int]] = field(default_factory=list)
    balances: tuple[DayBalance, ...] = ()
    balanced: float = -BALANCED_S

    def take(self, results: Results) -> Vitals:
        info = results.connection.check()
        store = Store(results.connection, results.settings.store.prefix)
        audit, lags = results.audit(), results.lag()
        account, letters = results.conservation(), results.dead_letters()
        now = time.monotonic()
        if now - self.balanced >= BALANCED_S:
            self.balances = tuple(results.balances(results.utc_days()[-BALANCED_DAYS:]))
            self.balanced = now
        return Vitals(
            now,
            info.product,
            results.connection.address,
            info.aof,
            info.warnings,
            tuple(store.beats()),
            tuple(lags),
            account,
            audit,
            self.balances,
            (letters.held, letters.dropped),
            self._rates(now, audit),
        )

    def _rates(self, now: float, audit: Mapping[str, int]) -> tuple[float, float] | None:
        self.looks.append((now, audit.get("received", 0), audit.get("batches", 0)))
        while len(self.looks) > 2 and now - self.looks[1][0] >= _RATE_S:
            del self.looks[0]
        at, received, batches = self.looks[0]
        took = now - at
        if took <= 0 or self.looks[-1][1] < received:
            return None
        return (self.looks[-1][1] - received) / took, (self.looks[-1][2] - batches) / took


def alarms(vitals: Vitals) -> Sequence[tuple[str, str]]:
    """(what, why and what to do) of the stream itself; docs/operate.md has more of each."""
    found = [
        (f"Partition {lag.partition} stands still", lag.fault) for lag in vitals.lags if lag.fault
    ]
    if not vitals.account.holds:
        found.append(("Readings are unaccounted for", vitals.account.line()))
    if not all(balance.holds for balance in vitals.balances):
        found.append(("Curves are not what was counted", vitals.balance))
    dead = [worker["worker"] for worker in vitals.workers if not worker["alive"]]
    if dead and vitals.running:
        found.append(
            (f"{len(dead)} of {len(vitals.workers)} tasks fell silent", ", ".join(map(str, dead)))
        )
    return found
