"""Dead letters as readings: which meter, when, how much, what limit, and where it came from."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TextIO

from wattstorm.errors import BlockError
from wattstorm.metering.block import Columns, decode
from wattstorm.metering.checks import power_limit_wh
from wattstorm.metering.rules import Rules
from wattstorm.metering.slots import day_number
from wattstorm.register.register import Register
from wattstorm.store.deadletters import DeadLetter, DeadLetters
from wattstorm.store.intake import Intake, RefusedRow


@dataclass(frozen=True)
class Refused:
    """One refused reading, or a block that could not be taken apart (readings: how many are in
    it). start: local, of its slot, or the cell as it stands; energy: "700 Wh", or the cell;
    limit: what it broke, ""; where: file and row, or partition and entry; what: cells as they
    stood, producer and block; why: in words."""

    reason: str
    meter: str
    start: str
    energy: str
    limit: str
    where: str
    what: str
    why: str
    readings: int = 1


def all_refused(
    intake: Intake,
    dead: DeadLetters,
    partitions: Sequence[int],
    register: Register | None,
    rules: Rules,
    most: int | None = None,
) -> Iterator[Refused]:
    """Rows of files, newest first, then what the stream refused, oldest first in each partition.

    most: rows and letters that are read at most, of each kind and partition. register: None where
    there is none here; meters are then dense indices.
    """
    for row in intake.list(most if most is not None else intake.keep):
        yield _of_row(row)
    for partition in partitions:
        for letter in dead.list(partition, most):
            yield from _of_letter(letter, partition, register, rules)


def matching(found: Iterable[Refused], reason: str, meter: str) -> Iterator[Refused]:
    """Those of one reason, of one meter; "": any."""
    return (r for r in found if reason in ("", r.reason) and meter in ("", r.meter))


def write_csv(found: Iterable[Refused], out: TextIO) -> None:
    writer = csv.DictWriter(out, [f.name for f in fields(Refused)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(refused) for refused in found)


def _of_row(row: RefusedRow) -> Refused:
    try:
        cells = ["" if cell is None else str(cell) for cell in json.loads(row.raw)]
    except (ValueError, TypeError):  # cut at the bound, or of another source
        cells = []
    meter, start, energy = (*cells, "", "", "")[:3]
    return Refused(row.reason, meter, start, energy, "", row.place, row.raw, row.what)


def _of_letter(
    letter: DeadLetter, partition: int, register: Register | None, rules: Rules
) -> Iterator[Refused]:
    where = f"partition {partition}, entry {letter.position}"
    try:
        columns = decode(letter.data).columns if letter.count else None
    except BlockError:
        columns = None
    if columns is None:
        yield Refused(letter.reason, "", "", "", "", where, letter.what, "", letter.count)
        return
    for i in range(len(columns.meter)):
        yield _of_reading(letter, columns, i, where, register, rules)


def _of_reading(
    letter: DeadLetter,
    columns: Columns,
    i: int,
    where: str,
    register: Register | None,
    rules: Rules,
) -> Refused:
    dense = int(columns.meter[i])
    slot = int(columns.slot[i if columns.slot.size > 1 else 0])
    known = register is not None and dense < register.count
    meter = register.meter(dense) if register and known else f"number {dense}"
    limit = ""
    if register and known and letter.reason == "too_high":
        power = register.columns(dense, dense + 1, day_number(rules.calendar.date_of(slot)))
        wh = power_limit_wh(power.power_va, rules.grid.minutes, rules.power_margin)
        limit = f"{int(wh[0]):,} Wh of {int(power.power_va[0]):,} VA"
    energy = f"{int(columns.wh[i])} Wh"
    start = rules.calendar.label(slot)
    return Refused(letter.reason, meter, start, energy, limit, where, letter.what, "")
