"""What a schedule need not do again: things that never change, and redis-py's measuring of itself.

None of them takes part in what goes wrong. A schedule starts a dozen components, each with a
connection of its own, and would spend a quarter of its time on this.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import redis.client
import redis.connection
import redis.utils

import bolts.minibatch
from tests.simulation.town import register
from wattstorm.metering.joins import Joins
from wattstorm.metering.rules import Rules
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.register.register import Register
from wattstorm.settings import Settings

Put = tuple[Any, str, Any]
_MEASURES = ("record_connection_count", "record_operation_duration", "get_pool_name")


def shortcuts() -> list[Put]:
    """(where, name, what to put there instead)."""
    the_register = register()
    pool = redis.connection.ConnectionPool
    put: list[Put] = [
        (Register, "open", lambda _: the_register),
        (Settings, "from_conf", lambda conf: conf["settings"]),
        (Rules, "from_settings", _rules),
        (bolts.minibatch, "warm_up", functools.cache(bolts.minibatch.warm_up)),
        (Joins, "_table", _once(Joins._table)),
        (redis.utils, "get_lib_version", functools.cache(redis.utils.get_lib_version)),
        # Its wrapper looks for arguments that are no more.
        (pool, "get_connection", pool.get_connection.__wrapped__),  # type: ignore[attr-defined]
    ]
    for module in (redis.connection, redis.client):
        put += [(module, name, _nothing) for name in _MEASURES if hasattr(module, name)]
    return put


def _nothing(*_: Any, **__: Any) -> str:
    return ""


def _rules(settings: Settings) -> Rules:
    stream = settings.stream
    return Rules(
        _calendar(stream.slot_minutes, stream.time_zone).grid,
        _calendar(stream.slot_minutes, stream.time_zone),
        stream.open_days,
        int(stream.future_minutes * 60),
        stream.power_margin,
        round(stream.deadline_hours * 60 / stream.slot_minutes),
    )


@functools.cache
def _calendar(minutes: int, zone: str) -> LocalCalendar:
    return LocalCalendar(SlotGrid(minutes), zone)


def _once(table: Callable[..., Any]) -> Callable[..., Any]:
    """The same tables for all partitions of the same meters and rules: nobody writes to them."""
    made: dict[tuple[Any, ...], Any] = {}

    @functools.wraps(table)
    def of(self: Joins, epoch: int, day: int) -> Any:
        rules = self.rules
        key = (id(self.register), self.first, self.size, rules.grid.minutes, rules.power_margin)
        found = made.get((*key, epoch))
        if found is None:
            found = made[(*key, epoch)] = table(self, epoch, day)
        return found

    return of
