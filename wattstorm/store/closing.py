"""Sums that can change no more leave their partitions: one row per slot is left.

A slot is closed in a partition below its window (`Partition.lows`, which the commit
writes into the fence); in another, whose watermark lags, it may still change, and is
then published again with all that was summed of it. So the sums of the partitions
where it is closed are *folded*: added up here, in int64, and written as one row by a
script that removes them from their partitions. A partition that lags, or never saw
the channel, keeps nothing of the others alive.

A fold does nothing unless each fence has the owner and at least the position that it
was read with (see `results`), and no other fold was done meanwhile; its random name
tells readers that sums moved while they read. The rows of a day stay and expire with
its results: a register may grow by a partition that still takes the day's readings.
What such a partition says of a day after that is all that is known of it then.
"""

from __future__ import annotations

import secrets
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from wattstorm.metering.aggregates import SlotSums, added
from wattstorm.store.keys import day_keys, parse_slot_member, partition_keys, slot_member
from wattstorm.store.results import Partials, ResultStore, Seen, Slot
from wattstorm.store.scripts import Argument, Script

_FOLD = Script("fold")
SLOTS_AT_ONCE = 96


class Folding:
    """Folds what is closed. per_day: slots of a UTC day. One for each publisher; it remembers
    up to where it folded, and looks again only where a window moved."""

    def __init__(self, results: ResultStore, per_day: int) -> None:
        self.results, self.per_day = results, per_day
        self.done: dict[int, Mapping[int, int]] = {}

    def fold(self, partitions: Sequence[int], seen: Seen) -> int:
        """Fold what `seen` says is closed; how many rows were written."""
        lows = dict(zip(partitions, seen.lows, strict=True))
        moved = [p for p in partitions if lows[p] and lows[p] != self.done.get(p)]
        by_day: dict[int, set[Slot]] = defaultdict(set)
        for p, slots in zip(moved, self._held(moved), strict=True):
            for channel, slot in slots:
                if slot < lows[p].get(channel, -1):
                    by_day[slot // self.per_day].add((channel, slot))
        rows, whole = 0, True
        for day, closed in sorted(by_day.items()):
            ordered = sorted(closed)
            for at in range(0, len(ordered), SLOTS_AT_ONCE):
                written = self._fold(day, ordered[at : at + SLOTS_AT_ONCE], moved)
                whole, rows = whole and written is not None, rows + (written or 0)
        if whole:
            self.done |= {p: lows[p] for p in moved}
        return rows

    def _held(self, partitions: Sequence[int]) -> list[list[Slot]]:
        """Slots of which each partition holds sums."""
        connection = self.results.connection
        pipeline = connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hkeys(partition_keys(self.results.prefix, p).partials)
        found = connection.run("read which slots have sums", pipeline.execute)
        return [[parse_slot_member(member) for member in members] for members in found]

    def _fold(self, day: int, slots: Sequence[Slot], partitions: Sequence[int]) -> int | None:
        """One step; how many rows it wrote, None if something had moved."""
        read = self.results.read_partials(slots, partitions)
        leaving = _leaving(read, len(partitions))
        touched = sorted({slot for members in leaving for slot in members})
        if not touched:
            return 0
        results, seen = self.results, read.fences
        of_day = day_keys(results.prefix, day)
        keys = [results.keys.folds, of_day.closed, results.keys.days]
        arguments: list[Argument] = [seen.folds, secrets.token_hex(8), results.lifetime_s, day]
        arguments.append(len(touched))
        for slot in touched:
            parts = [
                data
                for data, members in zip(read.sums[slot], leaving, strict=True)
                if slot in members
            ]
            arguments += (slot_member(*slot), packed(added([read.closed.get(slot), *parts])))
        for i, (p, members) in enumerate(zip(partitions, leaving, strict=True)):
            if members:
                keys += [partition_keys(results.prefix, p).fence]
                keys += [partition_keys(results.prefix, p).partials]
                arguments += (seen.owners[i], int(seen.stamp[i]), len(members))
                arguments += [slot_member(*slot) for slot in members]
        done = _FOLD.run(results.connection, "fold closed sums", keys, arguments)
        return len(touched) if done else None


def _leaving(read: Partials, partitions: int) -> list[list[Slot]]:
    """Of each partition read the slots that have sums there and are closed."""
    return [
        [
            slot
            for slot, parts in read.sums.items()
            if parts[i] is not None and slot[1] < read.fences.lows[i].get(slot[0], -1)
        ]
        for i in range(partitions)
    ]


def packed(sums: SlotSums) -> bytes:
    """A row as it is kept: most classes are zeros, most bytes of the others too."""
    return zlib.compress(sums.to_bytes(), 1)


def committed_sums(results: ResultStore, partitions: Sequence[int]) -> dict[Slot, SlotSums]:
    """All sums that the store holds, of all partitions together: for tests and tools."""
    connection = results.connection
    pipeline = connection.redis.pipeline(transaction=True)
    for p in partitions:
        pipeline.hgetall(partition_keys(results.prefix, p).partials)
    pipeline.zrange(results.keys.days, 0, -1)
    *found, days = connection.run("read all sums", pipeline.execute)
    pipeline = connection.redis.pipeline(transaction=True)
    for day in days:
        pipeline.hgetall(day_keys(results.prefix, int(day)).closed)
    folded: Any = connection.run("read closed sums", pipeline.execute) if days else []
    parts: dict[Slot, list[bytes]] = defaultdict(list)
    for rows, packed_ in [*((rows, False) for rows in found), *((rows, True) for rows in folded)]:
        for member, data in rows.items():
            parts[parse_slot_member(member)].append(zlib.decompress(data) if packed_ else data)
    return {slot: added(of_slot) for slot, of_slot in parts.items()}
