"""Rows, registers built of them, and all that a register says: for the register's tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from wattstorm.files.meters import build_register
from wattstorm.register.register import Register

Row = dict[str, Any]


def row(meter: object = 1, tariff: object = "base", power: object = 6000, **more: object) -> Row:
    return {"external_id": meter, "tariff": tariff, "contracted_power_va": power, **more}


def source(folder: Path, rows: list[Row], name: str = "meters.csv") -> Path:
    frame = pl.DataFrame(rows, infer_schema_length=None)
    path = folder / name
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


def built(folder: Path, rows: list[Row], name: str = "meters.csv", **options: Any) -> Register:
    return build_register([source(folder, rows, name)], folder / "register", **options)


def everything(register: Register, days: list[int]) -> list[Any]:
    """All that a register says on some days, as plain values."""
    said: list[Any] = [register.external_ids(0, register.count).tolist()]
    for day in days:
        c = register.columns(0, register.count, day)
        said.append(
            [
                (register.tariffs[t], register.regions[r], p, b) if known else None
                for t, r, p, b, known in zip(
                    c.tariff.tolist(),
                    c.region.tolist(),
                    c.power_va.tolist(),
                    c.producer.tolist(),
                    c.known.tolist(),
                    strict=True,
                )
            ]
        )
    return said
