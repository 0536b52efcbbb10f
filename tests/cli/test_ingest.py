"""`wattstorm ingest`: good rows become sums, bad rows become dead letters, all are counted."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import polars as pl
import pytest

from tests.cli.commands import Wattstorm
from wattstorm.sample import READINGS, REGISTER

KNOWN, OTHER = 21000010006414, 21000010006492


@pytest.fixture
def ready(wattstorm: Wattstorm) -> Wattstorm:
    wattstorm("register", "build", REGISTER)
    return wattstorm


def a_csv(ready: Wattstorm, *lines: str, header: str = "meter,time,kwh") -> Path:
    file = ready.directory / "readings.csv"
    file.write_text("\n".join([header, *lines, ""]))
    return file


def drained(ready: Wattstorm) -> dict[str, object]:
    ready("run", "--drain", "--workers", 1)
    account: dict[str, object] = ready.json("status")["conservation"]
    assert account["holds"]
    return account


def test_bad_rows_of_a_csv_are_set_aside_with_reason_file_and_row(ready: Wattstorm) -> None:
    file = a_csv(
        ready,
        f"{KNOWN},2013-06-01T00:00:00+10:00,0.100",
        f"{OTHER},2013-05-31T14:00:00Z,0.2",
        f"{OTHER},2013-05-31T14:00:00Z,0.2",  # a double
        f"{KNOWN},2013-05-31T14:10:00Z,0.1",  # 5: off the grid
        "99999999999999,2013-05-31T14:30:00Z,0.1",  # 6: no such meter
        f"{KNOWN},yesterday,0.1",  # and four that cannot be read
        f"{KNOWN},2013-05-31T15:00:00Z,NaN",
        f"{KNOWN},2013-05-31T15:00:00Z,",
        "a b,2013-05-31T15:00:00Z,0.1",
        f"{KNOWN},2013-05-31T15:00:00Z,900",  # the stream's business: above contracted power
    )
    said = ready("ingest", file, code=4).stderr  # the rest is sent all the same
    assert "wattstorm run --drain" in said
    assert "6 of 10 readings refused (60.0%, --max-refused 1.0%), 4 of them as unreadable" in said
    account = drained(ready)
    assert account["received"] == 10
    assert account["accepted"] == 2
    assert account["doubles"] == 1
    assert account["rejected"] == {
        "unknown_meter": 1,
        "off_grid": 1,
        "too_high": 1,
        "unreadable": 4,
    }
    letters = {letter["where"]: letter for letter in ready.json("dead")["letters"]}
    off_grid = letters[f"{file}:4"]
    assert off_grid["reason"] == "off_grid"
    assert "2013-05-31T14:10:00Z" in off_grid["what"]
    assert letters[f"{file}:5"]["reason"] == "unknown_meter"
    assert {letters[f"{file}:{row}"]["reason"] for row in (6, 7, 8, 9)} == {"unreadable"}
    curve = ready.json("results", "national", "--date", "2013-06-01")
    assert [(row["wh"], row["readings"]) for row in curve["rows"] if row["readings"]] == [(300, 2)]


def test_while_an_engine_runs_ingest_ends_with_its_own_account(ready: Wattstorm) -> None:
    running = ready.start("run", "--workers", 1)
    try:
        file = a_csv(ready, f"{KNOWN},1370008800,0.5", f"{KNOWN},1370008800,0.5", f"{KNOWN},x,0.5")
        done = ready("ingest", file, "--wait", code=4)
    finally:
        running.terminate()
        running.wait(60)
    assert done.stdout.splitlines() == [
        "received 3 = accepted 1 + rejected 1 (unreadable 1) + doubles 1"
    ]


def test_ingest_ends_where_the_stream_refuses_its_blocks(ready: Wattstorm) -> None:
    """A poisoned block is in no `received`: its fence is waited for, and the blocks are named."""
    ready.environ["WATTSTORM_ENGINE_TOPOLOGY"] = "tests.stream.poisoned:RaisingCurves"
    ready.environ["WATTSTORM_BATCH_ATTEMPTS"] = "2"
    good, bad = f"{KNOWN},1370008800,0.5", f"{OTHER},1370181600,0.666"
    running = ready.start("run", "--workers", 1)
    try:
        done = ready("ingest", a_csv(ready, good, bad), "--wait", code=1)
    finally:
        running.terminate()
        _, said = running.communicate(timeout=60)
    assert done.stdout == "received 1 = accepted 1 + rejected 0 + doubles 0\n"
    assert "1 readings are in blocks that the stream refused whole" in done.stderr
    whole = "received 1 = accepted 1 + rejected 0 + doubles 0, without 1 refused blocks (1 poison)"
    assert said.splitlines()[-2:] == [whole, "curves = counters on 1 days"]
    status = ready.json("status", "--seconds", 0)
    assert status["conservation_line"] == whole
    assert status["conservation"]["poison_blocks"] == 1


def test_a_parquet_out_of_order_gives_the_same_curve_as_in_order(
    ready: Wattstorm, sampled: Wattstorm
) -> None:
    week = pl.read_parquet(READINGS).filter(
        pl.col("ts_utc").is_between(
            pl.datetime(2013, 6, 2, time_zone="UTC"), pl.datetime(2013, 6, 9, time_zone="UTC")
        ),
    )
    file = ready.directory / "shuffled.parquet"
    bad = week.head(3).with_columns(kwh=pl.lit(float("nan"), pl.Float32))
    pl.concat([week, bad]).sample(fraction=1.0, shuffle=True, seed=1).write_parquet(file)
    assert "put in order of time" in ready("ingest", file).stderr
    account = drained(ready)
    assert account["accepted"] == len(week)
    assert account["rejected"] == {"unreadable": 3}
    asked = ("results", "national", "--date", "2013-06-05")
    mine, whole = ready.json(*asked)["rows"], sampled.json(*asked)["rows"]
    assert [row["wh"] for row in mine] == [row["wh"] for row in whole]


def test_columns_unit_zone_and_version_can_be_said(ready: Wattstorm) -> None:
    file = a_csv(
        ready,
        f"{KNOWN};2013-06-01 00:00;100,5;0",  # half-even: 100
        f"{KNOWN};2013-06-01 00:30;101,5;0",  # half-even: 102
        f"{KNOWN};2013-06-01 00:30;90;1",  # a correction
        header="PDL;debut;valeur;v",
    )
    assert (
        "--time-zone"
        in ready(
            "ingest",
            file,
            "--meter-column",
            "PDL",
            "--time-column",
            "debut",
            "--energy-column",
            "valeur",
            "--unit",
            "Wh",
            code=2,
        ).stderr
    )
    ready(
        "ingest",
        file,
        "--meter-column",
        "PDL",
        "--time-column",
        "debut",
        "--energy-column",
        "valeur",
        "--unit",
        "Wh",
        "--version-column",
        "v",
        "--time-zone",
        "Australia/Sydney",
    )
    assert drained(ready)["accepted"] == 3
    curve = ready.json("results", "national", "--date", "2013-06-01")
    assert [row["wh"] for row in curve["rows"] if row["readings"]] == [100, 90]


def test_an_hour_that_came_twice_on_the_clock_is_refused_not_guessed(ready: Wattstorm) -> None:
    file = a_csv(ready, f"{KNOWN},2013-04-07 02:30,0.1", f"{KNOWN},2013-04-07 03:00,0.1")
    ready("ingest", file, "--time-zone", "Australia/Sydney", "--max-refused", "0.5")
    assert drained(ready)["rejected"] == {"unreadable": 1}


def test_several_files_are_taken_in_order_of_time(ready: Wattstorm) -> None:
    sample = pl.read_parquet(READINGS).filter(pl.col("ts_utc").dt.month() == 5)
    late, early = ready.directory / "a.parquet", ready.directory / "b.parquet"
    sample.filter(pl.col("ts_utc").dt.day() > 15).write_parquet(late)
    sample.filter(pl.col("ts_utc").dt.day() <= 15).write_parquet(early)
    said = ready("ingest", late, early).stderr
    assert "put in order" not in said
    assert int(re.findall(r"sent ([\d,]+)", said)[0].replace(",", "")) == len(sample)
    assert drained(ready)["accepted"] == len(sample)


def test_the_same_file_again_is_all_doubles(ready: Wattstorm) -> None:
    file = a_csv(ready, f"{KNOWN},2013-06-01T00:00Z,0.1", f"{OTHER},2013-06-01T00:30Z,0.2")
    ready("ingest", file)
    ready("ingest", file)
    account = drained(ready)
    assert (account["accepted"], account["doubles"]) == (2, 2)


def test_a_ctrl_c_while_waiting_ends_with_130(ready: Wattstorm) -> None:
    file = a_csv(ready, f"{KNOWN},2013-06-01T00:00Z,0.1")
    waiting = ready.start("ingest", file, "--wait")
    deadline = time.monotonic() + 60
    while not sum(p["tail"] for p in ready.json("status", "--seconds", 0)["partitions"]):
        assert time.monotonic() < deadline
    time.sleep(2.5)  # past the producer's own wait for the disk
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(30) == 130
    assert drained(ready)["accepted"] == 1  # what was sent is in the log
