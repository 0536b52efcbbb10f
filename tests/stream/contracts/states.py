"""What every State must do: one subclass of `StateContract` per state, and pytest runs it.

    class TestPeaks(StateContract):
        def new(self): return Peaks(0)
        def entries(self): return [...]

`entries`: a dozen or more, positions from 1, with one that cannot be read and one of a kind that
nobody knows; after them the state is not what it was before any of them.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from wattstorm.errors import SnapshotError
from wattstorm.store.log import Entry
from wattstorm.store.writes import RESERVED, Writes
from wattstorm.stream.state import State


def plain(state: State) -> Any:
    """All that a state's snapshot says, comparable; rows in order of their names."""
    arrays, header = state.snapshot()
    return header, {name: (a.dtype.str, a.tolist()) for name, a in sorted(arrays.items())}


def effects(writes: Writes) -> Any:
    """All that writes say, comparable."""
    return tuple(getattr(writes, name) for name in Writes.__dataclass_fields__)


def applied(state: State, entries: list[Entry]) -> State:
    """Kept after each."""
    for entry in entries:
        state.apply(entry)
        state.keep()
    return state


class StateContract:
    """See the module."""

    def new(self) -> State:
        raise NotImplementedError

    def entries(self) -> list[Entry]:
        raise NotImplementedError

    def scalars(self) -> dict[str, bytes]:
        """What the fence of a partition holds that nobody had before."""
        return {}

    def same(self, a: State, b: State) -> bool:
        """Whether two states are the same; a state with tables in no order says how."""
        return bool(plain(a) == plain(b))

    def test_the_same_entries_make_the_same_state_however_they_are_cut(self) -> None:
        """One by one, all at once, or in two parts: the batch is nothing that a state knows."""
        one_by_one, at_once = applied(self.new(), self.entries()), self.new()
        for entry in self.entries():
            at_once.apply(entry)
        at_once.keep()
        assert self.same(one_by_one, at_once)
        assert one_by_one.position == self.entries()[-1].position

    def test_what_is_not_kept_is_undone_exactly(self) -> None:
        """At each place: undone, the state is as at the last keep, and can take it again."""
        entries, state, plainly = self.entries(), self.new(), self.new()
        for at, entry in enumerate(entries):
            for ahead in entries[at : at + 3]:
                state.apply(ahead)
            state.undo()
            assert state.position == plainly.position
            assert self.same(state, plainly)
            applied(state, [entry])
            applied(plainly, [entry])

    def test_an_undone_batch_says_the_same_when_it_comes_again(self) -> None:
        """The commit that the store gets is that of a batch that never failed."""
        entries, state, plainly = self.entries(), self.new(), self.new()
        for entry in entries:
            state.apply(entry)
        state.undo()
        for entry in entries:
            state.apply(entry)
            plainly.apply(entry)
        assert effects(state.writes()) == effects(plainly.writes())

    def test_after_a_keep_nothing_is_said_twice(self) -> None:
        """Counters and dead letters are differences: a second commit must not add them again."""
        state = applied(self.new(), self.entries())
        again = state.writes()
        assert not again.dead
        assert not again.events
        assert again.sums == {}

    def test_a_snapshot_and_the_rest_equal_never_having_stopped(self) -> None:
        """From each place of the log on."""
        entries = self.entries()
        whole = applied(self.new(), entries)
        for at in range(len(entries)):
            before, after = applied(self.new(), entries[:at]), self.new()
            arrays, header = before.snapshot()
            assert header["position"] == before.position
            header = json.loads(json.dumps(header, allow_nan=False))
            after.restore({name: np.array(array) for name, array in arrays.items()}, dict(header))
            assert after.position == before.position
            assert self.same(applied(after, entries[at:]), whole)

    def test_another_schemas_snapshot_is_refused(self) -> None:
        """With a SnapshotError: then an older one, or the log, is taken."""
        arrays, header = applied(self.new(), self.entries()).snapshot()
        with pytest.raises(SnapshotError):
            self.new().restore(arrays, header | {"schema": 99})

    def test_what_cannot_be_read_is_passed_and_said(self) -> None:
        """Damaged bytes, and a kind that nobody knows: never an exception, always a dead letter."""
        state = self.new()
        state.apply(Entry(1, b"no block at all", 2**50))
        state.apply(Entry(2, b"{}", 2**50, kind="a kind of tomorrow"))
        assert state.position == 2
        assert [letter.position for letter in state.writes().dead] == [1, 2]

    def test_a_refused_entry_moves_the_position_and_nothing_else(self) -> None:
        """As poison does; its bytes are in a dead letter, with the reason."""
        entry, state = self.entries()[0], self.new()
        state.refuse(entry, "poison", "tried 5 times")
        (letter,) = state.writes().dead
        assert (letter.reason, letter.data, letter.what) == ("poison", entry.data, "tried 5 times")
        state.keep()
        assert state.position == entry.position

    def test_no_scalar_has_a_name_that_the_fence_keeps_itself(self) -> None:
        state = self.new()
        for entry in self.entries():
            state.apply(entry)
        writes = state.writes()
        assert not RESERVED & {*writes.rising, *writes.scalars}

    def test_a_state_that_starts_later_goes_on_from_there(self) -> None:
        """Without memory, at the position that it is given."""
        entries, state = self.entries(), self.new()
        state.start_after(entries[-1].position, self.scalars())
        state.resume(self.scalars())
        assert state.position == entries[-1].position
        state.undo()
        assert state.position == entries[-1].position
