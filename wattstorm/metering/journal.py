"""What a day store did since the last commit, enough to take it back, in the order it was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wattstorm.metering.aggregates import SlotSums
from wattstorm.metering.block import Columns

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Window:
    """Which slots count, for one block: [low, future), of them <= closed are lost.

    low may lie after the ring's first slot: local days begin within days of UTC.

    late_before: accepted readings in slots below it are late, and raise the revision.
    """

    low: int
    future: int
    closed: int
    late_before: int


@dataclass(slots=True)
class BlockApplied:
    """What one block did, enough to take it back."""

    columns: Columns
    window: Window
    outcome: npt.NDArray[np.uint8]
    old_cell: npt.NDArray[np.uint16]
    old_wh: npt.NDArray[np.int32]
    old_rank: npt.NDArray[np.int32]


@dataclass(slots=True)
class DaysClosed:
    """The ring before it moved on: its first slot (-1: it had none), the join tables, and
    the rows whose places were given away. Tables are replaced, never written to."""

    low: int
    entries: Array
    table_of_row: Array
    rows: npt.NDArray[np.intp]
    saved: dict[str, Array]


@dataclass(slots=True)
class Rejoined:
    """What the rows had before their meters changed class: the join tables, and the sums."""

    entries: Array
    table_of_row: Array
    rows: npt.NDArray[np.intp]
    saved: dict[str, Array]


@dataclass(slots=True)
class Journal:
    entries: list[BlockApplied | DaysClosed | Rejoined] = field(default_factory=list)
    parting: dict[int, SlotSums] = field(default_factory=dict)
    """Last sums of slots that changed and were then closed."""
