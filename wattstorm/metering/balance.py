"""What the curves of a day hold, beside what the counters say they must hold.

Conservation compares counters with counters: both sides of it are the same tally, and it
holds though sums are wrong. This one compares counters with curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class DayBalance:
    """One UTC day of one channel, of all partitions together.

    day: days since the epoch, UTC; readings_counted: readings that were the first of their
    meter and slot; wh_counted: Wh of the readings accepted, less those that they replaced;
    readings_in_curves, wh_in_curves: the published sums of the day's slots.

    >>> counters = {"new": 3, "corrected": 1, "wh_accepted": 70, "wh_replaced": 10}
    >>> balance = DayBalance.of(19_700, 0, counters, readings_in_curves=3, wh_in_curves=55)
    >>> balance.holds, balance.readings_missing, balance.wh_missing
    (False, 0, 5)
    """

    day: int
    channel: int
    readings_counted: int
    readings_in_curves: int
    wh_counted: int
    wh_in_curves: int

    @classmethod
    def of(
        cls,
        day: int,
        channel: int,
        counters: Mapping[str, int],
        *,
        readings_in_curves: int,
        wh_in_curves: int,
    ) -> DayBalance:
        """Out of the counters of the day and channel (`new`, `wh_accepted`, `wh_replaced`)."""
        return cls(
            day,
            channel,
            counters.get("new", 0),
            readings_in_curves,
            counters.get("wh_accepted", 0) - counters.get("wh_replaced", 0),
            wh_in_curves,
        )

    @property
    def readings_missing(self) -> int:
        """Readings that were counted and are not in the curves; negative: too many are."""
        return self.readings_counted - self.readings_in_curves

    @property
    def wh_missing(self) -> int:
        """Wh that were counted and are not in the curves; negative: too many are."""
        return self.wh_counted - self.wh_in_curves

    @property
    def holds(self) -> bool:
        """The curves hold what was counted, to the reading and to the Wh."""
        return self.readings_missing == self.wh_missing == 0
