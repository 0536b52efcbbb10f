"""The commit: what one batch changes, and the fence, in one script or not at all.

The fence is the position up to which a partition's log is in the sums. A task
owns a partition by a token that `acquire` gave it; taking the partition again
makes every older token worthless, so a task that slept meanwhile writes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wattstorm.errors import FencedOff, FenceMoved, LogGap
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.keys import partition_keys, slot_member, store_keys
from wattstorm.store.log import PRODUCER_LIFETIME_S
from wattstorm.store.scripts import Argument, Script
from wattstorm.store.snapshots import Mark

_ACQUIRE, _TRY, _COMMIT = Script("acquire"), Script("try_block"), Script("commit", "set_aside")
_STAND_STILL, _BIRTH = Script("stand_still"), Script("birth")
_CONFIRM, _REPLAY_FAILED = Script("confirm"), Script("replay_failed")
_RENEW = Script("renew")
Counts = Mapping[str, int]
COUNTERS_OUTLIVE_DAYS: Final = 31
"""As many as `stream.open_days` may be."""
KEEP_DEAD: Final = 10_000
KEEP_DEAD_BYTES: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Fence:
    """position: last one in the sums (0: none); token: its owner's ("": nobody's);
    highest: newest slot accepted (-1: none); birth_us: when its owner was born;
    takes: how often the partition was taken since the fence last moved; tries: how
    often the block after the fence was tried alone; poisoned (told by `acquire`
    only): positions in the log that were passed without being applied; fault (told by
    `fence` only): why the partition stands still, "" if it does not; lineage, snapshots
    (told by `acquire` only): which store's history this is, and the snapshots of it."""

    position: int
    token: str
    highest: int
    epoch: int = 0
    birth_us: int = 0
    takes: int = 0
    tries: int = 0
    poisoned: frozenset[int] = frozenset()
    fault: str = ""
    lineage: str = ""
    snapshots: tuple[Mark, ...] = ()


def give_birth(connection: Connection, prefix: str) -> int:
    """When a task is born, µs: by the store's clock, and later than all that were before it."""
    return int(_BIRTH.run(connection, "begin a task", [store_keys(prefix).births], []))


def fence_positions(
    connection: Connection, prefix: str, partitions: Sequence[int]
) -> dict[int, int]:
    """Partition → the position of its fence, in one round trip."""
    pipeline = connection.redis.pipeline(transaction=False)
    for p in partitions:
        pipeline.hget(partition_keys(prefix, p).fence, "position")
    found = connection.run("read the fences", pipeline.execute) if partitions else []
    return {p: int(position or 0) for p, position in zip(partitions, found, strict=True)}


