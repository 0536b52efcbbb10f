"""What was refused, as readings: meter, time, energy, limit, where it came from."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from bolts.aggregate import AggregateBolt
from tests.ingest.test_dock import connection, messages
from tests.register.registers import FIRST_ID, small_register
from tests.stream.parts import started
from tests.stream.town import Town
from wattstorm.engine.watch import Watch
from wattstorm.ingest.dock import Dock
from wattstorm.ingest.letters import Refused, all_refused, matching, write_csv
from wattstorm.ingest.readings import Cell
from wattstorm.metering.rules import Rules
from wattstorm.store.connection import Connection
from wattstorm.store.deadletters import DeadLetters
from wattstorm.store.intake import Intake

__all__ = ["connection"]


def test_a_refused_reading_says_whose_when_how_much_and_what_it_broke(
    tmp_path: Path, connection: Connection
) -> None:
    """Of a file's row its cells, of the stream's refusals what was decoded; filtered, exported."""

    def origins(at: Sequence[int]) -> list[tuple[str, str]]:
        return [(f"june.csv:{row}", f'["m{row}", "t{row}", "e{row}"]') for row in at]

    town = Town(tmp_path, connection.address, small_register(tmp_path, 6, 4), {})
    Watch(connection, town.settings, town.register).introduce()
    rows = messages((1, 3, 9000), (2, 4, -7), (1, 5, 10), (1, 6, 5))
    rows.unreadable[3] = Cell.ENERGY
    with Dock(connection, town.settings, town.register) as dock:
        dock.load(rows, origins)
    assert started(AggregateBolt, town).give(0, 1, 1, 1) == "ack"

    def found(reason: str = "", meter: str = "") -> list[Refused]:
        whole = all_refused(
            Intake(connection, "wattstorm"),
            DeadLetters(connection, "wattstorm"),
            range(2),
            town.register,
            Rules.from_settings(town.settings),
        )
        return list(matching(whole, reason, meter))

    assert [r.reason for r in found()] == ["unreadable", "negative", "too_high"]
    (row,) = found("unreadable")
    assert (row.meter, row.start, row.energy, row.where) == ("m3", "t3", "e3", "june.csv:3")
    assert row.why == "cannot be read: energy"
    (high,) = found(meter=str(FIRST_ID + 1))
    assert (high.reason, high.energy) == ("too_high", "9000 Wh")
    assert high.limit == "3,600 Wh of 6,000 VA"
    assert np.datetime64(high.start[:16]) == np.datetime64("2013-06-01T03:30")  # 01:30Z, in Paris
    (low,) = found("negative")
    assert (low.meter, low.energy, low.limit) == (str(FIRST_ID + 2), "-7 Wh", "")
    out = io.StringIO()
    write_csv(found(), out)
    assert pl.read_csv(out.getvalue().encode())["reason"].to_list() == [r.reason for r in found()]
