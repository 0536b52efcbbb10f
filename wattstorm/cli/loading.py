"""Rows of files → checked, cut into blocks, routed to partitions; refused rows set aside.

A block holds one partition's readings of one UTC day at most: history passes
through the same open days as live data, so no block may reach over several.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.files.readings import RAW
from wattstorm.metering import block as blocks
from wattstorm.metering.checks import Outcome
from wattstorm.metering.slots import SlotGrid
from wattstorm.register.register import Register
from wattstorm.store.intake import Intake, RefusedRow
from wattstorm.store.producer import Producer

_FINE: Final = 0
_US: Final = 1_000_000


@dataclass
class Loading:
    """Feeds a producer; `received` = readings sent + rows in `refused`."""

    register: Register
    grid: SlotGrid
    producer: Producer
    intake: Intake
    files: Sequence[Path]
    channel: blocks.Channel
    block: int
    received: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def load(self, rows: pl.DataFrame) -> None:
        """Send the rows of one batch (columns of `meter_files`) that are readings."""
        dense, slots, reason = self._checked(rows)
        good = np.flatnonzero(reason == _FINE)
        self._send(
            dense[good],
            slots[good],
            _filled(rows["wh"], np.int64)[good],
            _filled(rows["version"], np.uint16)[good],
        )
        reasons = Counter(Outcome(code).name.lower() for code in reason[reason != _FINE].tolist())
        # Sent first: a count without its readings would be worse than readings without a count.
        self.producer.flush()
        self.intake.record(len(rows), reasons, self._letters(rows, reason))
        self.received += len(rows)
        self.refused.update(reasons)

    def _checked(
        self, rows: pl.DataFrame
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """(dense index, slot, why a row is no reading) a row."""
        dense = self.register.lookup(_filled(rows["id"], np.uint64))
        at = _filled(rows["at"], np.int64)
        slots, on_grid = self.grid.slot_of(at // _US)
        reason = np.zeros(len(rows), np.uint8)
        reason[~on_grid | (at % _US != 0)] = Outcome.OFF_GRID
        reason[dense < 0] = Outcome.UNKNOWN_METER
        for name in ("id", "at", "wh", "version"):
            reason[rows[name].is_null().to_numpy()] = Outcome.UNREADABLE
        return dense, slots, reason

    def _send(
        self,
        dense: npt.NDArray[np.int32],
        slots: npt.NDArray[np.int32],
        wh: npt.NDArray[np.int64],
        version: npt.NDArray[np.uint16],
    ) -> None:
        partition = dense // self.register.partition_size
        day = slots // self.grid.per_day
        order = np.lexsort((partition, day))
        dense, slots, wh, version = dense[order], slots[order], wh[order], version[order]
        partition, day = partition[order], day[order]
        ends = np.flatnonzero((np.diff(partition) != 0) | (np.diff(day) != 0)) + 1
        edges = [0, *ends.tolist(), len(order)]
        for first, stop in itertools.pairwise(edges):
            for at in range(first, stop, self.block):
                part = slice(at, min(at + self.block, stop))
                self.producer.send(
                    blocks.readings(
                        int(partition[at]),
                        dense[part],
                        slots[part],
                        wh[part],
                        version=_constant(version[part]),
                        channel=self.channel,
                        slot_minutes=self.grid.minutes,
                    )
                )

    def _letters(self, rows: pl.DataFrame, reason: npt.NDArray[np.uint8]) -> list[RefusedRow]:
        """The newest refused rows of the batch, as many as are kept."""
        bad = np.flatnonzero(reason != _FINE)[-max(1, self.intake.keep) :]
        cells = rows[bad.tolist()].select("file", "row", *RAW, "id", "at", "wh", "version")
        return [
            RefusedRow(
                Outcome(int(reason[i])).name.lower(),
                f"{self.files[row['file']]}:{row['row']}",
                json.dumps([row[name] for name in RAW if row[name] is not None or name != RAW[-1]]),
                _what(row, Outcome(int(reason[i])), self.grid),
            )
            for i, row in zip(bad.tolist(), cells.iter_rows(named=True), strict=True)
        ]


def _what(row: dict[str, Any], outcome: Outcome, grid: SlotGrid) -> str:
    if outcome is Outcome.UNKNOWN_METER:
        return "not in the register"
    if outcome is Outcome.OFF_GRID:
        return f"starts no slot of {grid.minutes} minutes"
    names = {"id": "meter", "at": "time", "wh": "energy", "version": "version"}
    return "cannot be read: " + ", ".join(names[name] for name in names if row[name] is None)


def _filled(column: pl.Series, dtype: Any) -> npt.NDArray[Any]:
    return column.fill_null(0).to_numpy().astype(dtype, copy=False)


def _constant(version: npt.NDArray[np.uint16]) -> npt.ArrayLike:
    return int(version[0]) if (version == version[0]).all() else version