class PartitionStore:
    """One partition's fence and sums.

    keep_dead, keep_dead_bytes: dead letters kept at most; expire_days: days that results stay
    after they last changed (0: for ever). The counters of a UTC day stay a month longer, as
    the results of a day may change in another partition after it last changed in this one.
    """

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        partition: int,
        *,
        keep_dead: int = KEEP_DEAD,
        keep_dead_bytes: int = KEEP_DEAD_BYTES,
        expire_days: int = 0,
    ) -> None:
        days = expire_days + COUNTERS_OUTLIVE_DAYS if expire_days else 0
        self.day_lifetime_s = days * 86_400
        self.connection, self.partition = connection, partition
        self.keep_dead = f"{keep_dead} {keep_dead_bytes}"
        self.keys, store = partition_keys(prefix, partition), store_keys(prefix)
        self.births, self._backlog = store.births, store.backlog

    def acquire(self, birth_us: int) -> Fence:
        """Take the partition. FencedOff if a task born later owns it.

        `birth_us`: what `give_birth` said when the task began.
        """
        nonce = secrets.token_hex(8)
        answer = _ACQUIRE.run(
            self.connection,
            "take a partition",
            [self.keys.fence, self.keys.poison, self.keys.snapshots, self.births],
            [birth_us, nonce],
        )
        if not answer[0]:
            raise FencedOff(self.partition, f"born at {birth_us} µs", answer[1].decode())
        _, position, token, highest, epoch, takes, tries, poisoned, lineage, known = answer
        return Fence(
            int(position),
            token.decode(),
            int(highest),
            epoch,
            birth_us,
            takes,
            int(tries),
            frozenset(map(int, poisoned)),
            lineage=lineage.decode(),
            snapshots=tuple(
                Mark(int(p), n.decode()) for n, p in zip(known[::2], known[1::2], strict=True)
            ),
        )

    def fence(self) -> Fence:
        """The fence as it stands."""
        names = ("position", "owner", "highest", "epoch", "birth", "takes", "tries", "fault")
        found: list[Any] = self.connection.run(
            "read a fence", lambda: self.connection.redis.hmget(self.keys.fence, names)
        )
        position, owner, highest, epoch, birth, takes, tries, fault = found
        return Fence(
            int(position or 0),
            (owner or b"").decode(),
            int(highest or -1),
            int(epoch or 0),
            int(birth or 0),
            int(takes or 0),
            int(tries or 0),
            fault=(fault or b"").decode("utf-8", "replace"),
        )

    def lows(self) -> dict[int, int]:
        """By channel the first slot that the last commit said is still taken."""
        redis = self.connection.redis
        found: Any = self.connection.run("read a fence", lambda: redis.hgetall(self.keys.fence))
        names = ((name.decode(), low) for name, low in found.items())
        return {int(name[4:]): int(low) for name, low in names if name.startswith("low:")}

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
        *,
        committed_bytes: int,
        highest: int = -1,
        partials: Mapping[tuple[int, int], bytes] | None = None,
        audit: Counts | None = None,
        by_day: Mapping[tuple[int, int], Counts] | None = None,
        by_producer: Mapping[str, Counts] | None = None,
        dead: Sequence[DeadLetter] = (),
        poisoned: int = 0,
        chain: bytes | None = None,
        lows: Mapping[int, int] | None = None,
    ) -> None:
        """Move the fence from `expected` to `position` and apply the rest with it.

        committed_bytes: bytes of the entries expected+1 … position; partials:
        (channel, slot) → absolute sums; audit, by_day ((UTC day, channel) →),
        by_producer: counts to add, each to an int64; poisoned: a position that is passed
        unapplied (0: none); chain: that of the entry at `position` as it was read.
        FencedOff, FenceMoved, or LogGap where the log holds other entries by now:
        nothing was written. StoreUnreachable: it may have been; `fence` tells.
        """
        days, names = by_day or {}, by_producer or {}
        keys = [*self._keys(), *(self.keys.audit_day(*day) for day in days)]
        keys += map(self.keys.audit_producer, names)
        keys.append(self._backlog)
        arguments: list[Argument] = [token, expected, position, committed_bytes, highest]
        arguments += [self.keep_dead, len(partials or {}), len(dead), len(days) + len(names)]
        arguments += (poisoned, b"-" if chain is None else chain)
        arguments.append(" ".join(f"{channel} {low}" for channel, low in (lows or {}).items()))
        for (channel, slot), sums in (partials or {}).items():
            arguments += (slot_member(channel, slot), sums)
        for letter in dead:
            arguments += (letter.reason, letter.position, letter.count, letter.data, letter.what)
        groups = [(0, audit or {}), *((self.day_lifetime_s, counts) for counts in days.values())]
        groups += [(PRODUCER_LIFETIME_S, counts) for counts in names.values()]
        for lifetime, counts in groups:
            nonzero = {name: int(n) for name, n in counts.items() if n}
            arguments += (lifetime, len(nonzero))
            for pair in nonzero.items():
                arguments += pair
        answer = _COMMIT.run(self.connection, "commit a batch", keys, arguments)
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

    def _keys(self) -> list[str]:
        k = self.keys
        return [
            k.fence,
            k.partials,
            k.dirty,
            k.audit,
            k.head,
            k.dead,
            k.poison,
            k.log,
            k.dead_account,
        ]

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
