"""Which columns of a table say what of a reading, and what must not be guessed about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from wattstorm.errors import UsageError
from wattstorm.files.tables import Form, Table
from wattstorm.setting_values import closest

METER_NAMES: Final = (
    "meter",
    "external_id",
    "meter_id",
    "prm",
    "pdl",
    "id_prm",
    "mpan",
    "nmi",
    "ean",
    "cups",
    "pod",
)
TIME_NAMES: Final = ("ts_utc", "time", "timestamp", "ts", "start", "datetime", "horodate")
CLOCK_NAMES: Final = ("time", "heure", "hour", "uhrzeit")
DATE_NAMES: Final = ("date", "jour", "datum", "fecha")
VERSION_NAME: Final = "version"
UNITS: Final = {"kwh": "kWh", "wh": "Wh", "mwh": "MWh"}
_UNIT_IN_NAME: Final = re.compile(r"(?:^|[^a-z])([km]?wh)(?:$|[^a-z])")


@dataclass(frozen=True)
class Wanted:
    """Names of the columns ("": by the usual names), and how to read their cells.

    meter_id: of a file of one meter, in place of a column; constant_version: of all readings, in
    place of a column; ambiguous: which of the two local hours of autumn, "earliest", "latest" or
    "order" (of a meter's rows), "": neither; stamps: "start" or "end" of the slot, "": start,
    unless the stamps smell of ends; interval: "sum", "spread" or "sparse", see `survey`;
    slot_minutes: the stream's, 0: nothing is asked of the interval; rounded: fractions of a Wh
    under unit Wh are meant.
    """

    meter: str = ""
    time: str = ""
    energy: str = ""
    unit: str = ""
    version: str = ""
    time_zone: str = ""
    date: str = ""
    meter_id: str = ""
    constant_version: int | None = None
    time_format: str = ""
    ambiguous: str = ""
    stamps: str = ""
    interval: str = ""
    rounded: bool = False
    wide: bool = False
    slot_minutes: int = 0
    local_zone: str = ""
    form: Form = field(default_factory=Form)


@dataclass(frozen=True)
class Taken:
    """Names of a table's columns; "" where there is none. date: if the day stands apart."""

    meter: str
    time: str
    date: str
    energy: str
    unit: str
    version: str

    def shown(self, wanted: Wanted) -> str:
        """One line for a person: what was taken for what."""
        time = f"{self.date} + {self.time}" if self.date else self.time
        version = self.version or wanted.constant_version
        return (
            f"meter = {self.meter or wanted.meter_id}, time = {time}, "
            f"energy = {self.energy} in {self.unit}" + (f", version = {version}" if version else "")
        )


def take(table: Table, wanted: Wanted) -> Taken:
    """The columns of a table with one reading a row; UsageError where that is not certain."""
    path, names = table.path, table.names
    meter = ""
    if not wanted.meter_id:
        meter = _one(path, names, wanted.meter, METER_NAMES, "--meter-column", "--meter ID")
    date = _optional(path, names, wanted.date, ())
    time = _optional(path, names, wanted.time, TIME_NAMES)
    day, clock = _usual(names, DATE_NAMES), _usual(names, CLOCK_NAMES)
    if day and clock and not (wanted.date or wanted.time):
        date, time = day, clock  # one stamp in two columns; `time` alone is a stamp
    if date and not time:
        time = _one(path, names, "", CLOCK_NAMES, "--time-column")
    if not time:
        time = _one(path, names, "", TIME_NAMES, "--time-column")
    energy = _energy(path, names, wanted)
    version = _optional(path, names, wanted.version, (VERSION_NAME,))
    if wanted.constant_version is not None and not wanted.version:
        version = ""
    return Taken(meter, time, date, energy, _unit(path, energy, wanted.unit), version)


def unit_in(name: str) -> str:
    """The unit that a column's name says, or "".

    >>> unit_in("kwh"), unit_in("Consumption (kWh)"), unit_in("energy_wh"), unit_in("value")
    ('kWh', 'kWh', 'Wh', '')
    """
    found = _UNIT_IN_NAME.search(name.lower())
    return UNITS[found[1]] if found else ""


def _energy(path: Path, names: list[str], wanted: Wanted) -> str:
    if wanted.energy:
        return _one(path, names, wanted.energy, (), "--energy-column")
    found = [name for name in names if unit_in(name)]
    if len(found) > 1:
        raise UsageError(
            f"{path} has {len(found)} columns of energy: {_some(found)}",
            "say which one: --energy-column NAME",
        )
    return found[0] if found else _one(path, names, "", ("kwh", "wh"), "--energy-column")


def _unit(path: Path, energy: str, wanted: str) -> str:
    said = unit_in(energy)
    unit = UNITS.get(wanted.lower(), "")
    if said and unit and said != unit:
        raise UsageError(
            f"{path}: --unit {unit}, but the column is called {energy!r}",
            f"leave --unit out, or rename the column if its energies are in {unit}",
        )
    if not (unit or said):
        raise UsageError(f"the unit of column {energy!r} is not known", "add --unit kWh or Wh")
    return unit or said


def _one(
    path: Path, names: list[str], wanted: str, usual: tuple[str, ...], option: str, other: str = ""
) -> str:
    found = _optional(path, names, wanted, usual)
    if not found:
        instead = f" (or {other})" if other else ""
        raise UsageError(
            f"{path} has none of the columns {', '.join(usual)}",
            f"name it with {option}{instead}; the file has {_some(names)}"
            + ("; a column a meter: --wide" if len(names) > 20 else ""),
        )
    return found


def _optional(path: Path, names: list[str], wanted: str, usual: tuple[str, ...]) -> str:
    if wanted and wanted not in names:
        raise UsageError(
            f"{path} has no column {wanted!r}", closest(wanted, names) or f"it has {_some(names)}"
        )
    return wanted or _usual(names, usual)


def _usual(names: list[str], usual: Sequence[str]) -> str:
    return next((n for u in usual for n in names if n.lower() == u), "")


def _some(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
