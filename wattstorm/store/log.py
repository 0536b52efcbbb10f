"""The log: one stream per partition, entries numbered 1, 2, 3 … without holes.

- `append` is idempotent: a producer numbers its blocks from 1 in each
  partition, and the log takes number n only after n - 1, and once.
- Entries leave only by `trim`, behind the fence and by the fence's owner;
  never by length, which would drop unread ones in silence.
- Bytes that wait for a commit are bounded, over all partitions: at the bound an
  append is "full" (or shed and counted), and nothing is written. See `backlog`.
- An entry has a kind: "" for a block, else what it says to whoever reads the log. All kinds
  take part in positions, chain and bytes alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from redis.exceptions import NoScriptError, ResponseError

from wattstorm.errors import FencedOff, FenceMoved, LogGap
from wattstorm.store.backlog import Bound
from wattstorm.store.backlog import read as read_backlog
from wattstorm.store.connection import Connection
from wattstorm.store.keys import READINGS, SUMS, LogKeys, backlog_key, log_keys, partition_keys
from wattstorm.store.scripts import Argument, Script

PRODUCER_LIFETIME_S: Final = 7 * 86_400
"""How long a producer's last number is remembered after its last block."""
_JOINED: Final = 16_384  # blocks below this are copied into one send, others sent in place

_APPEND, _CLAIM, _TRIM = Script("append", "add_entry"), Script("claim"), Script("trim", "holders")
_LET_GO = Script("let_go", "holders")


class Append(NamedTuple):
    """What is to be appended."""

    partition: int
    producer: str
    number: int
    data: bytes
    readings: int


class Appended(NamedTuple):
    """How it went.

    status: "new"; "double", it is there already; "gap", earlier numbers are
    missing; "full"; "shed", counted and dropped; "taken", a newer process uses
    the producer's name; "unclaimed", this session did not claim it in this store. position:
    in the log if new, else 0. last_number: the last one that the store has of this producer in
    this partition.
    """

    status: str
    position: int
    last_number: int


class Claim(NamedTuple):
    """taken: by who asked; last_number: the producer's; session: of who had the name before, or,
    where it was not to be taken, has it; "" for nobody."""

    taken: bool
    last_number: int
    session: str


class Entry(NamedTuple):
    """chain: stands for this entry and all before it, arrival times included; two logs
    that have the same one at a position are the same up to there. kind: "" for a block."""

    position: int
    data: bytes
    arrived_ms: int
    chain: bytes = b""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """Counters of one partition's log; bytes are blocks' bytes."""

    tail: int = 0
    appended: int = 0
    committed: int = 0
    trimmed: int = 0
    first: int = 1
    shed_blocks: int = 0
    shed_readings: int = 0


