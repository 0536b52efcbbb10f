"""A partition's meters in parts: what is said of segments and scores is said of one part."""

from __future__ import annotations

from typing import Final

MAX_METERS: Final = 65_536
"""Of one part: so that an entry of a log has a few MB at most."""


def firsts(meters: int) -> range:
    """The first meter of each part of a partition of so many.

    >>> list(firsts(70_000))
    [0, 65536]
    """
    return range(0, meters, MAX_METERS)
