"""`Producer`: readings out of a Python program into the stream.

    from datetime import UTC, datetime
    from wattstorm import Producer

    with Producer.open() as producer:                  # the settings found here, or a store's URL
        producer.send(
            ["21000010006414", "NMI4001AB9"],          # ids as the register has them
            [datetime(2025, 6, 1, tzinfo=UTC)] * 2,    # starts of the slots
            [120, 95],                                 # Wh, whole
        )
    print(producer.sent().sent)                        # readings in the log

`send` returns once the store has the readings; `close` (the end of the `with`) once a power cut
cannot take them back. What is no reading goes to the dead letters and is counted in `refused`. One
thread a producer; as many producers as one likes. A batch that an error cut off is sent again as a
whole: what is there already counts as doubles.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.errors import UsageError
from wattstorm.files.cells import MAX_VERSION, MAX_WH
from wattstorm.files.ids import keys_of
from wattstorm.ingest.dock import Dock
from wattstorm.ingest.readings import Cell, Readings
from wattstorm.ingest.sent import Sent
from wattstorm.metering.block import Channel
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import open_connection

Starts = Sequence[datetime] | npt.NDArray[Any]


class Producer:
    """Made by `open`; use it in a `with`."""

    def __init__(self, dock: Dock, stack: contextlib.ExitStack) -> None:
        self._dock, self._stack = dock, stack

    @classmethod
    def open(
        cls,
        where: Settings | str | None = None,
        *,
        register: Path | None = None,
        channel: str = "import",
    ) -> Producer:
        """A producer for the store at a URL, of these settings, or of the settings found here.

        register: its directory, else the one of the settings; channel: import or export.
        """
        settings = (
            where if isinstance(where, Settings) else Settings.load(options={"store.url": where})
        )
        if channel.upper() not in Channel.__members__:
            raise UsageError(f"channel {channel!r}", "it may be import or export")
        known = Register.open(register or settings.data.directory / "register")
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(open_connection(settings))
            of = Channel[channel.upper()]
            dock = stack.enter_context(Dock(connection, settings, known, channel=of))
            return cls(dock, stack.pop_all())

    def send(
        self,
        meters: Sequence[str] | Sequence[int] | npt.NDArray[Any] | pl.Series,
        starts: Starts | pl.Series,
        wh: npt.ArrayLike,
        version: npt.ArrayLike = 0,
    ) -> None:
        """Put n readings into the log.

        meters: ids as text, or whole numbers; starts: datetimes with a zone, datetime64 (UTC) or
        whole seconds since the epoch; wh: whole Wh; version: one of all, or n, see docs/ingest.md.
        """
        key = _keys(meters)
        at = _microseconds(starts)
        energy = _whole(wh, "wh", -MAX_WH, MAX_WH)
        of = np.broadcast_to(_whole(version, "version", 0, MAX_VERSION), len(key)).astype(np.uint16)
        if not len(key) == len(at) == len(energy):
            raise UsageError(
                f"{len(key)} meters, {len(at)} starts and {len(energy)} energies",
                "give as many of each",
            )
        unreadable = np.where(key.is_null().to_numpy(), np.uint8(Cell.METER), np.uint8(0))
        rows = Readings(key.fill_null(0).to_numpy(), at, energy, of, unreadable)

        def origins(which: Sequence[int]) -> Iterator[tuple[str, str]]:
            for i in which:
                start = f"{np.datetime64(int(at[i]), 'us')}Z"
                cells = [str(meters[i]), start, f"{energy[i]} Wh"]
                yield f"producer {self._dock.name}", json.dumps(cells)

        self._dock.load(rows, origins)

    @property
    def refused(self) -> Counter[str]:
        """Readings that were no readings, by reason."""
        return self._dock.refused

    def sent(self) -> Sent:
        """What is in the log; `sent().wait(forever=True)` waits for what the stream makes of it."""
        return self._dock.sent()

    def close(self) -> None:
        """Wait until nothing that was sent can be lost any more."""
        self._stack.close()

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def _keys(meters: Any) -> pl.Series:
    column = pl.Series("meter", meters)
    if column.dtype.is_integer():
        return column.cast(pl.UInt64, strict=False)
    if column.dtype != pl.String:
        raise UsageError(f"meters of type {column.dtype}", "give ids as text or whole numbers")
    return keys_of(column)


def _microseconds(starts: Any) -> npt.NDArray[np.int64]:
    column = pl.Series("start", starts)
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is None and not isinstance(starts, np.ndarray | pl.Series):
            raise UsageError("starts without a time zone", "datetime(…, tzinfo=UTC)")
        found = column.dt.epoch("us")
    elif column.dtype.is_integer():
        found = column.cast(pl.Int64) * 1_000_000
    else:
        raise UsageError(f"starts of type {column.dtype}", "give datetimes or whole seconds")
    if found.null_count():
        raise UsageError("a start is missing", "leave the reading out")
    return found.to_numpy().astype(np.int64)


def _whole(values: npt.ArrayLike, what: str, low: int, high: int) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    fits = not array.size or low <= array.min() <= array.max() <= high
    if array.dtype.kind not in "iu" or not fits:
        raise UsageError(f"{what} of type {array.dtype}", f"whole numbers from {low} to {high}")
    return array.astype(np.int64)
