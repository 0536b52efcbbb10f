"""`wattstorm generate`: from nothing to curves, by the commands alone."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import polars as pl
import pytest

from tests.cli.commands import Wattstorm
from tests.stream.town import wait_until
from wattstorm.sample import READINGS

DAYS = ("--from", "2013-04-06", "--to", "2013-04-08")  # clocks go back in Sydney on the 7th


@pytest.fixture
def town(wattstorm: Wattstorm) -> Wattstorm:
    """A register of 200 homes."""
    wattstorm("generate", "register", "town.parquet", "--meters", 200, "--seed", 3)
    wattstorm("register", "build", "town.parquet", "--partition-size", 60)
    return wattstorm


def test_help_shows_examples_before_options(wattstorm: Wattstorm) -> None:
    for name in ("curves", "register", "stream", "fit", "validate"):
        text = wattstorm("generate", name, "--help").stdout
        assert 0 < text.index(f"  wattstorm generate {name}") < text.index("Options:"), name


def test_the_stream_and_the_file_of_a_town_are_the_same_readings(town: Wattstorm) -> None:
    two = (*DAYS[:3], "2013-04-07")  # as many as are still open when the file comes
    town("generate", "curves", "c.parquet", "--meters", 200, "--seed", 3, *two)
    rows = pl.read_parquet(town.directory / "c.parquet")
    assert rows.height == 200 * (48 + 50)
    said = town.json("generate", "stream", "--seed", 3, *two, "--producers", 2)
    assert said["sent"] == rows.height
    assert said["ledger"] is None
    again = town("generate", "stream", "--seed", 3, *two)
    assert "sent 0 readings" in again.stderr
    assert again.stdout == ""
    town("ingest", "c.parquet")
    town("run", "--drain", "--workers", 1)
    account = town.json("status")["conservation"]
    assert (account["accepted"], account["doubles"]) == (rows.height, rows.height)
    curve = town.json("results", "national", "--date", "2013-04-07")
    assert len(curve["rows"]) == 50
    day = rows.filter(
        pl.col("ts_utc").dt.convert_time_zone("Australia/Sydney").dt.date() == pl.date(2013, 4, 7)
    )
    assert curve["total_wh"] == day["wh"].sum()


def test_faults_are_in_the_ledger_and_in_the_account(town: Wattstorm) -> None:
    said = town.json(
        "generate",
        "stream",
        "--seed",
        3,
        *DAYS,
        "--faults",
        "typical",
        "--fault",
        "spike=0.02",
        "--fault",
        "doubled=0.03",
        "--shape",
        "nightly",
    )
    ledger = pl.read_parquet(Path(said["ledger"]) / "*.parquet")
    town("run", "--drain", "--workers", 1)
    account = town.json("status")["conservation"]
    assert account["holds"]
    assert account["received"] == said["sent"]
    assert account["rejected"]["too_high"] == ledger.filter(outcome="too_high").height > 300


def test_shards_of_numpy_make_the_whole(wattstorm: Wattstorm) -> None:
    asked = ("--meters", 50, *DAYS)
    for i in (1, 2, 3):
        wattstorm("generate", "curves", f"{i}.npy", *asked, "--shard", f"{i}/3")
    wattstorm("generate", "curves", "all.npy", *asked)
    parts = [np.load(wattstorm.directory / f"{i}.npy") for i in (1, 2, 3)]
    assert np.array_equal(np.concatenate(parts), np.load(wattstorm.directory / "all.npy"))


def test_cold_days_raise_the_town(wattstorm: Wattstorm) -> None:
    cold = wattstorm.directory / "t.csv"
    days = [f"2013-07-{d:02},{12 if d < 15 else 2}" for d in range(1, 29)]
    cold.write_text("\n".join(["date,celsius", *days]))
    asked = ("--meters", 300, "--from", "2013-07-10", "--to", "2013-07-19", "--strength", "2")
    wattstorm("generate", "curves", "a.npy", *asked, "--temperatures", cold)
    wh = np.load(wattstorm.directory / "a.npy").mean(axis=(0, 2))
    assert wh[6:].mean() > 1.1 * wh[:4].mean()


def test_a_model_is_fitted_and_used(wattstorm: Wattstorm) -> None:
    said = wattstorm("generate", "fit", READINGS, "--out", "model", "--licence", "sample").stderr
    assert "20 homes" in said
    assert json.loads((wattstorm.directory / "model/card.json").read_text())["licence"] == "sample"
    asked = ("--meters", 20, "--from", "2013-05-06")
    wattstorm("generate", "curves", "a.npy", *asked, "--model", "model")
    wattstorm("generate", "curves", "b.npy", *asked)
    a, b = (np.load(wattstorm.directory / name) for name in ("a.npy", "b.npy"))
    assert a.shape == b.shape == (20, 1, 48)
    assert not np.array_equal(a, b)


def test_what_cannot_be_meant_ends_with_2(town: Wattstorm) -> None:
    for arguments, words in (
        (("curves", "c.xlsx"), "write a .parquet or .csv"),
        (("curves", "c.npy", "--shard", "4/3"), "shard 4/3"),
        (("curves", "c.npy", "--shard", "half"), "such as 1/4"),
        (("curves", "c.npy", "--engine", "gan"), "block or chain"),
        (("curves", "c.npy", "--to", "2012-01-01"), "earlier day first"),
        (("stream", "--rate", "fast"), "or max"),
        (("stream", "--fault", "lat=0.1"), "did you mean late?"),
        (("stream", "--fault", "late"), "late=0.01"),
        (("stream", "--fault", "late=2"), "from 0 to 1"),
        (("stream", "--faults", "all"), "none or typical"),
        (("stream", "--shape", "hourly"), "live or nightly"),
        (("stream", "--producers", "9"), "9 producers for 4 partitions"),
    ):
        done = town("generate", *arguments, "--from", "2013-04-06", code=2)
        assert words in done.stderr, (arguments, done.stderr)
        assert done.stdout == ""
    town("generate", "register", "r.csv", "--shares", "base=0.5", code=2)
    town("generate", "validate", READINGS, "--design", "none", code=2)


@pytest.mark.slow
def test_the_demo_is_as_its_ledger_foretells_and_goes_on_with_its_page(tmp_path: Path) -> None:
    """What it prints is exact; then its page is there, the town's next day begins on it, and Ctrl-C
    ends all of it well."""
    process = Wattstorm(tmp_path).start("demo", "--homes", 3000)
    try:
        lines = _until_it_goes_on(process)
        address = lines[-1].split()[-1]
        wait_until(lambda: "Monday 7 April 2025" in _page(address), 60, "the next day on the page")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    with pytest.raises(URLError):
        _page(address)
    told = "".join(lines)
    assert "all as foretold, to the Wh" in told
    assert "2025-03-30   8 °C     46" in told
    assert "the nation's, to the Wh" in told
    said = (
        r"^tomorrow   2025-04-07: .* 90 % between .* by mixture .*\n .* €, 90 % between .* prices"
    )
    assert re.search(said, told, re.MULTILINE)
    found = re.search(r"^received ([\d,]+) = accepted", told, re.MULTILINE)
    assert found
    assert int(found[1].replace(",", "")) > 1_990_000
    assert re.search(r"^curves = counters on 15 days$", told, re.MULTILINE)


def _until_it_goes_on(process: subprocess.Popen[str]) -> list[str]:
    """The lines that the demo printed so far; it has four minutes."""
    assert process.stdout is not None
    limit = threading.Timer(240, process.kill)
    limit.start()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("The town goes on"):
            break
    limit.cancel()
    return lines


def _page(address: str) -> str:
    with urlopen(address, timeout=10) as answer:
        return str(answer.read().decode())
