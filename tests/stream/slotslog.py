"""The log of slots beside the curves that it must come to when it is replayed."""

from __future__ import annotations

from collections.abc import Sequence

from wattstorm.metering.block import Channel
from wattstorm.metering.results import SlotChange, SlotResult
from wattstorm.store.connection import Connection
from wattstorm.store.keys import SLOTS, day_keys
from wattstorm.store.log import Log
from wattstorm.store.results import ResultStore

Curves = dict[tuple[int, str], dict[int, bytes]]
"""(channel, label) → slot → row, as its bytes."""


def entries(connection: Connection, prefix: str = "wattstorm") -> list[SlotChange]:
    """All slots that the log holds, in its order; LogGap if a number is missing or there twice."""
    log = Log(connection, prefix, name=SLOTS)
    head = log.status(0)
    found = log.read(0, head.first, head.tail)
    return [SlotChange.from_json(entry.data) for entry in found if entry.kind == "slot"]


def replayed(changes: list[SlotChange]) -> Curves:
    """The curves that a reader of the log ends with."""
    curves: Curves = {}
    for change in changes:
        for label, row in change.rows.items():
            curve = curves.setdefault((change.channel, label), {})
            curve[change.slot] = row.to_json().encode()
    return curves


def published(
    connection: Connection, prefix: str = "wattstorm", labels: Sequence[str] | None = None
) -> Curves:
    """The curves that stand in the store; labels: those to look for, for who may not list keys."""
    curves: Curves = {}
    for key in _keys(connection, prefix, labels):
        _, _, what = key.partition(":curve:")
        channel, _, label = what.partition(":")
        rows = connection.redis.hgetall(key)
        if rows:
            curve = curves.setdefault((int(channel), label), {})
            curve.update({int(slot): row for slot, row in rows.items()})
    return curves


def _keys(connection: Connection, prefix: str, labels: Sequence[str] | None) -> list[str]:
    if labels is None:
        return [key.decode() for key in connection.redis.keys(f"{{{prefix}:day:*}}:curve:*")]
    days = [day_keys(prefix, day) for day in ResultStore(connection, prefix).days()]
    return [day.curve(c, label) for day in days for c in Channel for label in labels]


def assert_told_once(
    connection: Connection, prefix: str = "wattstorm", labels: Sequence[str] | None = None
) -> list[SlotChange]:
    """The log replayed is what is published, to the bit; no entry says what the one before it
    said of its slot; all rows of one are of its revision. Returns the entries."""
    changes = entries(connection, prefix)
    assert replayed(changes) == published(connection, prefix, labels)
    last: dict[tuple[int, int], dict[str, SlotResult]] = {}
    for change in changes:
        key, rows = (change.channel, change.slot), dict(change.rows)
        assert last.get(key) != rows, f"slot {key} is in the log twice: {rows}"
        last[key] = rows
        counted = [row for row in rows.values() if row.expected]
        assert change.final == all(row.final for row in counted)
        assert {row.revision for row in rows.values()} == {change.revision}
    return changes
