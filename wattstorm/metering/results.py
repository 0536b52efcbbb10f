"""What is published of a slot: one row per scope, and when a row is final.

The one place that knows what a row is: the publish step writes `SlotResult.to_json`, readers
read it with `from_json`, consumers of the log of slots whole entries with `SlotChange`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wattstorm.errors import DataError
from wattstorm.metering.aggregates import Scopes, SlotSums

if TYPE_CHECKING:
    from wattstorm.metering.rules import Rules

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class SlotResult:
    """A slot's result in one scope.

    wh: Wh in the slot; readings: meters that reported; expected: meters that the register knows;
    revision: from 1, one more with each correction and each late reading of the slot, in
    whatever scope; final: enough have reported, or the deadline has passed.

    >>> row = SlotResult(wh=1200, readings=2, expected=3, revision=1, final=False)
    >>> row.to_json(), row.coverage, row.status
    ('[1,1200,2,3,1,0]', 0.666667, 'provisional')
    >>> SlotResult.from_json(row.to_json()) == row
    True
    """

    wh: int
    readings: int
    expected: int
    revision: int
    final: bool

    @property
    def coverage(self) -> float:
        """readings / expected, to six places; 1 where nothing is expected."""
        return round(self.readings / self.expected, 6) if self.expected else 1.0

    @property
    def status(self) -> str:
        return "final" if self.final else "provisional"

    def to_json(self) -> str:
        """A list that begins with the schema. Without names, a row of any size stays below the
        64 bytes up to which Redis packs a hash: a third of the memory."""
        values = (SCHEMA, self.wh, self.readings, self.expected, self.revision, int(self.final))
        return f"[{','.join(map(str, values))}]"

    @classmethod
    def from_json(cls, data: str | bytes) -> SlotResult:
        """Inverse of `to_json`. Raises DataError for anything else."""
        try:
            return cls.of(json.loads(data))
        except ValueError:
            raise _unreadable("a row of results", data) from None

    @classmethod
    def of(cls, values: object) -> SlotResult:
        """Out of the list that `to_json` writes."""
        if not isinstance(values, list) or len(values) != 6 or values[0] != SCHEMA:
            raise _unreadable("a row of results", values)
        if any(type(value) is not int for value in values):
            raise _unreadable("a row of results", values)
        _, wh, readings, expected, revision, final = values
        return cls(wh, readings, expected, revision, bool(final))


@dataclass(frozen=True, slots=True)
class Finality:
    """When a slot is final: in a scope of which a share of `coverage` has reported, and in all
    scopes once its deadline has passed.

    deadline_slots: slots after its own at which a slot is final. The time is event time, and
    each partition has its own: the deadline has passed when the watermark of *every* partition
    stands there, so that a partition that is fast finalises nothing for the others.
    patience_slots: by so many slots more must the foremost partition be ahead for those that lag,
    stand still or never had a reading to be waited for no longer.

    >>> rule = Finality(coverage=0.99, deadline_slots=48, patience_slots=144)
    >>> rule.passed([100, 60]), rule.passed([1000, 60]), rule.passed([1000, -1])
    (12, 808, 808)
    """

    coverage: float
    deadline_slots: int
    patience_slots: int

    @classmethod
    def of(cls, rules: Rules, coverage: float) -> Finality:
        """Lagging partitions are waited for as long as days are open: then the foremost has
        closed the day itself."""
        return cls(coverage, rules.deadline_slots, rules.open_days * rules.grid.per_day)

    def passed(self, marks: Iterable[int]) -> int:
        """The newest slot whose deadline has passed. marks: of each partition its watermark, -1
        before any. It never falls while marks rise: what was final by its deadline stays so."""
        stood = sorted(marks) or [-1]
        return max(stood[0], stood[-1] - self.patience_slots) - self.deadline_slots


@dataclass(frozen=True, slots=True)
class SlotRows:
    """One slot's results. rows: by label; empty: rows without readings of scopes that nothing is
    expected of, which are only written over another one."""

    rows: Mapping[str, SlotResult] = field(default_factory=dict)
    empty: Mapping[str, SlotResult] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether all of the rows are."""
        return all(row.final for row in self.rows.values())

    @property
    def revision(self) -> int:
        """That of the rows; 0 where there is none."""
        return max((row.revision for row in self.rows.values()), default=0)


@dataclass(frozen=True, slots=True)
class SlotChange:
    """An entry of the log of slots: the results of one slot, from here on until its next entry.

    revision: the highest of its rows; final: whether all of them are; rows: by label, all that
    were written, changed or not.

    >>> rows = SlotRows({"nation": SlotResult(1200, 2, 3, 1, final=False)})
    >>> data = SlotChange.beginning(0, 756_698, rows) + '"nation":[1,1200,2,3,1,0]}}'
    >>> change = SlotChange.from_json(data)
    >>> change.slot, change.revision, change.final, change.rows == rows.rows
    (756698, 1, False, True)
    """

    channel: int
    slot: int
    revision: int
    final: bool
    rows: Mapping[str, SlotResult]

    @staticmethod
    def beginning(channel: int, slot: int, rows: SlotRows) -> str:
        """What stands before the rows: `write_results.lua` adds those that it writes."""
        return (
            f'{{"schema":{SCHEMA},"channel":{channel},"slot":{slot},"revision":{rows.revision},'
            f'"final":{json.dumps(rows.final)},"rows":{{'
        )

    @classmethod
    def from_json(cls, data: str | bytes) -> SlotChange:
        """Raises DataError for what is no entry of this schema."""
        try:
            entry = json.loads(data)
            if entry["schema"] == SCHEMA:
                rows = {label: SlotResult.of(row) for label, row in entry["rows"].items()}
                return cls(entry["channel"], entry["slot"], entry["revision"], entry["final"], rows)
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        raise _unreadable("an entry of the log of slots", data)


def slot_rows(
    sums: SlotSums, scopes: Scopes, day: int, finality: Finality, *, late: bool
) -> SlotRows:
    """The rows of one slot, out of the sums of all partitions together.

    day: the slot's local day number; late: whether its deadline has passed.
    """
    wh, readings = scopes.roll_up(sums)
    expected = scopes.expected(day)
    columns = zip(wh.tolist(), readings.tolist(), expected.tolist(), strict=True)
    rows: dict[str, SlotResult] = {}
    empty: dict[str, SlotResult] = {}
    for label, (energy, reported, wanted) in zip(scopes.labels(), columns, strict=True):
        covered = not wanted or reported / wanted >= finality.coverage
        row = SlotResult(energy, reported, wanted, 1 + sums.revision, late or covered)
        (rows if wanted or reported else empty)[label] = row
    return SlotRows(rows, empty)


def _unreadable(what: str, data: object) -> DataError:
    return DataError(
        f"{what} {data!r:.100}",
        f"this wattstorm reads schema {SCHEMA}; use the one that wrote it",
    )
