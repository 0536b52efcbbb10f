"""A register that grows and rules that change under a stream, by the command line, with kills."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Wattstorm

HEAD = "external_id,tariff,region,contracted_power_va,producer,valid_from\n"
DAY = "2024-05-10"


@pytest.fixture
def wattstorm(tmp_path: Path) -> Wattstorm:
    """Two meters of tariffs a and b in a partition of three; nothing sent yet."""
    wattstorm = Wattstorm(tmp_path)
    build(wattstorm, "77,a,2010-01-01", "78,b,2010-01-01", options=("--partition-size", 3))
    return wattstorm


def build(wattstorm: Wattstorm, *rows: str, options: tuple[Any, ...] = ()) -> str:
    """Build or extend: rows of "id,tariff,valid_from"; what the command says."""
    lines = [row.split(",") for row in rows]
    source = wattstorm.directory / "meters.csv"
    source.write_text(HEAD + "".join(f"{i},{t},r,6000,false,{day}\n" for i, t, day in lines))
    return wattstorm("register", "build", source, *options).stderr


def ingest(wattstorm: Wattstorm, *rows: str) -> str:
    """Rows of "id,kWh,version" of one slot; what the command says at its end."""
    lines = [row.split(",") for row in rows]
    source = wattstorm.directory / "readings.csv"
    text = "".join(f"{i},{DAY}T10:00:00+02:00,{kwh},{version}\n" for i, kwh, version in lines)
    source.write_text("meter,time,energy_kwh,version\n" + text)
    return wattstorm("ingest", source, "--max-refused", 1).stdout


def row(wattstorm: Wattstorm, scope: str = "national", name: str = "") -> tuple[int, int]:
    """(Wh, readings) of the slot; and everything adds up."""
    status = wattstorm.json("status", "--seconds", 0)
    assert not status["alarms"]
    assert all(balance["holds"] for balance in status["balances"])
    of = [scope, *([name] if name else []), "--date", DAY]
    lines = [line.split(",") for line in wattstorm("results", *of, "--csv").stdout.splitlines()]
    (cells,) = [cells for cells in lines if cells[1] == f"{DAY}T08:00:00Z"]
    return int(cells[3] or 0), int(cells[4])


class Running:
    """`wattstorm run` beside the test; ended with SIGKILL, workers as well by their lost parent."""

    def __init__(self, wattstorm: Wattstorm) -> None:
        self.wattstorm = wattstorm
        self.process = wattstorm.start("run", "--workers", 1)
        until(lambda: wattstorm.json("status", "--seconds", 0)["running"])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)


def until(done: Any, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_running_stream_takes_a_new_meter_and_a_kill_changes_nothing(
    wattstorm: Wattstorm,
) -> None:
    """Three readings from three meters, one corrected after the kill: what the curve shows is
    what the accounts say."""
    with Running(wattstorm) as running:
        assert "in force    in all 1 partitions" in build(wattstorm, "79,a,2010-01-01")
        said = ingest(wattstorm, "77,0.1,0", "78,0.1,0", "79,0.05,0")
        assert said.startswith("received 3 = accepted 3 + rejected 0 + doubles 0")
        running.kill()
    ingest(wattstorm, "77,0.2,1")
    wattstorm("run", "--drain", "--workers", 1)
    assert row(wattstorm) == (350, 3)
    account = wattstorm.json("status", "--seconds", 0)["conservation"]
    assert (account["received"], account["accepted"]) == (4, 4)


def test_a_new_meter_that_was_sent_too_early_stays_refused_after_a_kill(
    wattstorm: Wattstorm,
) -> None:
    """The accounts said so, and the curve agrees; `dead replay` sends it again, once."""
    with Running(wattstorm) as running:
        assert ingest(wattstorm, "77,0.1,0", "78,0.1,0", "79,0.05,0").startswith(
            "received 3 = accepted 2 + rejected 1 (unknown_meter 1)"
        )
        build(wattstorm, "79,a,2010-01-01")
        running.kill()
    ingest(wattstorm, "77,0.15,1")
    wattstorm("run", "--drain", "--workers", 1)
    assert row(wattstorm) == (250, 2)
    for times in (1, 0):
        said = wattstorm("dead", "replay", "--reason", "unknown_meter").stdout
        assert said.startswith(f"sent {times} readings again")
    wattstorm("run", "--drain", "--workers", 1)
    assert row(wattstorm) == (300, 3)


def test_a_partition_that_is_added_is_read_by_the_stream_that_runs(wattstorm: Wattstorm) -> None:
    """And the ingest beside it ends."""
    with Running(wattstorm):
        ingest(wattstorm, "77,0.1,0")
        build(wattstorm, "79,a,2010-01-01", "80,c,2010-01-01")
        assert ingest(wattstorm, "79,0.1,0", "80,0.1,0").startswith("received 2 = accepted 2")
        until(lambda: row(wattstorm) == (300, 3))
        assert row(wattstorm, "tariff", "c") == (100, 1)


def test_a_tariff_change_in_the_open_days_gives_one_result(wattstorm: Wattstorm) -> None:
    """All of the reading in the new tariff, by whoever replays it, and nothing in the old one;
    also under a margin that was changed meanwhile."""
    with Running(wattstorm) as running:
        ingest(wattstorm, "77,0.1,0")
        build(wattstorm, f"77,b,{DAY}")
        running.kill()
    ingest(wattstorm, "77,0.12,1")
    wattstorm.environ["WATTSTORM_STREAM_POWER_MARGIN"] = "2.0"
    wattstorm("run", "--drain", "--workers", 1)
    assert (row(wattstorm, "tariff", "a"), row(wattstorm, "tariff", "b")) == ((0, 0), (120, 1))
