"""What every log must do for its consumers: one subclass of `LogContract` per log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wattstorm.errors import FencedOff, FenceMoved, LogGap
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.stream.log import Log


class LogContract:
    """`log`: an empty one of one partition at least; `append`: (data, kind) → position."""

    @pytest.fixture
    def log(self, connection: Connection) -> Log:
        raise NotImplementedError

    @pytest.fixture
    def append(self, log: Any) -> Callable[..., int]:
        raise NotImplementedError

    def test_an_empty_log_has_no_tail(self, log: Log) -> None:
        assert (log.tails([0]), log.first(0), log.kept()) == ([0], 1, 0)
        with pytest.raises(LogGap):
            log.read(0, 1, 1)

    def test_entries_are_read_as_they_were_written_each_time(
        self, log: Log, append: Callable[..., int]
    ) -> None:
        """Bytes and kinds, in the order of positions that rise; two reads give the same."""
        written = [
            (append(b"%d" % i, kind), b"%d" % i, kind) for i, kind in enumerate(["", "a", ""])
        ]
        last = log.tails([0])[0]
        found = log.read(0, 1, last)
        assert [(e.position, e.data, e.kind) for e in found] == written
        assert sorted({e.position for e in found}) == [e.position for e in found]
        assert found == log.read(0, 1, last)
        assert all(entry.arrived_ms > 1_600_000_000_000 for entry in found)

    def test_any_part_of_it_is_read_alone(self, log: Log, append: Callable[..., int]) -> None:
        """Two halves are the whole, wherever it is cut."""
        for i in range(6):
            append(b"%d" % i)
        last = log.tails([0])[0]
        whole = log.read(0, 1, last)
        for cut in range(1, last):
            assert log.read(0, 1, cut) + log.read(0, cut + 1, last) == whole

    def test_what_was_never_there_is_a_gap(self, log: Log, append: Callable[..., int]) -> None:
        """Not a shorter answer: the log may have gone back."""
        append(b"one")
        last = log.tails([0])[0]
        with pytest.raises(LogGap):
            log.read(0, 1, last + 1)

    def test_what_is_trimmed_is_a_gap_and_the_rest_stays(
        self, log: Log, append: Callable[..., int], connection: Connection
    ) -> None:
        """Only its owner trims, only behind its fence; what is kept is counted."""
        positions = [append(b"%05d" % i) for i in range(4)]
        store = PartitionStore(connection, "w", 0, log=log.name, consumer="it")
        fence = store.acquire(1)
        with pytest.raises(FenceMoved):
            log.trim(0, positions[1], fence.token, consumer="it")
        store.commit(fence.token, 0, positions[2], committed_bytes=15)
        with pytest.raises(FencedOff):
            log.trim(0, positions[1], "9:another", consumer="it")
        with pytest.raises(FenceMoved):
            log.trim(0, positions[1], fence.token, "no such snapshot", consumer="it")
        assert log.trim(0, positions[1], fence.token, consumer="it") == positions[1] + 1
        assert (log.first(0), log.kept()) == (positions[1] + 1, 10)
        assert log.held([0], "it") == (10, 10)
        last = log.tails([0])[0]
        assert [e.position for e in log.read(0, log.first(0), last)] == positions[2:]
        with pytest.raises(LogGap):
            log.read(0, positions[0], last)
        assert append(b"on") > positions[3], "positions go on behind what was trimmed"
