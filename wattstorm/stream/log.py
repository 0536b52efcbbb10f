"""What a consumer asks of a log: the protocol, so that another log than the store's can be one.

A log has partitions; an entry has a position in its partition, and entries come in the order of
their positions. Positions rise and may have holes: who reads first … last gets what there is
between, and a batch ends at the position that it names, whether an entry stands there or not.
The same positions always give the same entries, as long as they are there. What is not there any
more is a LogGap, never an answer that is shorter. `tests/stream/contracts/log.py` says it in
tests, for any log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wattstorm.store.log import Entry


class Log(Protocol):
    """See the module."""

    @property
    def name(self) -> str: ...

    def tails(self, partitions: Sequence[int]) -> list[int]:
        """Each partition's last position, 0 where there was never an entry."""

    def first(self, partition: int) -> int:
        """The first position that was not trimmed: nothing below it can be read."""

    def read(self, partition: int, first: int, last: int) -> list[Entry]:
        """The entries in first … last, both included, ascending. LogGap if any that was there is
        no more, or if `last` was never there: the log went back to an earlier state."""

    def trim(
        self, partition: int, position: int, token: str, nonce: str = "", *, consumer: str
    ) -> int:
        """A consumer needs nothing up to `position` any more; the first position left. FencedOff
        if `token` is not its owner's; FenceMoved if its fence is below `position`, or the snapshot
        `nonce` is not known to the store (any more)."""

    def kept(self) -> int:
        """Bytes not trimmed yet, in all partitions."""

    def held(self, partitions: Sequence[int], consumer: str) -> tuple[int, int]:
        """Bytes in these partitions: not trimmed, and not saved yet by a consumer."""
