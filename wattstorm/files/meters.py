"""A register's source files → its rows: every cell a number or a name, or all that is wrong.

Every cell either becomes a number or is refused with its file, line and id; what is wrong is
collected over all files, so that a list is corrected in one go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from wattstorm.errors import IngestError, RegisterError, UsageError
from wattstorm.files import ids
from wattstorm.files.meter_cells import DEFAULT_REGION, WRONG, shown, typed
from wattstorm.files.tables import BEYOND, Form, Table, expanded, open_table, unreadable
from wattstorm.register.arrays import MAX_CODES, pack
from wattstorm.register.register import Register
from wattstorm.register.rows import Named, Rows, Source, place_of
from wattstorm.register.textkeys import FIRST_TEXT, TEXT
from wattstorm.setting_values import closest

__all__ = ["DEFAULT_REGION", "Meaning", "build_register", "read_rows"]

REQUIRED: Final = ("external_id", "tariff", "contracted_power_va")
OPTIONAL: Final = ("region", "producer", "valid_from")
KVA: Final = "contracted_power_kva"
CHUNK_ROWS: Final = 2_000_000
TOLD: Final = 20
"""Refused cells that are told one by one."""
SMALL_VA: Final = 500
"""Contracted powers below that are none of homes: they are kVA."""


@dataclass(frozen=True)
class Meaning:
    """How the files are meant. power_unit: "VA", "kVA", or "": by the column's name, and refused
    where the powers do not look like VA; tariffs: the only names allowed, None for any."""

    power_unit: str = ""
    tariffs: Sequence[str] | None = None
    form: Form = field(default_factory=Form)


def build_register(
    sources: Sequence[Path],
    directory: Path,
    *,
    partition_size: int | None = None,
    tariffs: Sequence[str] | None = None,
    meaning: Meaning | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Register:
    """Build a register from files (see `tables`), or extend the one in `directory`.

    Columns: external_id, tariff, contracted_power_va and, optional, region ("all"),
    producer (false), valid_from (1970-01-01). tariffs: the only names allowed;
    partition_size and what an extension may say: see `Register.build`. say: told of columns
    that are not used, and of what the rows came to.
    """
    if not sources:
        raise RegisterError("no source file", "give at least one .parquet or .csv file")
    meaning = meaning or Meaning(tariffs=tariffs)
    files = expanded([Path(source) for source in sources])
    count = 0

    def read(known_tariffs: tuple[str, ...], known_regions: tuple[str, ...]) -> Rows:
        nonlocal count
        rows = read_rows(files, known_tariffs, known_regions, meaning, say)
        count = len(rows.ids)
        return rows

    before = Register.open(directory) if Register.exists(directory) else None
    register = Register.build(read, directory, partition_size=partition_size)
    meters, changes = (before.count, before.card["changes"]) if before else (0, 0)
    new, changed = register.count - meters, register.card["changes"] - changes
    same = count - new - changed
    say(f"{count:,} rows: {new:,} new meters, {changed:,} changes, {same:,} as known")
    return register


def read_rows(
    files: Sequence[Path],
    tariffs: tuple[str, ...] = (),
    regions: tuple[str, ...] = (),
    meaning: Meaning | None = None,
    say: Callable[[str], None] = lambda message: None,
) -> Rows:
    """Read the files in order. Codes go on from `tariffs` and `regions`, as names first appear.

    RegisterError with all cells that are refused.
    """
    meaning = meaning or Meaning()
    codes = (_Codes("tariff", tariffs, meaning.tariffs), _Codes("region", regions, None))
    wrong, powers = Wrong(), Powers()
    parts = _Parts()
    sources = []
    for file in files:
        table, columns = _table(file, meaning, say)
        sources.append(Source(file, parts.rows, table.first_line))
        kva = meaning.power_unit == "kVA" or columns["contracted_power_va"].lower() == KVA
        for raw in _chunks(table, columns):
            cells = typed(table, raw, kva)
            first = parts.rows - sources[-1].start
            if not wrong.look(table, raw, cells, first):
                powers.look(cells["contracted_power_va"], raw["contracted_power_va"])
                parts.add(raw, cells, codes, (table, first, wrong))
            parts.rows += raw.height
    wrong.refuse()
    if not meaning.power_unit:
        powers.refuse()
    return parts.joined(codes, tuple(sources))


class _Parts:
    """What the chunks of the files came to."""

    def __init__(self) -> None:
        self.rows = 0
        self.ids: list[Any] = []
        self.days: list[Any] = []
        self.entries: list[Any] = []
        self.named: list[Any] = []
        self.names: list[Any] = []

    def add(self, raw: pl.DataFrame, cells: pl.DataFrame, codes: Any, where: Any) -> None:
        keys = cells["external_id"].to_numpy()
        text = np.flatnonzero(keys >= FIRST_TEXT)
        if len(text):
            column = raw["external_id"].cast(pl.String).str.strip_chars()
            self.named.append(text + self.rows)
            self.names.append(ids.padded(column.gather(text)))
        tariff, region = (of.of(cells[of.column], raw["external_id"], *where) for of in codes)
        self.ids.append(keys)
        self.days.append(cells["valid_from"].to_numpy())
        power, producer = cells["contracted_power_va"].to_numpy(), cells["producer"].to_numpy()
        self.entries.append(pack(tariff, region, power, producer))

    def joined(self, codes: Any, sources: tuple[Source, ...]) -> Rows:
        names = Named(_joined(self.named, np.int64), _joined(self.names, TEXT))
        return Rows(
            _joined(self.ids, np.uint64),
            _joined(self.days, np.uint16),
            _joined(self.entries, np.uint64),
            tuple(codes[0].codes),
            tuple(codes[1].codes),
            sources,
            names,
        )


class Wrong:
    """Cells that are refused: the first ones with their place, all of them counted."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.remedies: Counter[str] = Counter()

    def add(self, what: str, remedy: str) -> None:
        if len(self.told) < TOLD:
            self.told.append(what)
        self.remedies[remedy] += 1

    def look(self, table: Table, raw: pl.DataFrame, cells: pl.DataFrame, first_row: int) -> bool:
        """Whether the chunk has cells that are refused; they are noted."""
        places = {name: cells[name].is_null().arg_true().to_list() for name in cells.columns}
        if BEYOND in raw.columns:
            places[BEYOND] = raw[BEYOND].is_not_null().arg_true().to_list()
        bad = sorted((row, name) for name, rows in places.items() for row in rows)
        for row, name in bad:
            meter = raw["external_id"][row]
            place = place_of(table.path, first_row + row, meter, table.first_line)
            if name == BEYOND:
                what, remedy = f"more cells than the header names, {shown(raw[name][row])}", _QUOTE
            else:
                said, remedy = WRONG[name]
                what = f"{name} {shown(raw[name][row])} {said}"
            self.add(f"{place}: {what}", remedy)
        return bool(bad)

    def refuse(self) -> None:
        """RegisterError if there were any."""
        if not self.told:
            return
        total = self.remedies.total()
        remedy = "; ".join(remedy for remedy, _ in self.remedies.most_common(3))
        if total == 1:
            raise RegisterError(self.told[0], remedy)
        more = [f"… and {total - TOLD:,} more"] if total > TOLD else []
        raise RegisterError(
            "\n  ".join([f"{total:,} cells are refused:", *self.told, *more]), remedy
        )


