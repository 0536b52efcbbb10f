"""Exit codes, streams and machine-readable output of the commands."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import stat
import time
from datetime import date
from pathlib import Path

import pytest

from tests.cli.commands import Wattstorm
from tests.servers import TestServer
from wattstorm.sample import REGISTER
from wattstorm.store.commit import PartitionStore
from wattstorm.store.connection import Connection
from wattstorm.store.keys import day_keys


def test_help_shows_examples_before_options(wattstorm: Wattstorm) -> None:
    names = (
        "demo",
        "ingest",
        "run",
        "status",
        "dead",
        "doctor",
        "register build",
        "register show",
        "results national",
        "results tariff",
        "config show",
    )
    for name in names:
        text = wattstorm(*name.split(), "--help").stdout
        assert 0 < text.index(f"  wattstorm {name}") < text.index("Options:"), name


def test_results_as_json_and_csv_agree_with_each_other(sampled: Wattstorm) -> None:
    asked = ("results", "tariff", "base_6", "--date", "2013-06-01")
    curve = sampled.json(*asked)
    lines = list(csv.DictReader(io.StringIO(sampled(*asked, "--csv").stdout)))
    assert len(curve["rows"]) == len(lines) == 48
    assert [row["wh"] for row in curve["rows"]] == [int(line["wh"]) for line in lines]
    assert sum(int(line["wh"]) for line in lines) == curve["total_wh"]


def test_a_table_for_a_person_has_local_times_and_no_escape_codes_in_a_pipe(
    sampled: Wattstorm,
) -> None:
    text = sampled("results", "national", "--date", "2013-04-07").stdout
    assert "02:30+11:00" in text
    assert "02:30+10:00" in text
    assert "20/20" in text
    assert "\x1b" not in text


def test_status_config_register_and_dead_speak_json(sampled: Wattstorm) -> None:
    status = sampled.json("status")
    assert status["conservation"]["holds"]
    assert status["waiting_blocks"] == 0
    assert status["running"] is False
    assert sampled.json("config", "show")["stream.time_zone"]["origin"].startswith("environment")
    assert sampled.json("register", "show", "--date", "2013-06-01")["meters"] == 20
    dead = sampled.json("dead")
    assert not any(dead.pop("account").values())
    assert dead == {"counts": {}, "dropped": 0, "letters": []}
    sampled("status")
    sampled("dead")


def test_status_and_run_alarm_on_curves_that_are_not_what_was_counted(
    wattstorm: Wattstorm, tmp_path: Path
) -> None:
    """Conservation holds all the while: it compares counters with counters."""
    with TestServer(tmp_path / "r") as server:
        wattstorm.environ["REDIS_URL"] = server.url
        wattstorm("register", "build", REGISTER)
        file = tmp_path / "a.csv"
        file.write_text("meter,time,kwh\n21000010006414,2013-06-01T00:00:00+10:00,0.100\n")
        wattstorm("ingest", file)
        done = wattstorm("run", "--drain", "--workers", 1)
        assert done.stderr.splitlines()[-1] == "curves = counters on 1 days"
        status = wattstorm.json("status", "--seconds", 0)
        assert status["alarms"] == []
        assert [balance["holds"] for balance in status["balances"]] == [True]
        with Connection(server.url) as connection:
            curve = day_keys("wattstorm", 15_856).curve(0, "nation")
            ((slot, row),) = connection.redis.hgetall(curve).items()
            connection.redis.hset(curve, slot, row.replace(b",100,", b",107,", 1))
            PartitionStore(connection, "wattstorm", 3).stand_still("", "no register; build one")
        line = (
            "curves ≠ counters on 1 of 1 days: 2013-05-31 import +0 readings, +7 Wh in the curves"
        )
        status = json.loads(wattstorm("status", "--json", "--seconds", 0, code=1).stdout)
        assert status["conservation"]["holds"]
        assert status["balance_line"] == line
        assert status["alarms"] == ["partition 3 stands still: no register; build one", line]
        assert f"ALARM      {line}" in wattstorm("status", "--seconds", 0, code=1).stdout
        done = wattstorm("run", "--drain", "--workers", 1, code=1)
        assert done.stderr.splitlines()[-1] == line


def test_doctor_is_content_with_this_machine(sampled: Wattstorm) -> None:
    findings = sampled.json("doctor")
    assert not [finding for finding in findings if finding["state"] == "fault"]


def test_doctor_finds_nothing_in_the_directory_that_it_has_made(wattstorm: Wattstorm) -> None:
    """It is private from the start."""
    findings = {f["check"]: f for f in wattstorm.json("doctor")}
    assert findings["data directory"]["state"] == "ok"
    assert stat.S_IMODE((wattstorm.directory / "data").stat().st_mode) == 0o700


def test_ids_and_readings_are_private_in_a_directory_that_is_open(wattstorm: Wattstorm) -> None:
    """An administrator's: register, snapshots, store and ledgers say so of themselves."""
    data = wattstorm.directory / "data"
    data.mkdir()
    data.chmod(0o755)
    wattstorm("register", "build", REGISTER)
    file = wattstorm.directory / "a.csv"
    file.write_text("meter,time,kwh\n21000010006414,2013-06-01T00:00:00+10:00,0.100\n")
    wattstorm("ingest", file)
    wattstorm("run", "--drain", "--workers", 1)
    kinds = {path.suffix for path in data.rglob("*") if path.is_file()}
    assert {".snap", ".npy", ".json"} <= kinds
    shown = [
        str(path.relative_to(data))
        for path in data.rglob("*")
        if path.stat().st_mode & 0o077 and not path.is_relative_to(data / "store")
    ]
    assert shown == []
    next(data.glob("register/*/ids.npy")).chmod(0o644)
    directory = {f["check"]: f for f in wattstorm.json("doctor")}["data directory"]
    assert directory["state"] == "warning"
    assert "chmod -R go-rwx" in directory["remedy"]


