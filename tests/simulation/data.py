"""What a store holds, and the commands that wattstorm uses, as Redis answers them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.values import (
    INF,
    Hash,
    Refused,
    Sorted,
    Status,
    Stream,
    id_of,
    limited,
    members_of,
    pairs_of,
    score_text,
)


class Data:
    """Keys and values; `before_write` is told of a key before it changes."""

    def __init__(self, now_us: Callable[[], int], before_write: Callable[[bytes], None]) -> None:
        self.now_us, self._before = now_us, before_write
        self.keys: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}

    def run(self, name: str, arguments: Sequence[bytes]) -> Any:
        """One command; `Refused` for what Redis refuses, NotImplementedError for what is not
        modelled."""
        command = COMMANDS.get(name)
        if command is None:
            raise NotImplementedError(f"the model of the store has no {name}: add it")
        return command[0](self, *arguments)

    def read(self, key: bytes, kind: type) -> Any:
        at = self.expires.get(key)
        if at is not None and at <= self.now_us():
            self.change(key)
            self.drop(key)
        value = self.keys.get(key)
        if value is not None and type(value) is not kind:
            raise Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def write(self, key: bytes, kind: type) -> Any:
        """The value, made if there is none."""
        value = self.read(key, kind)
        self.change(key)
        if value is None:
            value = self.keys[key] = kind()
        return value

    def change(self, key: bytes) -> None:
        self._before(key)

    def drop(self, key: bytes) -> bool:
        self.expires.pop(key, None)
        return self.keys.pop(key, None) is not None

    def _drop_if_empty(self, key: bytes) -> None:
        if not self.keys.get(key):
            self.drop(key)

    # --- strings and keys

    def get(self, key: bytes) -> Any:
        return self.read(key, bytes)

    def set(self, key: bytes, value: bytes, *options: bytes) -> Any:
        self.change(key)
        self.drop(key)
        self.keys[key] = value
        if options:
            unit, n = options
            assert unit == b"EX", options
            self.expires[key] = self.now_us() + int(n) * 1_000_000
        return Status(b"OK")

    def delete(self, *keys: bytes) -> Any:
        for key in keys:
            self.change(key)
        return sum(self.drop(key) for key in keys)

    def exists(self, *keys: bytes) -> Any:
        return sum(self.keys.get(key) is not None for key in keys)

    def expire(self, key: bytes, seconds: bytes, *_: bytes) -> Any:
        if key not in self.keys:
            return 0
        self.change(key)
        self.expires[key] = self.now_us() + int(seconds) * 1_000_000
        return 1

    def persist(self, key: bytes) -> Any:
        self.change(key)
        return int(self.expires.pop(key, None) is not None)

    # --- hashes

    def hset(self, key: bytes, *pairs: bytes) -> Any:
        if len(pairs) % 2 or not pairs:
            raise Refused("ERR wrong number of arguments for 'hset' command")
        value = self.write(key, Hash)
        before = len(value)
        value.update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(value) - before

    def hsetnx(self, key: bytes, name: bytes, value: bytes) -> Any:
        found = self.write(key, Hash)
        if name in found:
            return 0
        found[name] = value
        return 1

    def hget(self, key: bytes, name: bytes) -> Any:
        value = self.read(key, Hash)
        return value.get(name) if value else None

    def hmget(self, key: bytes, *names: bytes) -> Any:
        value = self.read(key, Hash) or {}
        return [value.get(name) for name in names]

    def hgetall(self, key: bytes) -> Any:
        return [x for pair in (self.read(key, Hash) or {}).items() for x in pair]

    def hkeys(self, key: bytes) -> Any:
        return list(self.read(key, Hash) or ())

    def hlen(self, key: bytes) -> Any:
        return len(self.read(key, Hash) or ())

    def hexists(self, key: bytes, name: bytes) -> Any:
        return int(name in (self.read(key, Hash) or ()))

    def hdel(self, key: bytes, *names: bytes) -> Any:
        value = self.read(key, Hash)
        if value is None:
            return 0
        self.change(key)
        gone = sum(value.pop(name, None) is not None for name in names)
        self._drop_if_empty(key)
        return gone

    def hincrby(self, key: bytes, name: bytes, by: bytes) -> Any:
        value = self.write(key, Hash)
        try:
            total = int(value.get(name, b"0")) + int(by)
        except ValueError:
            raise Refused("ERR value is not an integer or out of range") from None
        value[name] = b"%d" % total
        return total

    # --- sorted sets

    def zadd(self, key: bytes, *pairs: bytes) -> Any:
        if pairs[0] == b"XX":
            known = self.read(key, Sorted) or {}
            pairs = tuple(x for s, m in pairs_of(pairs[1:]) if m in known for x in (s, m))
            if not pairs:
                return 0
        value = self.write(key, Sorted)
        before = len(value)
        for score, member in pairs_of(pairs):
            value[member] = float(score)
        return len(value) - before

    def zscore(self, key: bytes, member: bytes) -> Any:
        score = (self.read(key, Sorted) or {}).get(member)
        return None if score is None else score_text(score)

    def zmscore(self, key: bytes, *members: bytes) -> Any:
        return [self.zscore(key, member) for member in members]

    def zcard(self, key: bytes) -> Any:
        return len(self.read(key, Sorted) or ())

    def zrem(self, key: bytes, *members: bytes) -> Any:
        value = self.read(key, Sorted)
        if value is None:
            return 0
        self.change(key)
        gone = sum(value.pop(member, None) is not None for member in members)
        self._drop_if_empty(key)
        return gone

    def zrange(self, key: bytes, first: bytes, last: bytes, *options: bytes) -> Any:
        rows = (self.read(key, Sorted) or Sorted()).ordered()
        stop = int(last)
        rows = rows[int(first) : None if stop == -1 else stop + 1]
        return members_of(rows, options)

    def zrangebyscore(self, key: bytes, low: bytes, high: bytes, *options: bytes) -> Any:
        rows = self._between(key, low, high)
        if options and options[0].upper() == b"LIMIT":
            at, n = int(options[1]), int(options[2])
            rows, options = rows[at : at + n], options[3:]
        return members_of(rows, options)

    def zremrangebyscore(self, key: bytes, low: bytes, high: bytes) -> Any:
        rows = self._between(key, low, high)
        return self.zrem(key, *(member for _, member in rows)) if rows else 0

    def zcount(self, key: bytes, low: bytes, high: bytes) -> Any:
        return len(self._between(key, low, high))

    def _between(self, key: bytes, low: bytes, high: bytes) -> list[tuple[float, bytes]]:
        rows = (self.read(key, Sorted) or Sorted()).ordered()
        above, a = low[:1] == b"(", float(low.lstrip(b"("))
        below, b = high[:1] == b"(", float(high.lstrip(b"("))
        return [
            r
            for r in rows
            if (r[0] > a if above else r[0] >= a) and (r[0] < b if below else r[0] <= b)
        ]

    # --- streams

    def xadd(self, key: bytes, *rest: bytes) -> Any:
        arguments, limit = list(rest), None
        if arguments[0].upper() == b"MAXLEN":
            skip = 3 if arguments[1] in (b"=", b"~") else 2
            limit, arguments = int(arguments[skip - 1]), arguments[skip:]
        stream = self.write(key, Stream)
        if arguments[0] == b"*":
            ms = self.now_us() // 1000
            last = stream.last
            number = (ms, 0) if ms > last[0] else (last[0], last[1] + 1)
        else:
            number = id_of(arguments[0], 0)
            if number <= stream.last:
                raise Refused(
                    "ERR The ID specified in XADD is equal or smaller than the target stream "
                    "top item"
                )
        stream.entries.append((number, arguments[1:]))
        stream.last = number
        if limit is not None:
            del stream.entries[: max(0, len(stream.entries) - limit)]
        return b"%d-%d" % number

    def xlen(self, key: bytes) -> Any:
        stream = self.read(key, Stream)
        return len(stream.entries) if stream else 0

    def xdel(self, key: bytes, *ids: bytes) -> Any:
        stream = self.read(key, Stream)
        if stream is None:
            return 0
        self.change(key)
        gone = {id_of(identity, 0) for identity in ids}
        before = len(stream.entries)
        stream.entries[:] = [entry for entry in stream.entries if entry[0] not in gone]
        return before - len(stream.entries)

    def xtrim(self, key: bytes, how: bytes, limit: bytes, *_: bytes) -> Any:
        stream = self.read(key, Stream)
        if stream is None:
            return 0
        self.change(key)
        if how.upper() == b"MAXLEN":
            gone = max(0, len(stream.entries) - int(limit))
        else:
            gone = bisect_left(stream.entries, (id_of(limit, 0), []))
        del stream.entries[:gone]
        return gone

    def xrange(self, key: bytes, low: bytes, high: bytes, *options: bytes) -> Any:
        return limited(self._entries(key, low, high), options)

    def xrevrange(self, key: bytes, high: bytes, low: bytes, *options: bytes) -> Any:
        return limited(self._entries(key, low, high)[::-1], options)

    def xread(self, *rest: bytes) -> Any:
        """It never waits: nobody else acts meanwhile, so nothing would come."""
        at = [word.upper() for word in rest].index(b"STREAMS")
        count = rest[:at][[word.upper() for word in rest[:at]].index(b"COUNT") + 1]
        names = rest[at + 1 :]
        found = []
        for key, after in zip(names[: len(names) // 2], names[len(names) // 2 :], strict=True):
            if rows := self.xrange(key, b"(" + after, b"+", b"COUNT", count):
                found.append([key, rows])
        return found or None

    def _entries(self, key: bytes, low: bytes, high: bytes) -> list[Any]:
        stream = self.read(key, Stream)
        if stream is None:
            return []
        above = low[:1] == b"("
        a = (0, 0) if low == b"-" else id_of(low.lstrip(b"("), 0)
        b = (INF, INF) if high == b"+" else id_of(high, INF)
        return [e for e in stream.entries if (e[0] > a if above else e[0] >= a) and e[0] <= b]

    def time(self) -> Any:
        return [b"%d" % part for part in divmod(self.now_us(), 1_000_000)]


READ, WRITE, GROWS = 0, 1, 2
"""What a command does: a write is refused by a replica or a full disk, one that grows the store
by full memory too."""
COMMANDS: dict[str, tuple[Callable[..., Any], int]] = {
    "GET": (Data.get, READ),
    "SET": (Data.set, GROWS),
    "DEL": (Data.delete, WRITE),
    "UNLINK": (Data.delete, WRITE),
    "EXISTS": (Data.exists, READ),
    "EXPIRE": (Data.expire, WRITE),
    "PERSIST": (Data.persist, WRITE),
    "TIME": (Data.time, READ),
    "HSET": (Data.hset, GROWS),
    "HSETNX": (Data.hsetnx, GROWS),
    "HGET": (Data.hget, READ),
    "HMGET": (Data.hmget, READ),
    "HGETALL": (Data.hgetall, READ),
    "HKEYS": (Data.hkeys, READ),
    "HLEN": (Data.hlen, READ),
    "HEXISTS": (Data.hexists, READ),
    "HDEL": (Data.hdel, WRITE),
    "HINCRBY": (Data.hincrby, GROWS),
    "ZADD": (Data.zadd, GROWS),
    "ZSCORE": (Data.zscore, READ),
    "ZCARD": (Data.zcard, READ),
    "ZMSCORE": (Data.zmscore, READ),
    "ZREM": (Data.zrem, WRITE),
    "ZRANGE": (Data.zrange, READ),
    "ZCOUNT": (Data.zcount, READ),
    "ZRANGEBYSCORE": (Data.zrangebyscore, READ),
    "ZREMRANGEBYSCORE": (Data.zremrangebyscore, WRITE),
    "XADD": (Data.xadd, GROWS),
    "XLEN": (Data.xlen, READ),
    "XDEL": (Data.xdel, WRITE),
    "XTRIM": (Data.xtrim, WRITE),
    "XREAD": (Data.xread, READ),
    "XRANGE": (Data.xrange, READ),
    "XREVRANGE": (Data.xrevrange, READ),
}
