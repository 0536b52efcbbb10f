"""The commit: what one batch changes, and the fence, in one script or not at all.

The fence is the position up to which a partition of a log is in what a consumer keeps. A task
owns a partition by a token that `acquire` gave it; taking the partition again
makes every older token worthless, so a task that slept meanwhile writes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wattstorm.errors import FencedOff, FenceMoved, LogGap
from wattstorm.store.connection import Connection
from wattstorm.store.keys import READINGS, SUMS, backlog_key, partition_keys, store_keys
from wattstorm.store.scripts import Argument, Script
from wattstorm.store.snapshots import Mark
from wattstorm.store.writes import NOTHING, RESERVED, Effects, Writes

_ACQUIRE, _TRY = Script("acquire", "holders"), Script("try_block")
_COMMIT = Script("commit", "set_aside", "add_entry", "keep_within", "holders")
_STAND_STILL, _BIRTH = Script("stand_still"), Script("birth")
_CONFIRM, _REPLAY_FAILED = Script("confirm"), Script("replay_failed")
_RENEW, _SKIP = Script("renew"), Script("skip")
KEEP_DEAD: Final = 10_000
KEEP_DEAD_BYTES: Final = 256 << 20
AS_LONG_AS_NEEDED: Final = -1
"""How a consumer holds its log: nothing of it goes before the consumer has saved it, and
producers wait. Otherwise bytes: kept for it no longer than it is that much, 0 not at all."""


@dataclass(frozen=True, slots=True)
class Fence:
    """position: last one that the consumer has passed (0: none); token: its owner's ("":
    nobody's); birth_us: when its owner was born; takes: how often the partition was taken since
    the fence last moved; tries: how often the block after the fence was tried alone; fault: why
    the partition stands still, "" if it does not; lineage: which store's history this is;
    scalars: what the consumer's commits keep here beside (`Writes`), by name. Told by `acquire`
    only: poisoned, positions in the log that were passed without being applied; snapshots, those
    that the store knows; trimmed, the position up to which the consumer needs no entry."""

    position: int
    token: str
    epoch: int = 0
    birth_us: int = 0
    takes: int = 0
    tries: int = 0
    fault: str = ""
    lineage: str = ""
    scalars: Mapping[str, bytes] = field(default_factory=dict)
    poisoned: frozenset[int] = frozenset()
    snapshots: tuple[Mark, ...] = ()
    trimmed: int = 0

    @property
    def highest(self) -> int:
        """Of `sums`: the newest slot accepted, -1 before any."""
        return int(self.scalars.get("highest", -1))

    @classmethod
    def of(
        cls,
        found: Mapping[bytes, bytes],
        poisoned: frozenset[int] = frozenset(),
        snapshots: tuple[Mark, ...] = (),
        trimmed: int = 0,
    ) -> Fence:
        """Out of its hash."""
        held = {name.decode(): value for name, value in found.items()}
        return cls(
            int(held.get("position", 0)),
            held.get("owner", b"").decode(),
            int(held.get("epoch", 0)),
            int(held.get("birth", 0)),
            int(held.get("takes", 0)),
            int(held.get("tries", 0)),
            held.get("fault", b"").decode("utf-8", "replace"),
            held.get("lineage", b"").decode(),
            {name: value for name, value in held.items() if name not in RESERVED},
            poisoned,
            snapshots,
            trimmed,
        )


def give_birth(connection: Connection, prefix: str) -> int:
    """When a task is born, µs: by the store's clock, and later than all that were before it."""
    return int(_BIRTH.run(connection, "begin a task", [store_keys(prefix).births], []))


def fence_positions(
    connection: Connection,
    prefix: str,
    partitions: Sequence[int],
    log: str = READINGS,
    consumer: str = SUMS,
) -> dict[int, int]:
    """Partition → the position of a consumer's fence, in one round trip."""
    pipeline = connection.redis.pipeline(transaction=False)
    for p in partitions:
        pipeline.hget(partition_keys(prefix, p, log, consumer).fence, "position")
    found = connection.run("read the fences", pipeline.execute) if partitions else []
    return {p: int(position or 0) for p, position in zip(partitions, found, strict=True)}


