"""The log of slots beside the curves that it must come to when it is replayed."""

from __future__ import annotations

from wattstorm.metering.results import SlotChange, SlotResult
from wattstorm.store.connection import Connection
from wattstorm.store.keys import SLOTS
from wattstorm.store.log import Log

Curves = dict[tuple[int, str], dict[int, bytes]]
"""(channel, label) → slot → row, as its bytes."""


def entries(connection: Connection, prefix: str = "wattstorm") -> list[SlotChange]:
    """All that the log holds, in its order; LogGap if a number is missing or there twice."""
    log = Log(connection, prefix, name=SLOTS)
    head = log.status(0)
    return [SlotChange.from_json(entry.data) for entry in log.read(0, head.first, head.tail)]


def replayed(changes: list[SlotChange]) -> Curves:
    """The curves that a reader of the log ends with."""
    curves: Curves = {}
    for change in changes:
        for label, row in change.rows.items():
            curve = curves.setdefault((change.channel, label), {})
            curve[change.slot] = row.to_json().encode()
    return curves


def published(connection: Connection, prefix: str = "wattstorm") -> Curves:
    """The curves that stand in the store."""
    curves: Curves = {}
    for key in connection.redis.keys(f"{{{prefix}:day:*}}:curve:*"):
        _, _, what = key.decode().partition(":curve:")
        channel, _, label = what.partition(":")
        rows = connection.redis.hgetall(key).items()
        curves.setdefault((int(channel), label), {}).update({int(s): row for s, row in rows})
    return curves


def assert_told_once(connection: Connection, prefix: str = "wattstorm") -> list[SlotChange]:
    """The log replayed is what is published, to the bit; no entry says what the one before it
    said of its slot; no slot closes twice without having changed. Returns the entries."""
    changes = entries(connection, prefix)
    assert replayed(changes) == published(connection, prefix)
    last: dict[tuple[int, int], dict[str, SlotResult]] = {}
    for change in changes:
        key, rows = (change.channel, change.slot), dict(change.rows)
        assert last.get(key) != rows, f"slot {key} is in the log twice: {rows}"
        last[key] = rows
        assert change.final == all(row.final for row in rows.values())
        assert {change.revision} == {row.revision for row in rows.values()} or 0 in {
            row.readings for row in rows.values()
        }
    return changes
