"""Small real registers for tests."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from wattstorm.files.meters import build_register
from wattstorm.metering.partition import Rules
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.register.register import Register

GRID = SlotGrid(30)
RULES = Rules(GRID, LocalCalendar(GRID, "Europe/Paris"))
FIRST_ID = 21_000_000_000_000


def register_rows(meters: int, *, power_va: int = 6000) -> pl.DataFrame:
    """`meters` rows over 12 tariffs and 3 regions; every seventh is a producer."""
    i = range(meters)
    return pl.DataFrame(
        {
            "external_id": [FIRST_ID + k for k in i],
            "tariff": [f"tariff_{k % 12:02}" for k in i],
            "region": [f"region_{k % 3}" for k in i],
            "contracted_power_va": [power_va for _ in i],
            "producer": [k % 7 == 0 for k in i],
            "valid_from": ["2010-01-01" for _ in i],
        }
    )


def small_register(directory: Path, meters: int, partition_size: int) -> Register:
    source = directory / "meters.csv"
    register_rows(meters).write_csv(source)
    return build_register([source], directory / "register", partition_size=partition_size)
