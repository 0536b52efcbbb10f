"""A town that grows while it is summed: more meters and partitions, then tariffs, then rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from tests.register.registers import register_rows
from tests.stream import oracle
from tests.stream.town import Town
from wattstorm.engine.watch import Watch
from wattstorm.files.meters import build_register
from wattstorm.register.register import Register

METERS, FIRST, SIZE, SLOTS = 10_800, 8_800, 1_100, 4 * 48
OPTIONS: dict[str, Any] = {
    "snapshot.every_s": 1.0,
    "stream.open_days": 6,  # nothing closes: what is refused first may still be sent again
    "stream.deadline_hours": 744.0,
    "stream.power_margin": 1.0,  # of 6 kVA in half an hour: what is above 3,000 Wh is refused
    "stream.scopes": ["nation", "tariff"],
    "dead_letters.keep": 1_000_000,
}


RULES: dict[str, Any] = {
    "stream.power_margin": 1.2,
    "stream.scopes": ["nation", "tariff", "region"],
}
"""What changes of them, when all meters are there: nothing more is refused, regions are summed."""


class Growing(Town):
    """A town whose producers know the partitions that are to come."""

    @property
    def partitions(self) -> range:
        return range(-(-METERS // SIZE))


def versions(directory: Path) -> list[Path]:
    """Files of a register that grows: the first meters; the others, and the first change of
    tariffs in the days of the stream; the changes that are left."""
    rows = oracle.register_changes(register_rows(METERS))
    meter = pl.col("external_id") - register_rows(1)["external_id"][0]
    base = pl.col("valid_from") == "2010-01-01"
    early = pl.col("valid_from") == str(oracle.FIRST_TARIFF)
    parts = [
        rows.filter(base & (meter < FIRST)),
        rows.filter((base & (meter >= FIRST)) | early),
        rows.filter(~base & ~early),
    ]
    files = [directory / f"{i}.csv" for i in range(len(parts))]
    for part, file in zip(parts, files, strict=True):
        part.write_csv(file)
    return files


def extended(town: Town, file: Path) -> Register:
    """`wattstorm register build`, which a stream hears while it runs."""
    register = build_register([file], town.directory / "register")
    with town.connect() as connection:
        Watch(connection, town.settings, register).extend()
    return register


def growing(directory: Path, url: str) -> tuple[Growing, list[Path]]:
    """The town with its first meters, and the files of its register that are to come."""
    first, *later = versions(directory)
    register = build_register([first], directory / "register", partition_size=SIZE)
    return Growing(directory, url, register, dict(OPTIONS)), later
