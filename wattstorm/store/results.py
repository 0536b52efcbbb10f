"""Results: what the publish step makes of the partials, and what readers read.

A row is stamped with the fence of every partition at the moment its partial was
read. A row whose stamp is not at least the held one, partition by partition, is
refused: a publisher may die, repeat itself or wake up late.

The store may also go back between the reading and the writing. So each fence is
read with its owner's token, and the rows are written only if every fence still
has that owner and stands no lower. An owner that finds the store gone back takes
its partition anew, or at least a new token; so the same token at the same position
or a later one is the same history, and what was read of it still stands. Rows,
stamps, the clearing of what was dirty and the list of days change in one script,
so the store keeps all of it or nothing.

In the same script each slot whose rows are other than those that stood there gets an entry of
the log `slots` (`metering.results.SlotChange`): what changed or became final is in it once,
however often it is published, and the last entry of a slot is what stands in its curves. The
log has one partition and is bounded by its bytes; its oldest entries go.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from wattstorm.errors import FewerPartitions, StoreError
from wattstorm.metering.block import Channel
from wattstorm.metering.results import SlotChange, SlotResult, SlotRows
from wattstorm.store.connection import Connection
from wattstorm.store.control import REGISTER, RULES
from wattstorm.store.keys import (
    SLOTS,
    day_keys,
    log_keys,
    parse_slot_member,
    partition_keys,
    slot_member,
    store_keys,
)
from wattstorm.store.scripts import Argument, Script

_READ, _WRITE = Script("read_partials"), Script("write_results", "add_entry", "keep_within")
_CARD = Script("write_card")

FOLDED_MEANWHILE: Final = 10
"""How often sums are read that were folded while they were read."""

Slot = tuple[int, int]
"""(channel, slot)."""


class Seen(NamedTuple):
    """Fences as they were seen, in the order of the partitions asked.

    stamp: uint64[partitions], positions; owners: their owners' tokens ("": nobody's yet);
    marks: of each by channel its watermark; lows: of each by channel the first slot that it
    still takes; folds: name of the last fold; registers, rules: what each has in force ("": nobody
    has taken it yet).
    """

    stamp: npt.NDArray[np.uint64]
    owners: tuple[str, ...]
    marks: tuple[int, ...] = ()
    lows: tuple[Mapping[int, int], ...] = ()
    folds: bytes = b""
    registers: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()

    @classmethod
    def of(cls, fences: Sequence[Mapping[bytes, bytes]], folds: bytes = b"") -> Seen:
        """Out of the fences' hashes."""
        return cls(
            np.array([int(fence.get(b"position", 0)) for fence in fences], np.uint64),
            tuple(fence.get(b"owner", b"").decode() for fence in fences),
            tuple(max(_by_channel(fence, b"mark:").values(), default=-1) for fence in fences),
            tuple(_by_channel(fence, b"low:") for fence in fences),
            folds,
            tuple(fence.get(REGISTER.encode(), b"").decode() for fence in fences),
            tuple(fence.get(RULES.encode(), b"").decode() for fence in fences),
        )


class Partials(NamedTuple):
    """sums: each slot's bytes by partition, None where it has none, seen with these fences;
    closed: the bytes of what was folded of the slots (see `closing`)."""

    fences: Seen
    sums: dict[Slot, list[bytes | None]]
    closed: dict[Slot, bytes]


class Written(NamedTuple):
    """accepted: slots whose rows stand now; moved: some were of a history that is no more,
    nothing of those was written, and their sums must be read again."""

    accepted: set[Slot]
    moved: bool


