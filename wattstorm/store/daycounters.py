"""The counters of days and channels, as the commits of the partitions left them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from wattstorm.metering.block import Channel
from wattstorm.store.connection import Connection
from wattstorm.store.keys import partition_keys

NAMES: Final = ("new", "wh_accepted", "wh_replaced")
"""A commit that moves a day's sums moves one of these."""
Of = tuple[int, int]
"""(UTC day, channel)."""


class DayCounters:
    """Reads them; `PartitionStore.commit` writes them."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection, self.prefix = connection, prefix

    def read(
        self, utc_days: Sequence[int], partitions: Sequence[int]
    ) -> dict[Of, list[dict[str, int]]]:
        """By day and channel `NAMES` of each partition; zeros where it counted none."""
        asked = [(day, int(channel)) for day in utc_days for channel in Channel]
        keys = [partition_keys(self.prefix, p) for p in partitions]
        pipeline = self.connection.redis.pipeline(transaction=False)
        for day, channel in asked:
            for k in keys:
                pipeline.hmget(k.audit_day(day, channel), NAMES)
        found: list[Any] = []
        if len(pipeline):
            found = self.connection.run("read the counters of days", pipeline.execute)
        counts = [{n: int(v or 0) for n, v in zip(NAMES, each, strict=True)} for each in found]
        return {of: counts[i * len(keys) : (i + 1) * len(keys)] for i, of in enumerate(asked)}