class PartitionStore:
    """One partition of a log as one of its consumers keeps it: its fence, and what moves with it.

    hold: see `AS_LONG_AS_NEEDED`; keep_dead, keep_dead_bytes: dead letters kept at most.
    """

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        partition: int,
        *,
        log: str = READINGS,
        consumer: str = SUMS,
        hold: int = AS_LONG_AS_NEEDED,
        keep_dead: int = KEEP_DEAD,
        keep_dead_bytes: int = KEEP_DEAD_BYTES,
    ) -> None:
        self.connection, self.prefix, self.partition = connection, prefix, partition
        self.consumer, self.hold = consumer, hold
        self.keep_dead = f"{keep_dead} {keep_dead_bytes}"
        self.keys = partition_keys(prefix, partition, log, consumer)
        self.births, self._backlog = store_keys(prefix).births, backlog_key(prefix, log)

    def acquire(self, birth_us: int, first: Mapping[str, Argument] | None = None) -> Fence:
        """Take the partition. FencedOff if a task born later owns it.

        birth_us: what `give_birth` said when the task began; first: scalars that the fence gets
        if it has none of that name yet, what is in force from the first entry on.
        """
        arguments: list[Argument] = [birth_us, secrets.token_hex(8), self.consumer, self.hold]
        k = self.keys
        for scalar in (first or {}).items():
            arguments += scalar
        answer = _ACQUIRE.run(
            self.connection,
            "take a partition",
            [k.fence, k.poison, k.snapshots, self.births, k.log, k.head, self._backlog],
            arguments,
        )
        if not answer[0]:
            raise FencedOff(self.partition, f"born at {birth_us} µs", answer[1].decode())
        _, _, fence, poisoned, known, trimmed = answer
        marks = (Mark(int(p), n.decode()) for n, p in zip(known[::2], known[1::2], strict=True))
        return Fence.of(
            dict(zip(fence[::2], fence[1::2], strict=True)),
            frozenset(map(int, poisoned)),
            tuple(marks),
            int(trimmed),
        )

    def fence(self) -> Fence:
        """The fence as it stands."""
        redis = self.connection.redis
        found: Any = self.connection.run("read a fence", lambda: redis.hgetall(self.keys.fence))
        return Fence.of(found)

    def renew(self, token: str) -> str:
        """A new token for who holds `token`; FencedOff if it is the owner's no more.

        Whoever undid what a lost answer may have committed goes on under a new one: the store
        may have had it and lost it, and the same token must not stand for two histories.
        """
        answer = _RENEW.run(
            self.connection, "renew a token", [self.keys.fence], [token, secrets.token_hex(8)]
        )
        if not answer[0]:
            raise FencedOff(self.partition, token, answer[1].decode())
        return str(answer[1].decode())

    def try_block(self, token: str, position: int, attempts: int) -> tuple[bool, int]:
        """Before the block after the fence is tried alone: (it may be, how often it was begun).

        False, and nothing is counted, once it was begun `attempts` times; what one
        token begins again counts once. FencedOff, FenceMoved: as for `commit`.
        """
        arguments: list[Argument] = [token, position, attempts]
        said, value = _TRY.run(self.connection, "try a block", [self.keys.fence], arguments)
        if said == b"owner":
            raise FencedOff(self.partition, token, value.decode())
        if said == b"moved":
            raise FenceMoved(self.partition, position - 1, int(value))
        return said == b"try", int(value)

    def confirm_snapshot(self, token: str, mark: Mark, stay: Sequence[Mark]) -> bool:
        """Let the store know a snapshot that is on disk, and forget all but it and `stay`.

        False: the partition is another's, or the store went back below it or forgot one of
        `stay`; it must not get its name.
        """
        keys = [self.keys.fence, self.keys.snapshots]
        arguments: list[Argument] = [token, mark.position, mark.nonce]
        arguments += [other.nonce for other in stay]
        answer = _CONFIRM.run(self.connection, "confirm a snapshot", keys, arguments)
        return bool(answer[0] == b"ok")

    def replay_failed(self, token: str) -> int:
        """Count that the log could not be replayed up to the fence; how often, since it moved."""
        said, value = _REPLAY_FAILED.run(
            self.connection, "count a failed replay", [self.keys.fence], [token]
        )
        if said == b"owner":
            raise FencedOff(self.partition, token, value.decode())
        return int(value)

    def stand_still(self, token: str, why: str) -> None:
        """Keep why the partition stands still, until a commit; the block after the fence was
        not tried then. token: its owner's, or "" where taking it failed already."""
        _STAND_STILL.run(self.connection, "say what stops it", [self.keys.fence], [token, why])

    def commit(
        self,
        token: str,
        expected: int,
        position: int,
        writes: Writes = NOTHING,
        *,
        committed_bytes: int,
        poisoned: int = 0,
        chain: bytes | None = None,
    ) -> None:
        """Move the fence from `expected` to `position` and write the rest with it.

        committed_bytes: bytes of the entries expected+1 … position; poisoned: a position that is
        passed unapplied (0: none); chain: that of the entry at `position` as it was read.
        FencedOff, FenceMoved, or LogGap where the log holds other entries by now:
        nothing was written. StoreUnreachable: it may have been; `fence` tells.
        """
        k = self.keys
        keys = [k.fence, k.poison, k.log, k.head, self._backlog]
        arguments: list[Argument] = [token, expected, position, committed_bytes, poisoned]
        arguments += (b"-" if chain is None else chain, self.consumer)
        effects = Effects(k, self.prefix, self.partition, len(keys))
        effects.say(writes, self.keep_dead)
        answer = _COMMIT.run(
            self.connection,
            "commit a batch",
            keys + effects.keys,
            arguments + effects.arguments,
        )
        if answer[0] == b"owner":
            raise FencedOff(self.partition, token, answer[1].decode())
        if answer[0] == b"moved":
            raise FenceMoved(self.partition, expected, int(answer[1]))
        if answer[0] == b"lost":
            raise LogGap(
                f"partition {self.partition}: entries {expected + 1} to {position} of the log are "
                "not those that this batch was made of",
                "the store went back meanwhile; the batch is planned again from the fence",
            )

    def skip(self, token: str, expected: int) -> tuple[int, int]:
        """Go on behind what was trimmed before this consumer, which does not hold the log, came
        there: (position of the fence now, entries lost). They are counted as `lost_entries`.
        FencedOff, FenceMoved: as for `commit`."""
        k = self.keys
        said, value, *lost = _SKIP.run(
            self.connection,
            "pass what is trimmed",
            [k.fence, k.poison, k.head, k.audit],
            [token, expected, self.consumer],
        )
        if said == b"owner":
            raise FencedOff(self.partition, token, value.decode())
        if said == b"moved":
            raise FenceMoved(self.partition, expected, int(value))
        return int(value), int(lost[0])

    def audit(self) -> dict[str, int]:
        return self._counts(self.keys.audit)

    def audit_day(self, utc_day: int, channel: int) -> dict[str, int]:
        return self._counts(self.keys.audit_day(utc_day, channel))

    def audit_producer(self, name: str) -> dict[str, int]:
        return self._counts(self.keys.audit_producer(name))

    def _counts(self, key: str) -> dict[str, int]:
        redis = self.connection.redis
        found: Any = self.connection.run("read counters", lambda: redis.hgetall(key))
        return {name.decode(): int(n) for name, n in found.items()}
