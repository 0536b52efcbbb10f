"""A table with a column a meter → one with a row a reading."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import polars as pl

from wattstorm.errors import UsageError
from wattstorm.files.columns import DATE_NAMES, TIME_NAMES, Wanted
from wattstorm.files.tables import BEYOND, Table

METER: Final = "meter"
ENERGY: Final = "energy"


def unpivoted(table: Table, wanted: Wanted) -> tuple[Table, Wanted]:
    """All columns but those of time are meters; an empty cell is no reading."""
    if not wanted.unit:
        raise UsageError(f"{table.path}: no name says the unit of a wide file", "add --unit kWh")
    usual = (*TIME_NAMES, *DATE_NAMES)
    said = [name for name in (wanted.time, wanted.date) if name]
    times = said or [name for name in table.names if name.lower() in usual]
    meters = [name for name in table.names if name not in times]
    if not times or not meters:
        raise UsageError(f"{table.path} has no column of time", "name it with --time-column")
    kept = [*times, BEYOND] if table.first_line else times
    frame = table.frame.unpivot(meters, index=kept, variable_name=METER, value_name=ENERGY).filter(
        pl.col(ENERGY).is_not_null()
    )
    schema = {name: table.schema[name] for name in times}
    schema |= {METER: pl.String(), ENERGY: table.schema[meters[0]]}
    wanted = replace(wanted, wide=False, meter=METER, energy=ENERGY)
    return replace(table, frame=frame, schema=schema), wanted