_QUOTE: Final = "quote cells that hold a separator, or say another one: --separator ';'"


class Powers:
    """Contracted powers that cannot be VA: kVA under the name of VA refuses all readings later."""

    def __init__(self) -> None:
        self.rows = self.small = 0
        self.first: object = None

    def look(self, va: pl.Series, raw: pl.Series) -> None:
        small = (va > 0) & (va < SMALL_VA)
        self.rows += int((va > 0).sum())
        self.small += int(small.sum())
        if self.first is None and self.small:
            self.first = raw[small.arg_true()[0]]

    def refuse(self) -> None:
        if self.small * 2 > self.rows:
            raise RegisterError(
                f"contracted_power_va is below {SMALL_VA} in {self.small:,} of {self.rows:,} rows, "
                f"such as {self.first}: readings above that would be refused",
                "kilovolt-amperes: --power-unit kVA; or --power-unit VA if that is meant",
            )


class _Codes:
    """Names of a column to codes, in order of first appearance."""

    def __init__(self, column: str, names: Sequence[str], allowed: Sequence[str] | None) -> None:
        self.column = column
        self.codes = {name: code for code, name in enumerate(names)}
        self.allowed = allowed

    def of(
        self, names: pl.Series, ids: pl.Series, table: Table, first_row: int, wrong: Wrong
    ) -> npt.NDArray[np.uint8]:
        """Codes uint8[n] of a chunk's names; a new name gets the next code."""
        for name in names.unique(maintain_order=True).to_list():
            if name in self.codes and (self.allowed is None or name in self.allowed):
                continue
            row = names.index_of(name) or 0
            place = place_of(table.path, first_row + row, ids[row], table.first_line)
            if self.allowed is not None and name not in self.allowed:
                wrong.add(
                    f"{place}: {self.column} {name!r} is none of {', '.join(self.allowed)}",
                    "correct the row, or add the tariff to the list of tariffs",
                )
            if len(self.codes) == MAX_CODES:
                raise RegisterError(
                    f"{place}: {name!r} would be {self.column} number {MAX_CODES + 1},"
                    f" a register holds {MAX_CODES}",
                    f"group the {self.column}s into fewer names",
                )
            self.codes[name] = len(self.codes)
        return names.replace_strict(self.codes, return_dtype=pl.UInt8).to_numpy()


