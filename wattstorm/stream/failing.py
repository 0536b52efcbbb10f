"""What becomes of a partition whose work failed: it is dropped, waits, or stands still.

- the store says no (another owner, another fence, entries that are gone): dropped, taken anew;
- the store does not answer: it waits, and nothing tentative stays unless a commit is in doubt;
- the installation is not as it must be: it stands still, and its fence says why;
- anything else: dropped, and the next one who takes it is cautious.

The process goes on with its other partitions in each case.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from wattstorm.errors import (
    FencedOff,
    FenceMoved,
    LogGap,
    StoreError,
    WattstormError,
    of_installation,
    remedy_of,
)
from wattstorm.stream.saving import Owned

if TYPE_CHECKING:
    from logging import Logger

    from wattstorm.instruments import Instruments
    from wattstorm.store.commit import PartitionStore


class Failing:
    """The part of a `Consumer` that fails well."""

    logger: Logger
    instruments: Instruments
    owned: dict[int, Owned]
    batch: str
    down: bool
    failed: Callable[[Exception], None]
    store_of: Callable[[int], PartitionStore]
    let_through: tuple[type[BaseException], ...] = ()

    def guarded(self, partition: int, work: Callable[[], bool]) -> bool:
        """`work()`; False if it failed. Nothing tentative stays then."""
        try:
            done = work()
        except (FencedOff, FenceMoved, LogGap) as error:
            self.logger.warning("partition %d is dropped: %s%s", partition, error, self.batch)
            self.instruments.count("dropped")
            self.owned.pop(partition, None)
            return False
        except StoreError as error:
            if not self.down:
                self.logger.error("partition %d waits: %s%s", partition, error, self.batch)
            self.down = True
            own = self.owned.get(partition)
            if own is not None and own.doubt is None:
                own.state.undo()
            return False
        except self.let_through:
            raise
        except Exception as error:
            # The process may serve other partitions; this one is taken again, and counted.
            own = self.owned.pop(partition, None)
            if of_installation(error):
                self.stand_still(partition, own, error)
            else:
                what = "partition %d is dropped: %s%s"
                self.logger.exception(what, partition, error, self.batch)
            self.failed(error)
            return False
        self.down = False
        return done

    def stand_still(self, partition: int, own: Owned | None, error: Exception) -> None:
        """Say what stops the partition, where it is looked for; no block is to blame."""
        what = (
            error.what if isinstance(error, WattstormError) else f"{type(error).__name__}: {error}"
        )
        why = f"{what}; {remedy_of(error)}"
        what = "partition %d stands still: %s%s"
        self.logger.error(what, partition, why, self.batch, exc_info=error)
        with suppress(StoreError):  # then it is said at the next attempt
            self.store_of(partition).stand_still(own.token if own else "", why)
