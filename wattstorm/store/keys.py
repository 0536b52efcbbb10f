"""The name of every key, in one place.

Keys of one partition begin with `{<prefix>:p<N>}`, those of one UTC day of results
with `{<prefix>:day:<D>}`. Scripts touch keys of several partitions: wattstorm needs
a single primary, and what it keeps goes back as a whole if that store does.

What bounds each, so that a store holds no more after years than after weeks:

| key | holds | bounded by |
|---|---|---|
| p: log, poison | entries, those passed unapplied | log.backlog_mb; trimmed behind snapshots |
| p: head, fence, audit | scalars | as they are |
| p: partials | sums by slot | the open days: closed ones are folded (`closing`) |
| p: dirty | slots to publish | the open days |
| p: dead, dead:account | dead letters | dead_letters.keep, keep_mb |
| p: producer:… | last number of a producer | PRODUCER_LIFETIME_S after it last sent |
| p: audit:producer:… | its counters | the same |
| p: audit:day:… | counters of a day and channel | results.expire_days, and a month |
| day: curve:…, stamps, closed | results, and the sums they are made of | results.expire_days |
| days | days with results | the same |
| provisional | published slots that are not final | stream.deadline_hours |
| ingest, ingest:dead | counters, refused rows | dead_letters.keep, keep_mb |
| meta, backlog, folds | scalars | as they are |
| workers | heartbeats | one per task |
| engine:… | a topology's lease | ten seconds |
"""

from __future__ import annotations

from functools import lru_cache


class PartitionKeys:
    """Keys of one partition: its log, its fence and what changes with the fence."""

    def __init__(self, prefix: str, partition: int) -> None:
        self.tag = tag = f"{{{prefix}:p{partition}}}"
        self.log = f"{tag}:log"
        self.head = f"{tag}:head"
        self.fence = f"{tag}:fence"
        self.partials = f"{tag}:partials"
        self.dirty = f"{tag}:dirty"
        self.audit = f"{tag}:audit"
        self.dead = f"{tag}:dead"
        self.dead_account = f"{tag}:dead:account"
        self.poison = f"{tag}:poison"
        self.snapshots = f"{tag}:snapshots"

    def producer(self, name: str) -> str:
        return f"{self.tag}:producer:{name}"

    def audit_day(self, utc_day: int, channel: int) -> str:
        return f"{self.audit}:day:{utc_day}:{channel}"

    def audit_producer(self, name: str) -> str:
        return f"{self.audit}:producer:{name}"


class DayKeys:
    """Keys of the published results of one UTC day."""

    def __init__(self, prefix: str, utc_day: int) -> None:
        self.tag = f"{{{prefix}:day:{utc_day}}}"
        self.stamps = f"{self.tag}:stamps"
        self.closed = f"{self.tag}:closed"

    def curve(self, channel: int, label: str) -> str:
        return f"{self.tag}:curve:{channel}:{label}"


class StoreKeys:
    """Keys of the whole store."""

    def __init__(self, prefix: str) -> None:
        self.days = f"{prefix}:days"
        self.provisional = f"{prefix}:provisional"
        self.folds = f"{prefix}:folds"
        self.meta = f"{prefix}:meta"
        self.backlog = f"{prefix}:backlog"
        self.ingest = f"{prefix}:ingest"
        self.workers = f"{prefix}:workers"
        self.births = f"{prefix}:births"
        self._prefix = prefix

    def engine(self, topology: str) -> str:
        """The lease of a topology."""
        return f"{self._prefix}:engine:{topology}"


@lru_cache(maxsize=4096)
def partition_keys(prefix: str, partition: int) -> PartitionKeys:
    return PartitionKeys(prefix, partition)


def day_keys(prefix: str, utc_day: int) -> DayKeys:
    return DayKeys(prefix, utc_day)


def store_keys(prefix: str) -> StoreKeys:
    return StoreKeys(prefix)


def slot_member(channel: int, slot: int) -> str:
    """The field of `partials`, and the member of `dirty`: "<channel>:<slot>"."""
    return f"{channel}:{slot}"


def parse_slot_member(member: bytes) -> tuple[int, int]:
    """(channel, slot) out of `slot_member`."""
    channel, _, slot = member.partition(b":")
    return int(channel), int(slot)
