"""The kinds of values that a store holds, and how Redis writes their parts."""

from __future__ import annotations

from typing import Any

INF = float("inf")


class Refused(Exception):
    """An error that the store answers, its code first: `OOM command not allowed …`."""


class Status(bytes):
    """An answer like +OK."""


class Hash(dict[bytes, bytes]):
    pass


class Sorted(dict[bytes, float]):
    """A sorted set: member → score."""

    def ordered(self) -> list[tuple[float, bytes]]:
        return sorted((score, member) for member, score in self.items())


class Stream:
    """Entries (id, fields) in order; an id is (ms, seq)."""

    def __init__(self) -> None:
        self.entries: list[tuple[tuple[int, int], list[bytes]]] = []
        self.last = (0, 0)

    def copy(self) -> Stream:
        other = Stream()
        other.entries, other.last = list(self.entries), self.last
        return other


def copied(value: Any) -> Any:
    if isinstance(value, Stream):
        return value.copy()
    return type(value)(value) if isinstance(value, dict) else value


def pairs_of(flat: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def id_of(text: bytes, missing: Any) -> Any:
    ms, _, seq = text.partition(b"-")
    return int(ms), int(seq) if seq else missing


def score_text(score: float) -> bytes:
    return b"%d" % score if score == score // 1 and abs(score) < 1e17 else b"%.17g" % score


def members_of(rows: list[tuple[float, bytes]], options: tuple[bytes, ...]) -> list[bytes]:
    if options and options[0].upper() == b"WITHSCORES":
        return [x for score, member in rows for x in (member, score_text(score))]
    return [member for _, member in rows]


def limited(entries: list[Any], options: tuple[bytes, ...]) -> list[Any]:
    if options:
        entries = entries[: int(options[1])]
    return [[b"%d-%d" % number, list(fields)] for number, fields in entries]
