"""Rows of a register's source as numbers: what a reader of files hands to the register."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Source(NamedTuple):
    """A file; start: rows before it; first_line: the line of its first row (0: it has none)."""

    path: Path
    start: int
    first_line: int = 0


class Named(NamedTuple):
    """Rows whose id is no number (see `textkeys`): at int64[k] ascending, names S40[k]."""

    at: npt.NDArray[np.int64]
    names: npt.NDArray[np.bytes_]

    def name(self, place: int) -> str:
        """The id at a place of `at`, or "" if it is a number."""
        i = int(np.searchsorted(self.at, place))
        found = i < len(self.at) and self.at[i] == place
        return self.names[i].decode("ascii").strip() if found else ""


@dataclass(frozen=True)
class Rows:
    """All rows of some files: ids uint64[n] (keys), days uint16[n], entries uint64[n]."""

    ids: npt.NDArray[np.uint64]
    days: npt.NDArray[np.uint16]
    entries: npt.NDArray[np.uint64]
    tariffs: tuple[str, ...]
    regions: tuple[str, ...]
    sources: tuple[Source, ...]
    named: Named

    def meter(self, row: int) -> str:
        """A row's id as it stands in the file."""
        return self.named.name(row) or str(self.ids[row])

    def place(self, row: int) -> str:
        """Where row number `row` (from 0, over all files) stands, as a message names it."""
        source = self.sources[bisect_right([s.start for s in self.sources], row) - 1]
        return place_of(source.path, row - source.start, self.meter(row), source.first_line)


def place_of(file: Path, row: int, meter: object, first_line: int = 0) -> str:
    """Where row number `row` of a file (from 0) stands, as a message names it."""
    where = f"line {row + first_line}" if first_line else f"row {row + 1}"
    return f"{file.name}, {where}, id {meter}"
