"""Published slots that are not final yet: what a deadline can make final without a reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wattstorm.store.connection import Connection
from wattstorm.store.keys import parse_slot_member, slot_member


class Provisional:
    """A set of (channel, slot) ordered by slot."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection = connection
        self.key = f"{prefix}:provisional"

    def update(
        self, provisional: Iterable[tuple[int, int]], final: Iterable[tuple[int, int]]
    ) -> None:
        """Remember the first, forget the second."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        if scores := {slot_member(*slot): slot[1] for slot in provisional}:
            pipeline.zadd(self.key, scores)
        if members := [slot_member(*slot) for slot in final]:
            pipeline.zrem(self.key, *members)
        self.connection.run("note what is provisional", pipeline.execute)

    def up_to(self, slot: int) -> set[tuple[int, int]]:
        """Those at or before `slot`."""
        found: Any = self.connection.run(
            "read what is provisional",
            lambda: self.connection.redis.zrangebyscore(self.key, "-inf", slot),
        )
        return {parse_slot_member(member) for member in found}
