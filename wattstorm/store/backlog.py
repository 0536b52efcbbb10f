"""The backlog: what the log holds that is not in the sums yet, or not trimmed yet.

One bound for all partitions together. A partition that is busy takes what the others leave;
a quarter is divided into equal shares that nobody else can take. Append, commit and trim keep
two counters of the whole store in step with each partition's own, in the same scripts: so
they go back with everything else when the store does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from wattstorm.store.connection import Connection
from wattstorm.store.keys import READINGS, backlog_key, log_keys
from wattstorm.store.scripts import Script

UNTRIMMED: Final = 4
"""So many times the bound may lie in the log untrimmed: as in append.lua."""
_RECOUNT = Script("recount")


@dataclass(frozen=True, slots=True)
class Bound:
    """Bytes. pool: up to which all partitions together may fill the log, 0 for no bound; own:
    what a partition may have whatever the others do.

    >>> Bound.of(1000, partitions=1), Bound.of(1000, partitions=10)
    (Bound(pool=1000, own=250), Bound(pool=775, own=25))
    """

    pool: int = 0
    own: int = 0

    @classmethod
    def of(cls, total: int, partitions: int) -> Bound:
        """Together never more than `total`: when the pool is full at least one partition is
        beyond its own share, and the others can add no more than theirs."""
        own = total // (4 * max(1, partitions))
        return cls(max(1, total - (max(1, partitions) - 1) * own), own)


class Backlog(NamedTuple):
    """Bytes of all partitions: waiting for a commit; kept, not trimmed yet."""

    waiting: int
    kept: int


def read(connection: Connection, prefix: str, log: str = READINGS) -> Backlog:
    key = backlog_key(prefix, log)
    found = connection.run(
        "read the backlog", lambda: connection.redis.hmget(key, ("waiting", "kept"))
    )
    return Backlog(*(int(value or 0) for value in found))


def recount(
    connection: Connection, prefix: str, partitions: Sequence[int], log: str = READINGS
) -> Backlog:
    """Count anew from the partitions' heads, as a store that an earlier version wrote needs."""
    keys = [backlog_key(prefix, log), *(log_keys(prefix, p, log).head for p in partitions)]
    return Backlog(*_RECOUNT.run(connection, "count the backlog", keys, []))
