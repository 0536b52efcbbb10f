"""Results: what the publish step makes of the partials, and what readers read.

A row is stamped with the fence of every partition at the moment its partial
was read. A row whose stamp is not at least the held one, partition by
partition, is refused: a publisher may die, repeat itself or wake up late.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wattstorm.errors import StreamError
from wattstorm.store.connection import Connection
from wattstorm.store.keys import (
    day_keys,
    parse_slot_member,
    partition_keys,
    slot_member,
    store_keys,
)
from wattstorm.store.scripts import Argument, Script

_READ, _CLEAR, _WRITE = Script("read_partials"), Script("clear_dirty"), Script("write_results")

Slot = tuple[int, int]
"""(channel, slot)."""
Stamp = npt.NDArray[np.uint64]
"""Fence positions, uint64[partitions], in the order of the partitions asked."""


class Partials(NamedTuple):
    """fences: uint64[partitions]; sums: each slot's bytes a partition, None where it has none."""

    fences: Stamp
    sums: dict[Slot, list[bytes | None]]


class ResultStore:
    """Both sides of the results. `expire_days`: how long a day stays after its last change."""

    def __init__(self, connection: Connection, prefix: str, *, expire_days: int = 0) -> None:
        self.connection, self.prefix = connection, prefix
        self.lifetime_s = expire_days * 86_400
        self.keys = store_keys(prefix)

    # ------------------------------------------------------------ the publish step

    def dirty(self, partitions: Sequence[int]) -> set[Slot]:
        """Slots whose sums changed since they were last cleared, in any of the partitions."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.zrange(partition_keys(self.prefix, p).dirty, 0, -1)
        found = self.connection.run("read what changed", pipeline.execute)
        return {parse_slot_member(member) for members in found for member in members}

    def read_partials(self, slots: Sequence[Slot], partitions: Sequence[int]) -> Partials:
        """Sums with their fences; of each partition both are of the same moment."""
        members: list[Argument] = [slot_member(*slot) for slot in slots]
        keys = [partition_keys(self.prefix, p) for p in partitions]
        answers = _READ.run_many(
            self.connection, "read sums", [([k.fence, k.partials], members) for k in keys]
        )
        fences = np.array([answer[0] for answer in answers], np.uint64)
        # A Lua table ends at its first nil, but `false` is sent as nil and keeps its place.
        return Partials(fences, {slot: [a[i + 1] for a in answers] for i, slot in enumerate(slots)})

    def write(
        self, utc_day: int, rows: Mapping[Slot, Mapping[str, bytes | str]], stamp: Stamp
    ) -> set[Slot]:
        """Publish rows (label → JSON) of one UTC day; the slots that were accepted.

        All rows of one channel go in one atomic script.
        """
        if not rows:
            return set()
        packed = np.ascontiguousarray(stamp, "<u8").tobytes()
        day = day_keys(self.prefix, utc_day)
        calls, order = [], []
        for channel in sorted({channel for channel, _ in rows}):
            slots = sorted(slot for c, slot in rows if c == channel)
            labels = sorted({label for s in slots for label in rows[channel, s]})
            keys = [day.stamps, *(day.curve(channel, label) for label in labels)]
            arguments: list[Argument] = [packed, self.lifetime_s, channel, len(slots), *slots]
            for label in labels:
                arguments += [rows[channel, s].get(label, b"") for s in slots]
            calls.append((keys, arguments))
            order.append([(channel, slot) for slot in slots])
        self._announce(utc_day)
        answers = _WRITE.run_many(self.connection, "publish results", calls)
        accepted = set()
        for slots_asked, verdicts in zip(order, answers, strict=True):
            if verdicts is None:
                raise StreamError(
                    f"results of day {utc_day} were written with more partitions than {len(stamp)}",
                    "use another store.prefix, or an empty store",
                )
            accepted |= {s for s, v in zip(slots_asked, verdicts, strict=True) if v == ord("1")}
        return accepted

    def _announce(self, utc_day: int) -> None:
        # Before the rows: a day without rows is an empty curve, rows without a day would be lost.
        expiry: float | str = time.time() + self.lifetime_s if self.lifetime_s else "+inf"
        pipeline = self.connection.redis.pipeline(transaction=False)
        pipeline.zremrangebyscore(self.keys.days, "-inf", time.time())
        pipeline.zadd(self.keys.days, {str(utc_day): expiry})
        self.connection.run("announce a day of results", pipeline.execute)

    def clear_dirty(self, slots: Iterable[Slot], partitions: Sequence[int], stamp: Stamp) -> int:
        """Clear what was published, except where a slot changed after its stamp."""
        members: list[Argument] = [slot_member(*slot) for slot in slots]
        if not members:
            return 0
        calls: list[tuple[list[str], list[Argument]]] = [
            ([partition_keys(self.prefix, p).dirty], [int(seen), *members])
            for p, seen in zip(partitions, stamp, strict=True)
        ]
        return sum(_CLEAR.run_many(self.connection, "clear what was published", calls))

    # ------------------------------------------------------------ readers

    def days(self) -> list[int]:
        """UTC days (since the epoch) that have results, ascending."""
        found: Any = self.connection.run(
            "read the days",
            lambda: self.connection.redis.zrangebyscore(self.keys.days, time.time(), "+inf"),
        )
        return sorted(int(day) for day in found)

    def curve(self, channel: int, label: str, utc_days: Iterable[int]) -> dict[int, dict[str, Any]]:
        """slot → row (wh, readings, expected, coverage, revision, status), ascending."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for day in utc_days:
            pipeline.hgetall(day_keys(self.prefix, day).curve(channel, label))
        found = self.connection.run("read a curve", pipeline.execute) if len(pipeline) else []
        rows = {int(slot): json.loads(row) for day in found for slot, row in day.items()}
        return dict(sorted(rows.items()))

    def audit(self, partitions: Sequence[int]) -> dict[str, int]:
        """Counters of the partitions together: received, accepted and so on."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hgetall(partition_keys(self.prefix, p).audit)
        found = self.connection.run("read counters", pipeline.execute)
        total: dict[str, int] = {}
        for counters in found:
            for name, n in counters.items():
                total[name.decode()] = total.get(name.decode(), 0) + int(n)
        return total

    def meta(self) -> dict[str, str]:
        """What the store was made for: slot_minutes, time_zone, register, partitions, labels."""
        found: Any = self.connection.run(
            "read the store's card", lambda: self.connection.redis.hgetall(self.keys.meta)
        )
        return {name.decode(): value.decode() for name, value in found.items()}

    def write_meta(self, card: Mapping[str, str]) -> None:
        fields: Any = dict(card)
        self.connection.run(
            "write the store's card",
            lambda: self.connection.redis.hset(self.keys.meta, mapping=fields),
        )
