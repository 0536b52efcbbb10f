"""The meter register: external id → dense index → tariff, region, power, producer, by date.

Dense indices are given once, in the order in which ids first appear, and never
reused or renumbered; so are the codes of tariffs and regions. A register is a
directory of memory-mapped arrays: opening it reads a card, and all processes of
a machine share one copy. An extension makes a new version beside the old one, which
stays as long as a stream may need it (`files.prune`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from wattstorm.errors import RegisterError
from wattstorm.register import files, idindex
from wattstorm.register.arrays import (
    EPOCH,
    Arrays,
    Columns,
    class_counts,
    date_of,
    entries_of_slice,
    no_arrays,
    unpack,
)
from wattstorm.register.build import merge
from wattstorm.register.classes import Classes, extended, of_card
from wattstorm.register.rows import Rows

__all__ = ["Columns", "Register"]

MAX_PARTITION = 550_000
"""Meters whose day store and entries still fit the cache of a core."""
_PARTITIONS = 8
_COUNT_ROWS = 1 << 20
_COUNTS_KEPT = 64

RowReader: TypeAlias = Callable[[tuple[str, ...], tuple[str, ...]], Rows]
"""(known tariffs, known regions) → rows whose codes go on from these names."""


class Register:
    """One version of the register, read-only. Made by `build` or `open`.

    count: meters; tariffs, regions: names, whose positions are the codes; classes: their pairs;
    partition p holds the dense indices from p * partition_size on;
    version: 1 for the first build, one more with each extension that says something new.
    """

    def __init__(self, directory: Path, card: files.Card, arrays: Arrays) -> None:
        self.directory = directory
        self.card = card
        self.count: int = card["meters"]
        self.partition_size: int = card["partition_size"]
        self.partitions = -(-self.count // self.partition_size)
        self.tariffs: tuple[str, ...] = tuple(card["tariffs"])
        self.regions: tuple[str, ...] = tuple(card["regions"])
        self.classes = Classes(of_card(card))
        self.version: int = card["version"]
        self._arrays = arrays
        self._change_days = [
            date.fromisoformat(text).toordinal() - EPOCH for text in card["change_dates"]
        ]
        self._counts: dict[int, npt.NDArray[np.int64]] = {}

    @classmethod
    def build(
        cls, read: RowReader, directory: Path, *, partition_size: int | None = None
    ) -> Register:
        """Build a register of the rows that `read` gives, or extend the one in `directory`.

        In an extension new ids get the next dense indices, a later valid_from of a known id
        starts a new entry, and a row that says what is known is ignored. partition_size: fixed
        by the first build. Any refusal leaves the directory as it was. `read` is called under
        the directory's lock; from files: `wattstorm.files.meters.build_register`.
        """
        directory = Path(directory)
        with files.building(directory):
            known = files.load(directory) if files.exists(directory) else None
            old_card, old_arrays = known or (None, no_arrays())
            files.sweep(directory, old_card["version"] if old_card else 0)
            _check_partition_size(partition_size, old_card)
            rows = read(
                tuple(old_card["tariffs"]) if old_card else (),
                tuple(old_card["regions"]) if old_card else (),
            )
            if not len(rows.ids) and not known:
                names = ", ".join(str(source.path) for source in rows.sources)
                raise RegisterError(f"no rows in {names}", "a register needs a meter")
            arrays, days = merge(old_arrays, rows)
            if arrays is not old_arrays:
                card = _next_card(old_card, partition_size, arrays, rows, days)
                files.write(directory, card, arrays, known)
        return cls.open(directory)

    @classmethod
    def open(cls, directory: Path, version: int | None = None) -> Register:
        """Map a version of the directory's register; None: the newest."""
        card, arrays = files.load(Path(directory), version)
        return cls(Path(directory), card, arrays)

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether there is one to open; RegisterError for one that lost its card."""
        return files.exists(Path(directory))

    @property
    def checksum(self) -> str:
        """What stands for this version's contents: the same on every machine that has it."""
        return str(self.card["checksum"])

    def lookup(self, external_ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Dense indices int32[n] of keys (see `textkeys`; any integers, [n]); -1 = unknown."""
        wanted = np.asarray(external_ids)
        if wanted.dtype.kind not in "iu" and wanted.size:
            raise TypeError(f"external ids of type {wanted.dtype}; convert them to uint64")
        # A negative number becomes one that is no key: unknown, as it should be.
        wanted = np.ascontiguousarray(wanted.astype(np.uint64, copy=False))
        return idindex.find(wanted, self._arrays.ids, self._arrays.index)

    def external_ids(self, first: int, stop: int) -> npt.NDArray[np.uint64]:
        """Keys of the ids of the dense indices first to stop - 1: uint64, a read-only view."""
        self._check_slice(first, stop)
        return self._arrays.ids[first:stop]

    def meter(self, dense: int) -> str:
        """The id of a meter as its files have it."""
        self._check_slice(dense, dense + 1)
        at = int(np.searchsorted(self._arrays.named, dense))
        if at < len(self._arrays.named) and self._arrays.named[at] == dense:
            return bytes(self._arrays.names[at]).decode("ascii")
        return str(self._arrays.ids[dense])

    def epoch_on(self, day: int) -> int:
        """Number of distinct dates up to `day` on which some entry starts.

        day: local day number (days since 1970-01-01). Equal epochs, equal columns.
        """
        return bisect_right(self._change_days, day)

    def columns(self, first: int, stop: int, day: int) -> Columns:
        """What is valid on local day `day` for the dense indices first to stop - 1; copies."""
        self._check_slice(first, stop)
        known = self._arrays.first_days[first:stop] <= day
        return unpack(entries_of_slice(self._arrays, first, stop, int(day)), known)

    def counts(self, day: int) -> npt.NDArray[np.int64]:
        """Meters known on local day `day`: int64[tariffs, regions], read-only, by code."""
        epoch = self.epoch_on(day)
        if epoch not in self._counts:
            if len(self._counts) >= _COUNTS_KEPT:
                self._counts.clear()
            total = np.zeros((256, 256), np.int64)
            for first in range(0, self.count, _COUNT_ROWS):
                stop = min(first + _COUNT_ROWS, self.count)
                known = self._arrays.first_days[first:stop] <= day
                total += class_counts(entries_of_slice(self._arrays, first, stop, day), known)
            counts = total[: len(self.tariffs), : len(self.regions)].copy()
            counts.flags.writeable = False
            self._counts[epoch] = counts
        return self._counts[epoch]

    def verify(self) -> None:
        """Read all files and compare their checksums: RegisterError if one is damaged."""
        files.verify(self.directory, self.card)

    def _check_slice(self, first: int, stop: int) -> None:
        if not 0 <= first <= stop <= self.count:
            raise RegisterError(
                f"dense indices {first} to {stop} of a register of {self.count} meters",
                "ask for 0 <= first <= stop <= count",
            )


def _check_partition_size(wanted: int | None, card: files.Card | None) -> None:
    if wanted is not None and wanted < 1:
        raise RegisterError(f"partition_size {wanted}", "a partition holds one meter or more")
    if wanted is not None and card and wanted != card["partition_size"]:
        raise RegisterError(
            f"partition_size {wanted}, but the register was built with {card['partition_size']}",
            "leave it out: a meter never changes partition",
        )


def _next_card(
    old: files.Card | None,
    partition_size: int | None,
    arrays: Arrays,
    rows: Rows,
    days: npt.NDArray[np.int64],
) -> files.Card:
    """Card of the version that `arrays` make: what the old one fixed stays."""
    meters = len(arrays.ids)
    default = min(max(-(-meters // _PARTITIONS), 1), MAX_PARTITION)
    dates = {date_of(day).isoformat() for day in days}
    return {
        "version": old["version"] + 1 if old else 1,
        "meters": meters,
        "changes": len(arrays.change_keys),
        "named": len(arrays.named),
        "partition_size": old["partition_size"] if old else partition_size or default,
        "tariffs": list(rows.tariffs),
        "regions": list(rows.regions),
        "classes": extended(of_card(old) if old else (), rows.entries),
        "change_dates": sorted(dates | set(old["change_dates"] if old else ())),
    }
