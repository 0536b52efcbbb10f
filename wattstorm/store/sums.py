"""What a commit of the consumer `sums` changes, as `Writes`.

The counters of a UTC day stay a month longer than its results, as the results of a day may
change in another partition after it last changed in this one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from wattstorm.store.deadletters import DeadLetter
from wattstorm.store.keys import audit_of_day, audit_of_producer, slot_member
from wattstorm.store.log import PRODUCER_LIFETIME_S
from wattstorm.store.writes import Counters, Writes

Counts = Mapping[str, int]
COUNTERS_OUTLIVE_DAYS: Final = 31
"""As many as `stream.open_days` may be."""


def writes_of(
    *,
    partials: Mapping[tuple[int, int], bytes] | None = None,
    audit: Counts | None = None,
    by_day: Mapping[tuple[int, int], Counts] | None = None,
    by_producer: Mapping[str, Counts] | None = None,
    dead: Sequence[DeadLetter] = (),
    highest: int = -1,
    lows: Mapping[int, int] | None = None,
    marks: Mapping[int, int] | None = None,
    expire_days: int = 0,
) -> Writes:
    """partials: (channel, slot) → absolute sums; audit, by_day ((UTC day, channel) →),
    by_producer: counts to add; highest: newest slot accepted; lows: by channel the first slot
    that is still taken; marks: by channel the watermark; expire_days: days that results stay
    (0: for ever)."""
    days = expire_days + COUNTERS_OUTLIVE_DAYS if expire_days else 0
    total = {**(audit or {}), "dead": len(dead)}
    return Writes(
        sums={slot_member(*slot): sums for slot, sums in (partials or {}).items()},
        dead=dead,
        counters=[
            Counters("audit", total),
            *(Counters(audit_of_day(*d), n, days * 86_400) for d, n in (by_day or {}).items()),
            *(
                Counters(audit_of_producer(name), n, PRODUCER_LIFETIME_S)
                for name, n in (by_producer or {}).items()
            ),
        ],
        # A task without memory begins with no window: what was closed stays closed.
        rising={
            "highest": highest,
            **{f"low:{channel}": low for channel, low in (lows or {}).items()},
            **{f"mark:{channel}": mark for channel, mark in (marks or {}).items()},
        },
    )
