"""What a schedule need not do again: things that never change, and redis-py's measuring of itself.

None of them takes part in what goes wrong. A schedule starts a dozen components, each with a
connection of its own, and would spend a quarter of its time on this.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import redis
import redis.client
import redis.connection
import redis.event
import redis.utils

import bolts.minibatch
from wattstorm.metering.joins import Joins
from wattstorm.settings import Settings

Put = tuple[Any, str, Any]
_MEASURES = ("record_connection_count", "record_operation_duration", "get_pool_name")


def shortcuts() -> list[Put]:
    """(where, name, what to put there instead)."""
    pool = redis.connection.ConnectionPool
    put: list[Put] = [
        (Settings, "from_conf", lambda conf: conf["settings"]),
        (bolts.minibatch, "warm_up", functools.cache(bolts.minibatch.warm_up)),
        (Joins, "_table", _once(Joins._table)),
        (redis.utils, "get_lib_version", functools.cache(redis.utils.get_lib_version)),
        (redis.client.Redis, "_execute_command", _executed),
        (redis.connection, "parse_url", functools.cache(redis.connection.parse_url)),
        (pool, "get_connection", _got),
        (pool, "release", _released),
        (redis.client.CaseInsensitiveDict, "__init__", _upper),
    ]
    dispatcher = redis.event.EventDispatcher()  # one for all: nobody hears of its events
    for module in (redis.connection, redis.client):
        put.append((module, "EventDispatcher", lambda: dispatcher))
        put += [(module, name, _nothing) for name in _MEASURES if hasattr(module, name)]
    return put


def _executed(client: Any, *arguments: Any, **options: Any) -> Any:
    """One command, as redis-py does it with `Retry(NoBackoff(), 0)`."""
    connection = client.connection_pool.get_connection()
    try:
        connection.send_command(*arguments, **options)
        return client.parse_response(connection, arguments[0], **options)
    except (redis.ConnectionError, redis.TimeoutError):
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def _got(pool: Any) -> Any:
    """A connection, without locks, counts and events; nobody forks here."""
    free = pool._available_connections
    connection = free.pop() if free else pool.make_connection()
    pool._in_use_connections.add(connection)
    return connection


def _released(pool: Any, connection: Any) -> None:
    if connection in pool._in_use_connections:
        pool._in_use_connections.remove(connection)
        if connection.should_reconnect():
            connection.disconnect()
        pool._available_connections.append(connection)


def _upper(self: Any, data: dict[str, Any]) -> None:
    """Names of commands are in capitals nearly all; a schedule makes ten clients."""
    dict.__init__(self, data if _capitals(tuple(data)) else {k.upper(): v for k, v in data.items()})


@functools.cache
def _capitals(names: tuple[str, ...]) -> bool:
    return all(name.isupper() for name in names)


def _nothing(*_: Any, **__: Any) -> str:
    return ""


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