class Log:
    """All partitions of one log. `bound`: bytes that may wait in them together, 0 for no bound."""

    def __init__(
        self, connection: Connection, prefix: str, *, name: str = READINGS, bound: int = 0
    ) -> None:
        self.connection, self.prefix, self.bound = connection, prefix, Bound(bound)
        self.name, self._backlog = name, backlog_key(prefix, name)
        self._heads: dict[tuple[int, str], bytes] = {}

    def append(
        self,
        partition: int,
        producer: str,
        number: int,
        data: bytes,
        readings: int,
        *,
        shed: bool = False,
        session: str = "",
    ) -> Appended:
        """Append one block, once; see `Appended`."""
        one = Append(partition, producer, number, data, readings)
        return self.append_many([one], shed=shed, session=session)[0]

    def append_many(
        self,
        blocks: Sequence[Append],
        *,
        bound: Bound | None = None,
        shed: bool = False,
        session: str = "",
    ) -> list[Appended]:
        """Append in this order, in one round trip; one answer each.

        If it raises, any of them may or may not be in the log: `last_numbers` tells.
        """
        limit = self.bound if bound is None else bound
        tail = _bulk(b"%d" % limit.pool) + _bulk(b"%d" % limit.own)
        tail += _bulk(b"1" if shed else b"0") + _bulk(session.encode())
        tail += _bulk(b"%d" % PRODUCER_LIFETIME_S)

        def call() -> list[Any]:
            answers = self._exchange(self._packed(blocks, tail), len(blocks))
            for _ in range(3):
                first = next((i for i, a in enumerate(answers) if _unknown(a)), None)
                if first is None:
                    break
                # From the first one that was not taken: those behind it met a gap, or nothing.
                _APPEND.load(self.connection)
                rest = blocks[first:]
                answers[first:] = self._exchange(self._packed(rest, tail), len(rest))
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

        answers = self.connection.run("append to the log", call) if blocks else []
        return [Appended(a[0].decode(), a[1], a[2]) for a in answers]

    def _packed(self, blocks: Sequence[Append], tail: bytes) -> list[bytes]:
        """EVALSHA commands as the store reads them, small pieces joined, large blocks as they are.

        By hand because redis-py spends more time on packing than the store on appending.
        """
        sent: list[bytes] = []
        small: list[bytes] = []
        for partition, producer, number, data, readings in blocks:
            head = self._heads.get((partition, producer)) or self._head(partition, producer)
            n, r = b"%d" % number, b"%d" % readings
            small.append(b"%b%d\r\n%b\r\n$%d\r\n" % (head, len(n), n, len(data)))
            if len(data) > _JOINED:
                sent += (b"".join(small), data)
                small = []
            else:
                small.append(data)
            small.append(b"\r\n$%d\r\n%b\r\n%b" % (len(r), r, tail))
        sent.append(b"".join(small))
        return sent

    def _head(self, partition: int, producer: str) -> bytes:
        keys = self._keys(partition)
        names = (
            "EVALSHA",
            _APPEND.sha,
            "4",
            keys.log,
            keys.head,
            keys.producer(producer),
            self._backlog,
        )
        packed = b"*15\r\n" + b"".join(_bulk(name.encode()) for name in names) + b"$"
        if len(self._heads) > 10_000:
            self._heads.clear()
        self._heads[partition, producer] = packed
        return packed

    def _exchange(self, packed: list[bytes], count: int) -> list[Any]:
        """Send, then read `count` answers; errors of single answers are returned among them."""
        pool = self.connection.redis.connection_pool
        link = pool.get_connection()
        try:
            link.send_packed_command(packed, check_health=False)
            return [_answer(link) for _ in range(count)]
        except BaseException:
            link.disconnect()  # answers may still be on their way
            raise
        finally:
            pool.release(link)

    def claim(
        self, producer: str, partitions: Sequence[int], session: str, last: int | None = None
    ) -> list[Claim]:
        """Take a producer's name, per partition; `last` sets its last number anew."""
        number = "" if last is None else str(last)
        arguments: list[Argument] = [session, PRODUCER_LIFETIME_S, number]
        calls = [([self._keys(p).producer(producer)], arguments) for p in partitions]
        answers = _CLAIM.run_many(self.connection, "take a producer's name", calls)
        return [Claim(bool(taken), last, held.decode()) for taken, last, held in answers]

    def last_numbers(self, producer: str, partitions: Sequence[int]) -> list[int]:
        """The last number that the store has of this producer, a partition; 0: none."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.get(self._keys(p).producer(producer))
        found = self.connection.run("read a producer's last number", pipeline.execute)
        return [int(value.split(b" ")[0]) if value else 0 for value in found]

    def tails(self, partitions: Sequence[int]) -> list[int]:
        """Each partition's last position (0: empty), in one round trip."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hget(self._keys(p).head, "tail")
        return [int(tail or 0) for tail in self.connection.run("read the log", pipeline.execute)]

    def wait_beyond(self, positions: Mapping[int, int], timeout_ms: int) -> dict[int, int]:
        """Return when a log of `positions` (partition → position) has more, or after timeout_ms:
        partition → the next position that is there, of those that have more.

        At most half as long as a call may take: a wait is no sign that the store is away.
        """
        block_ms = max(1, min(timeout_ms, int(500 * self.connection.timeout_s)))
        keys = [self._keys(p).log for p in positions]
        after = [f"{position}-0" for position in positions.values()]
        if not positions:
            return {}
        found = self.connection.run(
            "wait for the log",
            lambda: self._raw("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *keys, *after),
        )
        of = dict(zip(keys, positions, strict=True))
        return {of[key.decode()]: int(rows[0][0].split(b"-")[0]) for key, rows in found or ()}

    def read(self, partition: int, first: int, last: int) -> list[Entry]:
        """Entries first … last, both included. LogGap if any of them is not there."""
        key = self._keys(partition).log
        command = ("XRANGE", key, f"{first}-0", f"{last}-0", "COUNT", max(1, last - first + 1))
        # In a list of its own: by the bare name redis-py would turn each entry into a dict.
        rows = self.connection.run("read the log", lambda: self._raw(*command))
        entries = [
            Entry(
                int(i.split(b"-")[0]),
                f[1],
                int(f[3]),
                f[7] if len(f) > 7 else b"",
                f[9].decode() if len(f) > 9 else "",
            )
            for i, f in rows
        ]
        if [entry.position for entry in entries] != list(range(first, last + 1)):
            found = f"{entries[0].position} to {entries[-1].position}" if entries else "none"
            raise LogGap(
                f"partition {partition}: entries {first} to {last} were asked, "
                f"{len(entries)} are there ({found})",
                "they were trimmed, or the store went back to an earlier state; ask the fence",
            )
        return entries

    def _raw(self, *command: str | int) -> Any:
        pool = self.connection.redis.connection_pool
        link = pool.get_connection()
        try:
            link.send_command(*command)
            return link.read_response()
        except ResponseError:
            raise
        except BaseException:
            link.disconnect()
            raise
        finally:
            pool.release(link)

    def trim(
        self, partition: int, position: int, token: str, nonce: str = "", *, consumer: str = SUMS
    ) -> int:
        """A consumer needs no entry up to `position`: remove those that nobody needs; the first
        one left.

        nonce: of the snapshot that reflects them, "" for whoever knows without. FencedOff if
        `token` is not the owner's, FenceMoved if the store went back: its fence is below
        `position`, or it does not know the snapshot (any more).
        """
        keys = partition_keys(self.prefix, partition, self.name, consumer)
        status, value = _TRIM.run(
            self.connection,
            "trim the log",
            [keys.fence, keys.head, keys.log, keys.poison, self._backlog, keys.snapshots],
            [token, position, nonce, consumer, SUMS if self.name == READINGS else ""],
        )
        if status == b"owner":
            raise FencedOff(partition, token, value.decode())
        if status == b"moved":
            raise FenceMoved(partition, position, int(value))
        return int(value)

    def let_go(self, consumer: str, partitions: Sequence[int]) -> None:
        """A consumer that is not run any more holds these partitions no longer."""
        calls: list[tuple[list[str], list[Argument]]] = [
            ([self._keys(p).head, self._backlog], [consumer]) for p in partitions
        ]
        _LET_GO.run_many(self.connection, "let go of the log", calls)

    def first(self, partition: int) -> int:
        """The first position that is not trimmed."""
        return self.status(partition).first

    def kept(self) -> int:
        """Bytes that are not trimmed, in all partitions."""
        return read_backlog(self.connection, self.prefix, self.name).kept

    def held(self, partitions: Sequence[int], consumer: str) -> tuple[int, int]:
        """Bytes in these partitions: not trimmed, and not saved yet by a consumer."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hmget(self._keys(p).head, "appended", "trimmed", f"from:{consumer}")
        found = self.connection.run("read the log's head", pipeline.execute) if partitions else []
        rows = [[int(value or 0) for value in row] for row in found]
        return (
            sum(appended - trimmed for appended, trimmed, _ in rows),
            sum(appended - saved for appended, _, saved in rows),
        )

    def status(self, partition: int) -> Head:
        return self.statuses([partition])[0]

    def statuses(self, partitions: Sequence[int]) -> list[Head]:
        """Heads in one round trip."""
        pipeline = self.connection.redis.pipeline(transaction=False)
        for p in partitions:
            pipeline.hgetall(self._keys(p).head)
        found = self.connection.run("read the log's head", pipeline.execute)
        names = set(Head.__dataclass_fields__)
        rows = [{key.decode(): value for key, value in head.items()} for head in found]
        return [Head(**{name: int(row[name]) for name in names & row.keys()}) for row in rows]

    def _keys(self, partition: int) -> LogKeys:
        return log_keys(self.prefix, partition, self.name)


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _answer(link: Any) -> Any:
    try:
        return link.read_response()
    except ResponseError as error:
        return error


def _unknown(answer: Any) -> bool:
    return isinstance(answer, NoScriptError)