def _joined(parts: list[npt.NDArray[Any]], dtype: Any) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def _table(
    file: Path, meaning: Meaning, say: Callable[[str], None]
) -> tuple[Table, dict[str, str]]:
    """The file, and its column of each of ours that it has; told of are those that are not used."""
    try:
        table = open_table(file, meaning.form)
    except (IngestError, UsageError) as error:
        raise RegisterError(error.what, error.remedy) from error
    if table is None:
        raise RegisterError(f"no rows in {file}", "a register needs a meter")
    ours = (*REQUIRED, *OPTIONAL)
    columns = {name: known for known in table.names for name in ours if known.lower() == name}
    power = next((name for name in table.names if name.lower() == KVA), "")
    if power and "contracted_power_va" not in columns:
        columns["contracted_power_va"] = power
    others = [name for name in table.names if name not in columns.values()]
    for name in others:
        free = [n for n in ours if n not in columns]
        if near := closest(name.lower(), free, cutoff=0.75):
            raise RegisterError(f"{file} has a column {name!r}", f"{near} Rename it, or drop it")
    if missing := [name for name in REQUIRED if name not in columns]:
        raise RegisterError(
            f"{file} has no column {', '.join(missing)}, only {', '.join(table.names[:12])}",
            f"name the columns {', '.join(REQUIRED)} and, if any, {', '.join(OPTIONAL)}",
        )
    if others:
        say(f"{file.name}: not used: {', '.join(others[:12])}")
    return table, columns


def _chunks(table: Table, columns: dict[str, str]) -> Iterator[pl.DataFrame]:
    """The columns under our names, and `BEYOND` of a file of text, CHUNK_ROWS rows at most."""
    wanted = [pl.col(theirs).alias(ours) for ours, theirs in columns.items()]
    if table.first_line:
        wanted.append(pl.col(BEYOND))
    try:
        for batch in table.frame.select(wanted).collect_batches(
            chunk_size=CHUNK_ROWS, maintain_order=True
        ):
            # An engine may hand over more than was asked for.
            yield from batch.iter_slices(CHUNK_ROWS)
    except (pl.exceptions.PolarsError, OSError) as error:
        known = unreadable(table.path, error)
        raise RegisterError(known.what, known.remedy) from error
