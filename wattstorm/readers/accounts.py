"""What became of every reading, how far the stream is behind, and who works on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from wattstorm.metering.balance import DayBalance
from wattstorm.metering.block import Channel
from wattstorm.metering.checks import ACCEPTED, DOUBLES, REJECTED, Outcome

EPOCH: Final = date(1970, 1, 1).toordinal()
SHED = "shed"
"""Reason of readings that a producer dropped at the backlog bound, as it was told to."""


def _sum(counts: Mapping[str, int], outcomes: tuple[Outcome, ...]) -> int:
    return sum(counts.get(outcome.name.lower(), 0) for outcome in outcomes)


@dataclass(frozen=True)
class Conservation:
    """received = accepted + rejected + doubles, of all that the stream has dealt with.

    conflicts: readings whose meter and slot had another value of the same version; the larger
    counts, so some are among the accepted (won) and the others among the doubles (lost).
    rejected: by reason, found at ingest or in the stream. refused_blocks: log entries
    that could not be decoded, or that no bolt could bear (poison_blocks of them):
    their readings are in no figure of the equation.

    >>> audit = {"received": 7, "new": 4, "double": 2, "too_old": 1}
    >>> account = Conservation.of(audit, {"received": 8, "unreadable": 1})
    >>> account.line(), account.holds
    ('received 8 = accepted 4 + rejected 2 (too_old 1, unreadable 1) + doubles 2', True)
    >>> Conservation.of({"received": 3, "new": 1, "conflict_won": 1, "conflict_lost": 1}).line()
    'received 3 = accepted 2 (1 conflicts) + rejected 0 + doubles 1 (1 conflicts)'
    >>> Conservation.of({"refused_blocks": 3, "poison_blocks": 1}).line()
    'received 0 = accepted 0 + rejected 0 + doubles 0, without 3 refused blocks (1 poison)'
    """

    received: int
    accepted: int
    doubles: int
    rejected: Mapping[str, int]
    refused_blocks: int = 0
    poison_blocks: int = 0
    conflicts_won: int = 0
    conflicts_lost: int = 0

    @classmethod
    def of(
        cls, audit: Mapping[str, int], ingest: Mapping[str, int] | None = None, shed: int = 0
    ) -> Conservation:
        """Out of the counters of the audit, of the ingest's refused rows, and what was shed."""
        ingest = ingest or {}
        rejected = {}
        for outcome in REJECTED:
            name = outcome.name.lower()
            if n := audit.get(name, 0) + ingest.get(name, 0):
                rejected[name] = n
        if shed:
            rejected[SHED] = shed
        before = sum(n for name, n in ingest.items() if name != "received")
        return cls(
            audit.get("received", 0) + before + shed,
            _sum(audit, ACCEPTED),
            _sum(audit, DOUBLES),
            rejected,
            audit.get("refused_blocks", 0),
            audit.get("poison_blocks", 0),
            audit.get("conflict_won", 0),
            audit.get("conflict_lost", 0),
        )

    @property
    def conflicts(self) -> int:
        return self.conflicts_won + self.conflicts_lost

    @property
    def holds(self) -> bool:
        return self.received == self.accepted + sum(self.rejected.values()) + self.doubles

    def line(self) -> str:
        """The equation, "≠" where it does not hold, and the blocks that are not in it."""
        reasons = ", ".join(f"{name} {n:,}" for name, n in self.rejected.items())
        rejected = f"{sum(self.rejected.values()):,}" + (f" ({reasons})" if reasons else "")
        return (
            f"received {self.received:,} {'=' if self.holds else '≠'} "
            f"accepted {self.accepted:,}{_of_them(self.conflicts_won)} + rejected {rejected} + "
            f"doubles {self.doubles:,}{_of_them(self.conflicts_lost)}{self._without()}"
        )

    def _without(self) -> str:
        if not self.refused_blocks:
            return ""
        poison = f" ({self.poison_blocks:,} poison)" if self.poison_blocks else ""
        return f", without {self.refused_blocks:,} refused blocks{poison}"

    def as_dict(self) -> dict[str, Any]:
        plain = {**vars(self), "rejected": dict(self.rejected)}
        return {**plain, "conflicts": self.conflicts, "holds": self.holds}


def _of_them(conflicts: int) -> str:
    return f" ({conflicts:,} conflicts)" if conflicts else ""


def balance_line(balances: Sequence[DayBalance], most: int = 3) -> str:
    """Whether the curves hold what the counters say they must; the first days where not.

    >>> good, bad = DayBalance(19_700, 0, 3, 3, 70, 70), DayBalance(19_701, 1, 3, 4, 70, 65)
    >>> balance_line([good])
    'curves = counters on 1 days'
    >>> balance_line([good, bad])
    'curves ≠ counters on 1 of 2 days: 2023-12-10 export +1 readings, -5 Wh in the curves'
    """
    wrong = [balance for balance in balances if not balance.holds]
    if not wrong:
        return f"curves = counters on {len(balances):,} days"
    told = [
        f"{date.fromordinal(EPOCH + balance.day)} {Channel(balance.channel).name.lower()} "
        f"{-balance.readings_missing:+,} readings, {-balance.wh_missing:+,} Wh in the curves"
        for balance in wrong[:most]
    ]
    more = ["…"] if len(wrong) > most else []
    return f"curves ≠ counters on {len(wrong):,} of {len(balances):,} days: " + "; ".join(
        told + more
    )


@dataclass(frozen=True)
class PartitionLag:
    """tail: last position of the log; fence: last one in the sums; bytes of the blocks between;
    fault: why the partition stands still, "" if it does not."""

    partition: int
    tail: int
    fence: int
    waiting_bytes: int
    fault: str = ""

    @property
    def waiting_blocks(self) -> int:
        return max(0, self.tail - self.fence)


@dataclass(frozen=True)
class Health:
    """store: product and version; running: an engine gave a sign of life lately."""

    store: str
    append_only: bool
    warnings: tuple[str, ...]
    workers: tuple[dict[str, Any], ...]
    waiting_blocks: int
    dead_letters: int

    @property
    def running(self) -> bool:
        return any(worker["alive"] for worker in self.workers)