def test_doctor_names_the_remedy_of_a_fault(wattstorm: Wattstorm) -> None:
    wattstorm.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = wattstorm("doctor", code=1)
    assert "fault" in done.stdout
    assert "store.url" in done.stdout


def test_usage_errors_end_with_2(sampled: Wattstorm) -> None:
    sampled("nonsense", code=2)
    sampled("ingest", code=2)
    sampled("ingest", "/nowhere.csv", code=2)
    sampled("results", "national", "--date", "June", code=2)
    sampled("results", "national", "--json", "--csv", code=2)
    done = sampled("results", "region", "nrth", code=2)
    assert done.stdout == ""
    assert "did you mean north?" in done.stderr
    sampled.environ["WATTSTORM_STREAM_SLOT_MINUTES"] = "7"
    try:
        assert "10, 15, 30, 60" in sampled("status", code=2).stderr
    finally:
        del sampled.environ["WATTSTORM_STREAM_SLOT_MINUTES"]


def test_an_unreachable_store_ends_with_3(wattstorm: Wattstorm) -> None:
    wattstorm.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    done = wattstorm("status", code=3)
    assert "127.0.0.1:1" in done.stderr
    assert done.stdout == ""


def test_bad_data_ends_with_4(wattstorm: Wattstorm) -> None:
    file = wattstorm.directory / "meters.csv"
    file.write_text("external_id,tariff,contracted_power_va\n1,base,-5\n")
    assert "-5" in wattstorm("register", "build", file, code=4).stderr
    wattstorm("ingest", file, code=4)  # no register yet
    wattstorm("results", "national", code=4)
    wattstorm("register", "build", REGISTER)
    broken = wattstorm.directory / "broken.parquet"
    broken.write_bytes(b"PAR1 but no more")
    wattstorm("ingest", broken, code=4)


def test_no_results_of_a_day_names_the_days_there_are(sampled: Wattstorm) -> None:
    done = sampled("results", "national", "--date", "2020-01-01", code=4)
    assert "2013-03-01 to 2013-06-30" in done.stderr


def test_a_run_stops_cleanly_when_told(wattstorm: Wattstorm) -> None:
    wattstorm("register", "build", REGISTER)
    running = wattstorm.start("run", "--workers", 1)
    deadline = time.monotonic() + 60
    while not wattstorm.json("status", "--seconds", 0)["running"]:
        assert time.monotonic() < deadline
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    assert wattstorm.json("status")["running"] is False


@pytest.mark.slow
def test_the_demo_of_real_homes_ends_by_itself_and_accounts_for_every_reading(
    tmp_path: Path,
) -> None:
    began = time.monotonic()
    done = Wattstorm(tmp_path)("demo", "--real")
    assert time.monotonic() - began < 60
    account, balance = done.stdout.splitlines()[-2:]
    assert account == "received 113,784 = accepted 113,784 + rejected 0 + doubles 0"
    assert re.fullmatch(r"curves = counters on \d+ days", balance)
    assert "the nation's, to the Wh" in done.stdout


def test_today_is_the_default_date_of_the_register(sampled: Wattstorm) -> None:
    shown = json.loads(sampled("register", "show", "--json").stdout)
    assert abs((date.fromisoformat(shown["date"]) - date.today()).days) <= 1
