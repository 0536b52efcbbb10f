"""What a consumer keeps of one partition of a log: the protocol of its state.

A state is a function of the log's prefix alone: of the entries in order, with their positions,
kinds and times of arrival. No clock, no setting that may change between two starts, no answer of
a store may enter it, or a replay makes another one than the stream did.

    apply, refuse    one entry, tentatively
    writes           what they change in the store, all together, since the last keep
    keep | undo      the commit is known | it was refused: exactly as at the last keep

`undo` must be exact: what a batch marks must not make its own replay take new readings for
doubles. `writes` is asked once before each commit, and never in a replay: what only it needs is
best made there. `snapshot` may be asked whenever nothing is tentative; its arrays are copied
before the state is changed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from wattstorm.store.log import Entry
from wattstorm.store.snapshots import Arrays
from wattstorm.store.writes import Writes

Scalars = Mapping[str, bytes]
"""What commits keep in the fence beside the contract's own fields."""


class State(Protocol):
    """See the module. number: the partition; position: of the last entry reflected, 0 for none."""

    @property
    def number(self) -> int: ...

    @property
    def position(self) -> int: ...

    def apply(self, entry: Entry) -> None:
        """Take the entry at position + 1, tentatively. One that cannot be read, or of a kind
        that is not known, is refused: passed, and said in `writes`. What is raised here fails
        the batch, and is tried again."""

    def refuse(self, entry: Entry, reason: str, what: str) -> None:
        """Pass the entry at position + 1 without applying it."""

    def writes(self) -> Writes:
        """What was applied since the last `keep`, as the store is to have it."""

    def keep(self) -> None:
        """What was applied is committed, or was long ago."""

    def undo(self) -> None:
        """Back to the last `keep`, exactly."""

    def start_after(self, position: int, scalars: Scalars) -> None:
        """Go on at a later position, though nothing is known of the entries in between. On a
        new state: all memory is lost, and the fence has passed them. On another one, of a
        consumer that does not hold its log: they are lost to it."""

    def resume(self, scalars: Scalars) -> None:
        """The state stands at the fence; the task goes on from here. scalars: the fence's."""

    def snapshot(self) -> tuple[Arrays, dict[str, Any]]:
        """(arrays, JSON header with "position") of what is kept. Arrays named `…/cells.<n>` are
        rows: those that did not change since the last snapshot are not written again."""

    def unsaved_rows(self) -> set[str]:
        """Names of the rows in `snapshot` that changed since this was last asked."""

    def restore(self, arrays: Arrays, header: dict[str, Any]) -> None:
        """Become what `snapshot` described, of an earlier version of this code too; called
        on a state that is new. SnapshotError for what is another's."""


MakeState = Callable[[int, Scalars], State]
"""(partition, the fence's scalars) → a state at position 0."""
