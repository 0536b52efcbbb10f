"""Readings → checked against register and grid, routed to partitions, cut into blocks.

A block holds one partition's readings of one UTC day at most: history passes
through the same open days as live data, so no block may reach over several.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from wattstorm.ingest.readings import Cell, Readings
from wattstorm.metering import block as blocks
from wattstorm.metering.block import Block
from wattstorm.metering.checks import Outcome
from wattstorm.metering.slots import SlotGrid
from wattstorm.register.register import Register

FINE: Final = 0
_US: Final = 1_000_000
_WHOLE_ROW: Final = {
    Cell.BEYOND: "more cells than the header names: is a decimal comma not quoted?",
    Cell.INCOMPLETE: "not every part of the slot is there once",
}


@dataclass(frozen=True)
class Checked:
    """dense: int32[n], -1 unknown; slots: int32[n]; reason: uint8[n], FINE or the `Outcome` by
    which the row is no reading."""

    dense: npt.NDArray[np.int32]
    slots: npt.NDArray[np.int32]
    reason: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Router:
    """Knows who the meters are and where the slots begin. block: readings in a block, at most."""

    register: Register
    grid: SlotGrid
    channel: blocks.Channel = blocks.Channel.IMPORT
    block: int = 50_000

    def check(self, rows: Readings) -> Checked:
        """Of several reasons against a row the gravest: a cell, then the meter, then the grid."""
        dense = self.register.lookup(rows.ids)
        slots, on_grid = self.grid.slot_of(rows.at // _US)
        reason = np.zeros(len(rows), np.uint8)
        reason[~on_grid | (rows.at % _US != 0)] = Outcome.OFF_GRID
        reason[dense < 0] = Outcome.UNKNOWN_METER
        reason[rows.unreadable != 0] = Outcome.UNREADABLE
        return Checked(dense, slots, reason)

    def blocks(self, rows: Readings, checked: Checked) -> Iterator[Block]:
        """The rows that are readings, by day and then by partition, each block in their order."""
        return (block for block, _ in self.parts(rows, checked))

    def parts(
        self, rows: Readings, checked: Checked
    ) -> Iterator[tuple[Block, npt.NDArray[np.intp]]]:
        """`blocks`, each with the places of its rows."""
        good = np.flatnonzero(checked.reason == FINE)
        partition = checked.dense[good] // self.register.partition_size
        day = checked.slots[good] // self.grid.per_day
        order = np.lexsort((partition, day))
        good, partition, day = good[order], partition[order], day[order]
        ends = np.flatnonzero((np.diff(partition) != 0) | (np.diff(day) != 0)) + 1
        edges = [0, *ends.tolist(), len(order)]
        for first, stop in itertools.pairwise(edges):
            for at in range(first, stop, self.block):
                part = good[at : min(at + self.block, stop)]
                block = blocks.readings(
                    int(partition[at]),
                    checked.dense[part],
                    checked.slots[part],
                    rows.wh[part],
                    version=_constant(rows.version[part]),
                    channel=self.channel,
                    slot_minutes=self.grid.minutes,
                )
                yield block, part

    def why(self, outcome: Outcome, unreadable: int) -> str:
        """What is wrong with a refused row, in words. unreadable: its bits of `Cell`."""
        if outcome is Outcome.UNKNOWN_METER:
            return "not in the register"
        if outcome is Outcome.OFF_GRID:
            return f"starts no slot of {self.grid.minutes} minutes"
        for cell, words in _WHOLE_ROW.items():
            if unreadable & cell:
                return words
        names = (str(cell.name).lower() for cell in Cell if unreadable & cell)
        return "cannot be read: " + ", ".join(names)


def _constant(version: npt.NDArray[np.uint16]) -> npt.ArrayLike:
    return int(version[0]) if (version == version[0]).all() else version
