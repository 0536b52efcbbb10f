"""Files of readings as a source: what `wattstorm ingest` sends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.files.readings import RAW, Batches, Source
from wattstorm.ingest.dock import Dock, Patience, batch_of
from wattstorm.ingest.readings import Cell, Listener, Origins, Readings, Silence
from wattstorm.ingest.sent import Sent
from wattstorm.metering.block import Channel
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection

_CELLS = {"id": Cell.METER, "at": Cell.TIME, "wh": Cell.ENERGY, "version": Cell.VERSION}


def send_files(
    connection: Connection,
    settings: Settings,
    register: Register,
    source: Source,
    *,
    channel: Channel = Channel.IMPORT,
    block: int = 50_000,
    listener: Listener | None = None,
) -> Sent:
    """Put the readings of files (see `read_files`) into the log."""
    heard = listener or Silence()
    if source.sorted:
        heard.say(f"{source.rows:,} rows are put in order of time, in memory")
    patience = Patience(heard.say)
    with Dock(
        connection, settings, register, channel=channel, block=block, should_stop=patience
    ) as dock:
        for frame in Batches(source.frame, batch_of(register, block)):
            dock.load(readings_of(frame), origins_of(frame, source.files))
            heard.progress(dock.received, source.rows)
    return dock.sent()


def readings_of(frame: pl.DataFrame) -> Readings:
    """A batch of `files.readings` as arrays; null is unreadable."""
    unreadable = np.zeros(len(frame), np.uint8)
    for name, cell in _CELLS.items():
        unreadable |= frame[name].is_null().to_numpy().astype(np.uint8) * np.uint8(cell)
    unreadable |= frame["wrong"].to_numpy()  # bits of `Cell`, too
    return Readings(
        _filled(frame["id"], np.uint64),
        _filled(frame["at"], np.int64),
        _filled(frame["wh"], np.int64),
        _filled(frame["version"], np.uint16),
        unreadable,
    )


def origins_of(frame: pl.DataFrame, files: Sequence[Path]) -> Origins:
    """Rows → "file:row", and the raw cells as JSON; no version where the file has none."""

    def origins(rows: Sequence[int]) -> Iterator[tuple[str, str]]:
        # Numbers and times of a row that could be read are not kept as text, see `readings`.
        at = pl.from_epoch("at", time_unit="us").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        some = frame[list(rows)].with_columns(
            pl.coalesce("raw_meter", pl.col("id").cast(pl.String)),
            pl.coalesce("raw_time", at),
            pl.coalesce("raw_energy", pl.format("{} Wh", "wh")),
        )
        for row in some.select("file", "row", *RAW).iter_rows(named=True):
            cells = [row[name] for name in RAW if row[name] is not None or name != RAW[-1]]
            yield f"{files[row['file']]}:{row['row']}", json.dumps(cells)

    return origins


def _filled(column: pl.Series, dtype: Any) -> npt.NDArray[Any]:
    return column.fill_null(0).to_numpy().astype(dtype, copy=False)
