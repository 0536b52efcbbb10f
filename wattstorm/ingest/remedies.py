"""What to do about readings that were refused, by the reason that they were refused for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REMEDIES: Final[Mapping[str, str]] = {
    "unreadable": "wattstorm dead shows the cells; wattstorm ingest -h the forms that are read",
    "off_grid": "their stamps start no slot: --stamps end, --sum, or WATTSTORM_STREAM_SLOT_MINUTES",
    "unknown_meter": "wattstorm register build with these meters, then "
    "wattstorm dead replay --reason unknown_meter",
    "too_high": "is the unit right (--unit), and contracted_power_va in VA, not kVA?",
    "negative": "producer = yes in the register allows it, or --channel export",
    "too_old": "give files in order of time, all in one command; WATTSTORM_STREAM_OPEN_DAYS keeps "
    "more days open, 31 at most",
    "future": "check the stamps' clock: --time-zone; WATTSTORM_STREAM_FUTURE_MINUTES",
    "wrong_grid": "they were sent with another stream.slot_minutes: send them again",
}


def gravest(rejected: Mapping[str, int]) -> tuple[str, int, str]:
    """(the most frequent reason, how often, what to do about it).

    >>> gravest({"off_grid": 1, "negative": 2})[:2]
    ('negative', 2)
    """
    reason = max(rejected, key=lambda name: rejected[name])
    return reason, rejected[reason], REMEDIES.get(reason, "see wattstorm dead")
