"""What a consumer does whatever its log: one subclass of `ConsumerContract` per log.

The state is the toy of `peaks`, whose counter of entries tells of each whether it was taken once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.stream.clocks import Clock, SyncedDisk
from tests.stream.peaks import PEAKS, POISON_WH, Peaks, consumer
from tests.stream.town import DAY0, Town
from wattstorm.errors import StoreUnreachable
from wattstorm.metering import block as blocks
from wattstorm.store.commit import Fence, PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.stream.consumer import Consumer

METERS = 10


def block(slot: int, wh: int = 100) -> bytes:
    return blocks.encode(blocks.readings(0, np.arange(METERS), DAY0 + slot, [wh] * METERS))


class ConsumerContract:
    """`log`: an empty one; `append`: data → position."""

    @pytest.fixture
    def log(self, town: Town, connection: Connection) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def append(self, log: Any) -> Callable[[bytes], int]:
        raise NotImplementedError

    @pytest.fixture
    def make(self, town: Town, connection: Connection, log: Any) -> Callable[[], Consumer]:
        """Another task with the same log."""
        return lambda: consumer(town, connection, log, now=Clock(), disk=SyncedDisk())

    @pytest.fixture
    def store(self, town: Town, connection: Connection, log: Any) -> PartitionStore:
        prefix = town.settings.store.prefix
        return PartitionStore(connection, prefix, 0, log=log.name, consumer=PEAKS)

    def test_each_entry_is_taken_once_however_batches_are_cut(
        self, make: Any, append: Any, log: Any, store: PartitionStore
    ) -> None:
        """Overlapping, repeated, one by one; and one that is ahead is not taken."""
        for slot in range(8):
            append(block(slot))
        one, last = make(), log.tails([0])[0]
        assert not one.process(0, 3, last)
        for first, upto in ((1, 3), (2, 3), (1, 4), (5, 5), (4, last - 1), (1, last), (last, last)):
            assert one.process(0, first, upto)
        assert (store.fence().position, store.audit()) == (last, {"entries": 8})

    def test_a_successor_knows_what_the_one_before_knew(
        self, make: Any, append: Any, log: Any, store: PartitionStore
    ) -> None:
        """From the log, then from snapshot and log, then from a log that is trimmed."""
        append(block(0, 900))
        assert make().follow(0)
        for slot in range(1, 4):
            append(block(slot))
            two = make()
            assert two.follow(0)
            assert two.owned[0].state.peaks == dict.fromkeys(range(METERS), 900)
            for _ in range(2):
                two.saver.begin(two.owned[0])
                two.saver.collect(wait=True)
            two.tick()
        assert log.first(0) > 1
        assert store.audit() == {"entries": 4}

    def test_a_zombie_writes_nothing(self, make: Any, append: Any, store: PartitionStore) -> None:
        """Whom another succeeded; however often it tries."""
        append(block(0))
        old, new = make(), None
        assert old.follow(0)
        new = make()
        assert new.follow(0)
        append(block(1))
        assert not old.follow(0)
        assert not old.follow(0)
        assert store.audit() == {"entries": 1}
        assert new.follow(0)

    @pytest.mark.parametrize("carried_out", [True, False])
    def test_a_lost_answer_leaves_no_doubt(
        self, make: Any, append: Any, store: PartitionStore, carried_out: bool
    ) -> None:
        """The fence says whether the commit happened."""
        append(block(0))
        append(block(1, 700))
        one = make()
        real = one.commit

        def lost(*arguments: Any) -> None:
            if carried_out:
                real(*arguments)
            raise StoreUnreachable("the answer was lost")

        one.commit = lost
        assert not one.follow(0)
        one.commit = real
        assert one.follow(0)
        assert store.audit() == {"entries": 2}
        assert one.owned[0].state.peaks == dict.fromkeys(range(METERS), 700)

    def test_an_entry_that_it_cannot_bear_is_set_aside_and_passed(
        self, make: Any, append: Any, log: Any, store: PartitionStore
    ) -> None:
        """After so many tries, alone; its neighbours are taken, and no replay tries it again."""
        for wh in (100, POISON_WH, 300):
            append(block(0, wh))
        one = make()
        tries = next(n for n in range(20) if one.follow(0))
        assert tries == 1 + one.settings.batch.attempts
        assert store.audit() == {"entries": 2, "refused": 1}
        fence: Fence = store.fence()
        assert (fence.position, fence.tries) == (log.tails([0])[0], 0)
        assert make().follow(0)

    def test_what_failed_leaves_the_memory_as_it_was(
        self, make: Any, append: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A fault of the installation costs no try and changes nothing."""
        append(block(0))
        one = make()
        assert one.follow(0)
        append(block(1, 800))
        real = Peaks.apply

        def broken(state: Peaks, entry: Any) -> None:
            real(state, entry)
            raise MemoryError

        monkeypatch.setattr(Peaks, "apply", broken)
        assert not any(one.follow(0) for _ in range(7))
        monkeypatch.undo()
        assert one.follow(0)
        assert one.owned[0].state.peaks == dict.fromkeys(range(METERS), 800)