class ResultStore:
    """Both sides of the results. expire_days: how long a day stays after its last change;
    per_day: slots of a UTC day, log_bytes: what stays in the log of slots, for the publish
    step."""

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        *,
        expire_days: int = 0,
        per_day: int = 48,
        log_bytes: int = 64 << 20,
    ) -> None:
        self.connection, self.prefix, self.per_day = connection, prefix, per_day
        self.lifetime_s = expire_days * 86_400
        self.log_bytes = log_bytes
        self.keys, self.log = store_keys(prefix), log_keys(prefix, 0, SLOTS)

    # ------------------------------------------------------------ the publish step

    def dirty(self, partitions: Sequence[int]) -> set[Slot]:
        """Slots whose sums changed since they were last published, in any of the partitions."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.zrange(partition_keys(self.prefix, p).dirty, 0, -1)
        found = self.connection.run("read what changed", pipeline.execute)
        return {parse_slot_member(member) for members in found for member in members}

    def provisional(self, slot: int) -> set[Slot]:
        """Published slots at or before `slot` that are not final: their deadline can make
        them so without a reading."""
        found: Any = self.connection.run(
            "read what is provisional",
            lambda: self.connection.redis.zrangebyscore(self.keys.provisional, "-inf", slot),
        )
        return {parse_slot_member(member) for member in found}

    def fences(self, partitions: Sequence[int]) -> Seen:
        """All fences, in one round trip."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hgetall(partition_keys(self.prefix, p).fence)
        return Seen.of(self.connection.run("read the fences", pipeline.execute))

    def faults(self, partitions: Sequence[int]) -> dict[int, str]:
        """Partition → why it stands still, of those that do (`PartitionStore.stand_still`)."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hget(partition_keys(self.prefix, p).fence, "fault")
        found = self.connection.run("read the fences", pipeline.execute)
        said = zip(partitions, found, strict=True)
        return {p: why.decode("utf-8", "replace") for p, why in said if why}

    def read_partials(self, slots: Sequence[Slot], partitions: Sequence[int]) -> Partials:
        """Sums with their fences; of each partition both are of the same moment, and no fold
        lies between any of them and the rows of closed sums."""
        members: list[Argument] = [slot_member(*slot) for slot in slots]
        keys = [partition_keys(self.prefix, p) for p in partitions]
        calls = [([k.fence, k.partials, self.keys.folds], members) for k in keys]
        for _ in range(FOLDED_MEANWHILE):
            answers = _READ.run_many(self.connection, "read sums", calls)
            folds, closed = self._closed(slots)
            if all(answer[1] == folds for answer in answers):
                break
        else:
            raise StoreError(
                "cannot read sums: they were folded again and again meanwhile",
                "look for a second topology on this store",
            )
        fences = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat, *_ in answers]
        # A Lua table ends at its first nil, but `false` is sent as nil and keeps its place.
        sums = {slot: [a[i + 2] for a in answers] for i, slot in enumerate(slots)}
        return Partials(Seen.of(fences, folds), sums, closed)

    def _closed(self, slots: Sequence[Slot]) -> tuple[bytes, dict[Slot, bytes]]:
        """Name of the last fold, and what is folded of these slots; of one moment."""
        by_day: dict[int, list[Slot]] = {}
        for slot in slots:
            by_day.setdefault(slot[1] // self.per_day, []).append(slot)
        pipeline = self.connection.redis.pipeline(transaction=True)
        pipeline.get(self.keys.folds)
        for day, of_day in by_day.items():
            members = [slot_member(*slot) for slot in of_day]
            pipeline.hmget(day_keys(self.prefix, day).closed, members)
        folds, *found = self.connection.run("read closed sums", pipeline.execute)
        pairs = [
            pair
            for of_day, rows in zip(by_day.values(), found, strict=True)
            for pair in zip(of_day, rows, strict=True)
        ]
        return folds or b"", {slot: zlib.decompress(row) for slot, row in pairs if row is not None}

    def write(
        self, utc_day: int, rows: Mapping[Slot, SlotRows], partitions: Sequence[int], seen: Seen
    ) -> Written:
        """Publish rows of one UTC day, made of the sums that `seen` was read with, and clear
        what was dirty up to there. All of one channel goes in one atomic script."""
        calls, order = [], []
        for channel in sorted({channel for channel, _ in rows}):
            slots = sorted(slot for c, slot in rows if c == channel)
            of_slots = [rows[channel, slot] for slot in slots]
            calls.append(self._call(utc_day, channel, slots, of_slots, partitions, seen))
            order.append([(channel, slot) for slot in slots])
        answers = _WRITE.run_many(self.connection, "publish results", calls)
        accepted: set[Slot] = set()
        moved = False
        for slots_asked, verdicts in zip(order, answers, strict=True):
            if verdicts is None:
                raise FewerPartitions(
                    f"results of day {utc_day} were written with more partitions than "
                    f"{len(seen.stamp)}",
                    "use another store.prefix, or an empty store",
                )
            if verdicts == b"moved":
                moved = True
                continue
            accepted |= {s for s, v in zip(slots_asked, verdicts, strict=True) if v == ord("1")}
        return Written(accepted, moved)

    def _call(
        self,
        utc_day: int,
        channel: int,
        slots: list[int],
        of_slots: list[SlotRows],
        partitions: Sequence[int],
        seen: Seen,
    ) -> tuple[list[str], list[Argument]]:
        """Keys and arguments of write_results.lua, for one channel."""
        day = day_keys(self.prefix, utc_day)
        of_partitions = [partition_keys(self.prefix, p) for p in partitions]
        labels = sorted({label for each in of_slots for label in (*each.rows, *each.empty)})
        keys = [day.stamps, self.keys.provisional, self.keys.days, self.keys.folds, day.closed]
        keys += [self.log.log, self.log.head, self.log.backlog]
        keys += [k.fence for k in of_partitions]
        keys += [k.dirty for k in of_partitions]
        keys += [day.curve(channel, label) for label in labels]
        stamp = np.ascontiguousarray(seen.stamp, "<u8").tobytes()
        arguments: list[Argument] = [len(of_partitions), len(slots), stamp, self.lifetime_s]
        arguments += [utc_day, channel, seen.folds, self.log_bytes, *seen.owners, *slots]
        arguments += ["f" if each.final else "p" for each in of_slots]
        of_slot = zip(slots, of_slots, strict=True)
        arguments += [SlotChange.beginning(channel, slot, each) for slot, each in of_slot]
        for label in labels:
            arguments.append(f",{json.dumps(label)}:")
            arguments += [_value(each, label) for each in of_slots]
        return keys, arguments

    def keep_for_ever(self, labels: Sequence[str], partitions: Sequence[int]) -> None:
        """Where results.expire_days is 0 now: take back what it said earlier."""
        redis = self.connection.redis
        leaving: Any = self.connection.run(
            "read the days", lambda: redis.zrangebyscore(self.keys.days, "-inf", "(+inf")
        )
        for utc_day in map(int, leaving):
            day = day_keys(self.prefix, utc_day)
            keys = [day.stamps, day.closed]
            of_partitions = [partition_keys(self.prefix, p) for p in partitions]
            keys += [k.audit_day(utc_day, c) for k in of_partitions for c in Channel]
            keys += [day.curve(channel, label) for channel in Channel for label in labels]
            pipeline = redis.pipeline(transaction=False)
            for key in keys:
                pipeline.persist(key)
            pipeline.zadd(self.keys.days, {str(utc_day): "+inf"}, xx=True)
            self.connection.run("keep a day of results", pipeline.execute)

    # ------------------------------------------------------------ readers

    def days(self) -> list[int]:
        """UTC days (since the epoch) that have results, ascending."""
        now = self.connection.server_time_us() // 1_000_000
        found: Any = self.connection.run(
            "read the days",
            lambda: self.connection.redis.zrangebyscore(self.keys.days, now, "+inf"),
        )
        return sorted(int(day) for day in found)

    def curve(self, channel: int, label: str, utc_days: Iterable[int]) -> dict[int, SlotResult]:
        """slot → row, ascending."""
        return self.curves(channel, [label], utc_days)[label]

    def curves(
        self, channel: int, labels: Sequence[str], utc_days: Iterable[int]
    ) -> dict[str, dict[int, SlotResult]]:
        """label → slot → row, ascending; all of one moment, in one round trip."""
        days = [day_keys(self.prefix, day) for day in utc_days]
        pipeline = self.connection.redis.pipeline(transaction=True)
        for label in labels:
            for day in days:
                pipeline.hgetall(day.curve(channel, label))
        found = self.connection.run("read curves", pipeline.execute) if len(pipeline) else []
        curves = {}
        for i, label in enumerate(labels):
            of_label = found[i * len(days) : (i + 1) * len(days)]
            rows = {int(slot): row for day in of_label for slot, row in day.items()}
            curves[label] = {slot: SlotResult.from_json(rows[slot]) for slot in sorted(rows)}
        return curves

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
        """Replace the fields that `card` has, unless it is of an older register version."""
        fields = [text for pair in card.items() for text in pair]
        _CARD.run(self.connection, "write the store's card", [self.keys.meta], fields)


def _by_channel(fence: Mapping[bytes, bytes], name: bytes) -> dict[int, int]:
    """Fields `name`<channel> of a fence."""
    at = len(name)
    return {int(field[at:]): int(n) for field, n in fence.items() if field.startswith(name)}


def _value(of_slot: SlotRows, label: str) -> str:
    """As write_results.lua wants it."""
    if row := of_slot.rows.get(label):
        return row.to_json()
    empty = of_slot.empty.get(label)
    return f"0{empty.to_json()}" if empty else ""
