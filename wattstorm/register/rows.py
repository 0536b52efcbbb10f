"""Rows of a register's source as numbers: what a reader of files hands to the register."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Rows:
    """All rows of some files: ids uint64[n], days uint16[n], entries uint64[n]."""

    ids: npt.NDArray[np.uint64]
    days: npt.NDArray[np.uint16]
    entries: npt.NDArray[np.uint64]
    tariffs: tuple[str, ...]
    regions: tuple[str, ...]
    files: tuple[Path, ...]
    starts: tuple[int, ...]
    """Number of rows before each file."""

    def place(self, row: int) -> str:
        """Where row number `row` (from 0, over all files) stands, as a message names it."""
        file = bisect_right(self.starts, row) - 1
        return place_of(self.files[file], row - self.starts[file], int(self.ids[row]))


def place_of(file: Path, row: int, meter: object) -> str:
    """Where row number `row` of a file (from 0) stands, as a message names it."""
    return f"{file.name}, row {row + 1}, id {meter}"
