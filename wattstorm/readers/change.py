"""One change of a published slot, as readers follow them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from wattstorm.metering.results import SlotResult


@dataclass(frozen=True, slots=True)
class Change:
    """Results of one slot that changed, or became final.

    id: where it stands in the log of slots; `follow` goes on behind it. at: when it was
    published, by the store's clock; slot: number since the epoch; start: UTC; revision: the
    highest of its rows; final: whether all of its scopes are; rows: by label. gap: what was
    published between this and the change before it was not seen, as the log did not hold it any
    more or the store went back: read the curves anew.
    """

    id: str
    at: datetime
    channel: str
    slot: int
    start: datetime
    revision: int
    final: bool
    rows: Mapping[str, SlotResult]
    gap: bool = False

    def of(self, labels: Collection[str]) -> Change:
        """The same with the rows of these scopes only."""
        rows = {label: row for label, row in self.rows.items() if label in labels}
        return replace(self, rows=rows)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as JSON carries them."""
        return {
            "id": self.id,
            "at": stamp(self.at),
            "channel": self.channel,
            "slot": self.slot,
            "start_utc": stamp(self.start),
            "revision": self.revision,
            "final": self.final,
            "gap": self.gap,
            "rows": {label: row_dict(row) for label, row in self.rows.items()},
        }


@dataclass(frozen=True, slots=True)
class Revision:
    """What a scope's slot was said to be, and when. wh_before: what was said before that, None
    where the log does not hold it."""

    at: datetime
    slot: int
    start: datetime
    revision: int
    wh: int
    readings: int
    expected: int
    final: bool
    wh_before: int | None

    @classmethod
    def of(cls, change: Change, row: SlotResult, wh_before: int | None) -> Revision:
        return cls(
            change.at,
            change.slot,
            change.start,
            row.revision,
            row.wh,
            row.readings,
            row.expected,
            row.final,
            wh_before,
        )

    def as_dict(self) -> dict[str, Any]:
        names = ("slot", "revision", "wh", "wh_before", "readings", "expected", "final")
        plain = {name: getattr(self, name) for name in names}
        return {"at": stamp(self.at), "start_utc": stamp(self.start), **plain}


def row_dict(row: SlotResult) -> dict[str, Any]:
    return {
        "wh": row.wh,
        "readings": row.readings,
        "expected": row.expected,
        "coverage": row.coverage,
        "revision": row.revision,
        "status": row.status,
    }


def stamp(at: datetime) -> str:
    """UTC, as JSON has it: seconds, or milliseconds where there are any.

    >>> from datetime import UTC
    >>> stamp(datetime(2025, 3, 30, 1, tzinfo=UTC))
    '2025-03-30T01:00:00Z'
    """
    text = at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")
    return text.replace("+00:00", "Z")
