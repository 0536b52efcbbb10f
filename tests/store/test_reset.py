"""One stream of a store is emptied, and nothing of its neighbours."""

from __future__ import annotations

from collections.abc import Callable

from wattstorm.store.connection import Connection
from wattstorm.store.reset import empty, prefixes


def test_a_prefix_goes_whole_and_others_stay(
    store_url: str, connect: Callable[..., Connection]
) -> None:
    """Also those whose names begin alike, and foreign keys."""
    connection = connect(store_url)
    redis = connection.redis
    names = ("a", "ab", "a.b")
    for prefix in names:
        redis.hset(f"{prefix}:meta", "schema", 1)
        for number in range(1500):
            redis.set(f"{{{prefix}:readings:p{number}}}:head", 1)
    redis.set("somebody:else:meta", 1)
    assert prefixes(connection) == sorted(names)
    assert empty(connection, "a") == 1501
    assert prefixes(connection) == ["a.b", "ab"]
    assert redis.dbsize() == 2 * 1501 + 1
    assert empty(connection, "a") == 0
