"""Everything wattstorm raises on purpose.

    WattstormError                     exit code 1
    ├── UsageError                     2   a setting or an argument that cannot be meant
    ├── StoreError                     3   the store does not do what was asked of it
    │   ├── StoreUnreachable               nobody answers at the address, or the answer was lost
    │   ├── StoreRefused                   wrong user, password, certificate or permission
    │   ├── StoreFull                      memory limit reached, writes are refused
    │   ├── StoreReadOnly                  a replica, or a store that cannot write its disk
    │   └── StoreTooOld                    a version without what wattstorm needs
    ├── DataError                      4   bytes, rows or files that are not what they say
    │   ├── BlockError                     a block that cannot be decoded
    │   ├── SlotError                      a time off the grid, or a grid that no calendar fits
    │   ├── RegisterError                  a meter register that must not be built or opened
    │   ├── IngestError                    an input file that cannot be read at all
    │   ├── SnapshotError                  a snapshot that is damaged or of another version
    │   ├── TrainingError                  homes that no generator can be fitted on
    │   └── ArtefactError                  a fitted model that is damaged or of another version
    ├── ClusterError                   1   a Storm cluster that cannot do what was asked of it
    └── StreamError                    1   the transactional contract says no
        ├── FencedOff                      another task owns the partition now
        ├── FenceMoved                     the fence is not where this task left it
        ├── FewerPartitions                a publisher slept while a register added partitions
        ├── LogGap                         entries that a batch names are no longer in the log
        ├── LogFull                        the backlog bound is reached and nobody consumes
        ├── BlocksLost                     the store lost blocks that the producer no longer holds
        ├── EmitError                      a tuple that Storm's JSON cannot carry
        └── EngineError                    a worker or topology that cannot be run

Each message names the value, the limit it broke and the remedy. A subclass
adds fields, never another meaning; `exit_code` is what the command line ends
with when the error reaches it.
"""

from __future__ import annotations

from typing import ClassVar


class WattstormError(Exception):
    """Root of all errors raised on purpose.

    `remedy` is what the reader of the message can do next; it is kept apart
    so that a terminal and a log can show it differently.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        self.what = what
        self.remedy = remedy
        super().__init__(f"{what}; {remedy}" if remedy else what)


class UsageError(WattstormError):
    exit_code = 2


class StoreError(WattstormError):
    exit_code = 3


class StoreUnreachable(StoreError):
    """No answer. What was sent may or may not have been carried out."""


class StoreRefused(StoreError):
    pass


class StoreFull(StoreError):
    pass


class StoreReadOnly(StoreError):
    pass


class StoreTooOld(StoreError):
    pass


class DataError(WattstormError):
    exit_code = 4


class BlockError(DataError):
    """A block that cannot be decoded; `reason` is the dead letter's reason code."""

    def __init__(self, reason: str, what: str, remedy: str = "") -> None:
        self.reason = reason
        super().__init__(f"block refused ({reason}): {what}", remedy)


class FrameError(DataError):
    """A segment frame that cannot be decoded; `reason` is the dead letter's reason code."""

    def __init__(self, reason: str, what: str) -> None:
        self.reason = reason
        super().__init__(f"segment frame refused ({reason}): {what}")


class SlotError(DataError):
    pass


class RegisterError(DataError):
    pass


class IngestError(DataError):
    pass


class SnapshotError(DataError):
    pass


class TrainingError(DataError):
    pass


class ArtefactError(DataError):
    pass


class ClusterError(WattstormError):
    pass


class StreamError(WattstormError):
    pass


class FencedOff(StreamError):
    def __init__(self, partition: int, mine: str, owner: str) -> None:
        self.partition = partition
        super().__init__(
            f"partition {partition} is owned by task {owner}, this is task {mine}",
            "nothing was written; the newer task goes on from the fence",
        )


class FenceMoved(StreamError):
    """The stored fence differs from the one this task's memory reflects."""

    def __init__(self, partition: int, expected: int, found: int) -> None:
        self.partition, self.expected, self.found = partition, expected, found
        super().__init__(
            f"partition {partition}: the fence stands at {found}, this task left it at {expected}",
            "the task drops its memory and starts again from a snapshot that the store knows",
        )


class FewerPartitions(StreamError):
    """Who wants to publish does not know of partitions that others have published of."""


class LogGap(StreamError):
    pass


class LogFull(StreamError):
    pass


class BlocksLost(StreamError):
    pass


class EmitError(StreamError):
    pass


class EngineError(StreamError):
    pass


def of_installation(error: BaseException) -> bool:
    """Whether a block that was applied when this was raised is innocent of it.

    A register, a setting, a file, memory or a package that is not as it must be would
    stop every other block as well, and goes on with all of them once it is mended.
    """
    if isinstance(error, WattstormError):
        return not isinstance(error, BlockError | StreamError)
    return isinstance(error, MemoryError | OSError | ImportError)


def remedy_of(error: BaseException) -> str:
    """What to do about an error `of_installation`."""
    if isinstance(error, WattstormError) and error.remedy:
        return error.remedy
    if isinstance(error, MemoryError):
        return "give the process more memory, or fewer partitions (more workers, more machines)"
    return "mend that; the stream goes on from where it stands"
