"""The same readings written as utilities write them, and as they must not be taken."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

PARIS = ZoneInfo("Europe/Paris")
IDS = (21000010006414, 21000010006492, 21000010006513)
FIRST = datetime(2025, 3, 29, tzinfo=PARIS).astimezone(UTC)
SLOTS = 48 + 46
"""Two local days, the second one short."""
Row = tuple[int, datetime, int]
"""Meter, start of the slot (UTC), Wh."""
Form = tuple[Callable[[Path], Path], dict[str, Any]]


def rows(slots: int = SLOTS, step: int = 30, first: datetime = FIRST) -> list[Row]:
    """By time, then meter; energies that no rounding makes equal to others."""
    return [
        (meter, first + timedelta(minutes=step * i), (7 * i + 1013 * m) % 1500)
        for i in range(slots)
        for m, meter in enumerate(IDS)
    ]


def truth(of: list[Row] | None = None) -> dict[tuple[int, int], int]:
    """(meter, µs) → Wh."""
    found = rows() if of is None else of
    return {(meter, int(at.timestamp()) * 1_000_000): wh for meter, at, wh in found}


def text(
    name: str,
    line: str = "{m},{at:%Y-%m-%dT%H:%M:%SZ},{kwh}",
    header: str = "meter,time,kwh",
    *,
    encoding: str = "utf-8",
    zone: ZoneInfo | None = None,
    of: list[Row] | None = None,
    comma: bool = False,
    shift: int = 0,
    shuffle: bool = False,
) -> Callable[[Path], Path]:
    """A writer of a text file, a line a reading."""

    def write(directory: Path) -> Path:
        lines = [header]
        found = rows() if of is None else of
        for m, at, wh in sorted(found) if shuffle else found:
            shown = (at + timedelta(minutes=shift)).astimezone(zone or UTC)
            kwh = f"{wh / 1000:.3f}".replace(".", "," if comma else ".")
            excel = (shown.replace(tzinfo=None) - datetime(1899, 12, 30)) / timedelta(days=1)
            iso = shown.isoformat()
            epoch = int(at.timestamp())
            lines.append(line.format(m=m, at=shown, kwh=kwh, wh=wh, e=epoch, x=excel, iso=iso))
        data = ("\n".join(lines) + "\n").encode(encoding)
        path = directory / name
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def frame() -> pl.DataFrame:
    found = rows()
    return pl.DataFrame(
        {
            "meter": [m for m, _, _ in found],
            "ts_utc": [at for _, at, _ in found],
            "kwh": [wh / 1000 for _, _, wh in found],
        }
    )


def parquet(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], Path]:
    def write(directory: Path) -> Path:
        path = directory / "readings.parquet"
        change(frame()).write_parquet(path)
        return path

    return write


def excel(directory: Path) -> Path:
    path = directory / "readings.xlsx"
    local = pl.col("ts_utc").dt.convert_time_zone("Europe/Paris").dt.replace_time_zone(None)
    frame().with_columns(local.alias("time")).drop("ts_utc").write_excel(path)
    return path


def wide(directory: Path) -> Path:
    path = directory / "wide.csv"
    frame().with_columns(pl.col("meter").cast(pl.String)).pivot(
        "meter", index="ts_utc", values="kwh"
    ).with_columns(pl.col("ts_utc").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).write_csv(path)
    return path


def folder(directory: Path) -> Path:
    """A file a day, beside something else."""
    inside = directory / "days"
    inside.mkdir()
    for name, of in (("b.csv", rows()[:150]), ("a.csv.gz", rows()[150:])):
        text(name, of=of)(inside)
    (inside / "c.csv").write_text("")
    (inside / "notes.md").write_text("nothing to read")
    return inside
