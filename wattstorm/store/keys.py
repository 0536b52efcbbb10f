"""The name of every key, in one place.

Keys of one partition of a log begin with `{<prefix>:<log>:p<N>}`; what a consumer keeps of it
goes on with the consumer's name: `{wattstorm:readings:p3}:sums:fence`. Those of one UTC day of
results begin with `{<prefix>:day:<D>}`. Scripts touch keys of several partitions: wattstorm
needs a single primary, and what it keeps goes back as a whole if that store does.

What bounds each, so that a store holds no more after years than after weeks:

| key | holds | bounded by |
|---|---|---|
| readings: log | entries | log.backlog_mb; trimmed behind snapshots |
| slots: log | entries | results.log_mb; the oldest go |
| segments: log | entries | scores.log_mb; trimmed behind snapshots, and the oldest go |
| alarms: log | entries | scores.alarms_mb; the oldest go |
| scores: scopes | counts and the highest of each scope | the scopes; scores.expire_days |
| log: head | scalars | as they are |
| log: producer:… | last number of a producer | PRODUCER_LIFETIME_S after it last sent |
| consumer: fence, audit | scalars | as they are |
| consumer: poison | entries passed unapplied | the log: trimmed with it |
| consumer: snapshots | names of snapshots | four |
| consumer: dead, dead:account | dead letters | dead_letters.keep, keep_mb |
| sums: partials | sums by slot | the open days: closed ones are folded (`closing`) |
| sums: dirty | slots to publish | the open days |
| forecasts: day:… | rows of a target day | results.expire_days after its last change |
| forecasts: newest | two rows of a curve: today, tomorrow | as they are |
| sums: audit:producer:… | a producer's counters | PRODUCER_LIFETIME_S after it last sent |
| sums: audit:day:… | counters of a day and channel | results.expire_days, and a month |
| day: curve:…, stamps, closed | results, and the sums they are made of | results.expire_days |
| days | days with results | the same |
| provisional | published slots that are not final | stream.deadline_hours |
| ingest, ingest:dead | counters, refused rows | dead_letters.keep, keep_mb |
| ingest:replayed, meta, <log>:backlog, folds | scalars | as they are |
| workers | heartbeats | one per task |
| engine:… | a topology's lease | ten seconds |
"""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

READINGS: Final = "readings"
"""The log of what meters say, and of what decides how it is read."""
SUMS: Final = "sums"
"""The consumer of `READINGS` that adds them up."""
SLOTS: Final = "slots"
"""The log of what is published: every change and every closing of a slot; and of the models,
weather and prices that forecasts are made with. One partition."""
FORECASTS: Final = "forecasts"
"""The consumer of `SLOTS` that forecasts them."""
SEGMENTS: Final = "segments"
"""The log of what single meters used in stretches of a day, as its sums are committed: see
`metering.frame`. Of each partition of readings one of the same number."""
SCORES: Final = "scores"
"""The consumer of `SEGMENTS` that tells whose behaviour changed."""
ALARMS: Final = "alarms"
"""The log of the alarms that it raises, partition by partition."""

DIRTY: Final = "dirty"
"""Below `SUMS`: slots whose results are to be published anew."""


class Space(StrEnum):
    """What a key reveals. A user of the store is given spaces, not keys: see deploy/redis."""

    CURVES = "curves"
    """What is published: sums of whole scopes."""
    WORK = "work"
    """How the stream is doing: positions, counters, sizes, names of processes and producers."""
    HOMES = "homes"
    """Readings, dead letters, scores; and sums so narrow that they may be of one home."""


_SPACES: Final = {
    Space.CURVES: (
        *("{@:day:*}:curve:*", "{@:slots:p*}:log", "{@:slots:p*}:head", "@:days", "@:meta"),
        *("{@:slots:p*}:forecasts:day:*", "{@:slots:p*}:forecasts:newest"),
    ),
    Space.WORK: (
        *("{@:*:p*}:head", "{@:*:p*}:producer:*", "{@:day:*}:stamps"),
        *(f"{{@:*:p*}}:*:{name}" for name in ("fence", "audit", "audit:*", "dirty", "poison")),
        *(f"{{@:*:p*}}:*:{name}" for name in ("snapshots", "dead:account")),
        *("@:provisional", "@:folds", "@:*:backlog", "@:workers", "@:births", "@:engine:*"),
        *("@:ingest", "@:durable"),
    ),
}


def space_of(prefix: str, key: str) -> Space:
    """What it reveals; a key that nobody thought of reveals single homes.

    >>> [str(space_of("w", key)) for key in ("w:days", "{w:readings:p0}:sums:fence")]
    ['curves', 'work']
    >>> [str(space_of("w", key)) for key in ("{w:readings:p0}:log", "w:new", "x:days")]
    ['homes', 'homes', 'homes']
    """
    for space, patterns in _SPACES.items():
        if any(fnmatchcase(key, pattern.replace("@", prefix)) for pattern in patterns):
            return space
    return Space.HOMES


class LogKeys:
    """Keys of one partition of a log."""

    def __init__(self, prefix: str, partition: int, log: str = READINGS) -> None:
        self.tag = tag = f"{{{prefix}:{log}:p{partition}}}"
        self.log = f"{tag}:log"
        self.head = f"{tag}:head"
        self.backlog = f"{prefix}:{log}:backlog"

    def producer(self, name: str) -> str:
        return f"{self.tag}:producer:{name}"


class PartitionKeys(LogKeys):
    """The same, and those of a consumer: its fence and what changes with the fence."""

    def __init__(
        self, prefix: str, partition: int, log: str = READINGS, consumer: str = SUMS
    ) -> None:
        super().__init__(prefix, partition, log)
        self.own = own = f"{self.tag}:{consumer}"
        self.fence = f"{own}:fence"
        self.partials = f"{own}:partials"
        self.dirty = f"{own}:{DIRTY}"
        self.audit = f"{own}:audit"
        self.dead = f"{own}:dead"
        self.dead_account = f"{own}:dead:account"
        self.poison = f"{own}:poison"
        self.snapshots = f"{own}:snapshots"

    def audit_day(self, utc_day: int, channel: int) -> str:
        return f"{self.own}:{audit_of_day(utc_day, channel)}"

    def audit_producer(self, name: str) -> str:
        return f"{self.own}:{audit_of_producer(name)}"


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
        self.ingest = f"{prefix}:ingest"
        self.workers = f"{prefix}:workers"
        self.births = f"{prefix}:births"
        self._prefix = prefix

    def engine(self, topology: str) -> str:
        """The lease of a topology."""
        return f"{self._prefix}:engine:{topology}"


@lru_cache(maxsize=4096)
def partition_keys(
    prefix: str, partition: int, log: str = READINGS, consumer: str = SUMS
) -> PartitionKeys:
    return PartitionKeys(prefix, partition, log, consumer)


@lru_cache(maxsize=4096)
def log_keys(prefix: str, partition: int, log: str = READINGS) -> LogKeys:
    return LogKeys(prefix, partition, log)


def backlog_key(prefix: str, log: str = READINGS) -> str:
    """Bytes that wait in all partitions of a log together."""
    return log_keys(prefix, 0, log).backlog


def audit_of_day(utc_day: int, channel: int) -> str:
    """Counters of a UTC day, below a consumer's own keys."""
    return f"audit:day:{utc_day}:{channel}"


def audit_of_producer(name: str) -> str:
    """Counters of a producer, below a consumer's own keys."""
    return f"audit:producer:{name}"


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
