"""`wattstorm weather` and `wattstorm prices`: files into entries of the log, or why not."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from generator.town.register import TARIFFS
from models.forecast import artefact
from models.forecast.price_book import PriceBook
from models.forecast.scaling import scaled
from wattstorm.cli.main import app
from wattstorm.cli.price_file import read_news
from wattstorm.cli.weather_file import Wanted, read_vintages
from wattstorm.errors import DataError, UsageError
from wattstorm.sample import forecast as sample

PARIS = "Europe/Paris"
HOURS = ["2025-01-14T00:00Z,4.5", "2025-01-14T01:00Z,", "2025-01-14T02:00Z,6.5"]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A data directory whose path is short enough for a socket."""
    path = Path(tempfile.mkdtemp(prefix="ws-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def told(directory: Path, *arguments: object, zone: str = "UTC") -> Result:
    """A command on the embedded store there, in this process, which has imported all it needs."""
    environ = {"WATTSTORM_STREAM_TIME_ZONE": zone, "WATTSTORM_STORE_URL": "", "REDIS_URL": ""}
    words = ["--data", str(directory / "data"), *map(str, arguments)]
    done = CliRunner().invoke(app, words, env=environ, catch_exceptions=False)
    assert done.exit_code == 0
    return done


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_weather_is_loaded_once_and_shown_with_when_it_was_said(directory: Path) -> None:
    """A dry run writes nothing; the second load says that it was known; a newer run is beside."""
    file = written(directory / "run.csv", "time,temp", *HOURS)
    issued = ("--issued", "2025-01-14T00:00Z")
    told(directory, "weather", "load", file, *issued, "--dry-run")
    assert "no weather yet" in told(directory, "weather", "show").stderr
    assert "entry 1 of the log" in told(directory, "weather", "load", file, *issued).stderr
    assert "known already" in told(directory, "weather", "load", file, *issued).stderr
    told(
        directory,
        "weather",
        "load",
        file,
        "--issued",
        "2025-01-14T06:00Z",
        "--place",
        "region:north",
    )
    first, second = json.loads(told(directory, "weather", "show", "--json").stdout)
    assert (first["place"], first["what"], first["issued"]) == (
        *("nation", "temp"),
        "2025-01-14T00:00Z",
    )
    assert (first["from"], first["to"]) == ("2025-01-14T00:00Z", "2025-01-14T03:00Z")
    assert [first[k] for k in ("values", "missing", "least", "most")] == [3, 1, 4.5, 6.5]
    assert (second["place"], second["issued"]) == ("region:north", "2025-01-14T06:00Z")


def test_prices_are_loaded_and_what_they_change_is_said(directory: Path) -> None:
    rules = {"rules": {"base_*": {"kind": "flat", "price": 0.2516}}}
    flat = written(directory / "flat.json", json.dumps(rules))
    hours = [f"2025-01-{14 + (h > 0)}T{(h + 23) % 24:02}:00Z,{h}.125" for h in range(24)]
    spot = written(directory / "spot.csv", "time,eur_mwh", *hours)
    told(directory, "prices", "load", flat)
    changed = json.loads(
        told(directory, "prices", "load", spot, "--tariff", "spot", "--json", zone=PARIS).stdout
    )
    assert {"name": "spot", "first": "2025-01-15", "last": ""} in changed
    assert (
        "known already"
        in told(directory, "prices", "load", spot, "--tariff", "spot", zone=PARIS).stderr
    )
    base, hourly = json.loads(
        told(directory, "prices", "show", "--date", "2025-01-15", "--json", zone=PARIS).stdout
    )
    assert (base["tariff"], base["mean"], base["settled"]) == ("base_*", "0.251600", True)
    assert (hourly["tariff"], hourly["least"], hourly["most"]) == ("spot", "0.000125", "0.023125")
    assert not json.loads(
        told(directory, "prices", "show", "--date", "2025-01-16", "--json", zone=PARIS).stdout
    )[1]["settled"]


@pytest.mark.parametrize(
    ("lines", "wanted", "said"),
    [
        (["when,temp", "2025-01-14,1"], Wanted(), "no column is called ts_utc"),
        (["time,kelvin", "2025-01-14,280"], Wanted(), "no column is called temp"),
        (["time,t", "2025-01-14,280"], Wanted(temperature="t"), "temp of 280"),
        (["time,temp", "yesterday,1"], Wanted(), "row 1: 'yesterday'"),
        (["time,temp", "2025-01-14,1", "2025-01-15,mild"], Wanted(), "row 2: 'mild'"),
        (["time,temp", *["2025-01-14T00:00Z,1"] * 2], Wanted(), "2025-01-14T00:00Z twice"),
        (
            ["time,temp", *(f"2025-01-14T0{h}Z,1" for h in ("0:00", "1:00", "2:30"))],
            Wanted(),
            "not a whole number of 60 minutes",
        ),
        (["time,temp", *HOURS], Wanted(issued="noon"), "'noon' is no time"),
        (["time,temp", *HOURS], Wanted(weather=("rain=temp",)), "--weather 'rain=temp'"),
        (["time,temp"], Wanted(), "no rows"),
    ],
)
def test_a_file_that_is_no_weather_is_refused_with_what_to_do(
    tmp_path: Path, lines: list[str], wanted: Wanted, said: str
) -> None:
    file = written(tmp_path / "weather.csv", *lines)
    with pytest.raises((DataError, UsageError), match=said):
        read_vintages(file, wanted)


def test_one_file_may_hold_many_runs_and_places(tmp_path: Path) -> None:
    """Two regions, two runs, two quantities: eight series, times left out are missing."""
    start = datetime(2025, 1, 14)
    rows = [
        {"region": place, "run": run, "valid": run + timedelta(hours=h), "t2m": h, "sky": 50}
        for place in ("region:a", "region:b")
        for run in (start, start + timedelta(hours=6))
        for h in (0, 1, 3)
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "runs.parquet")
    wanted = Wanted(time="valid", weather=("cloud=sky",))
    found = read_vintages(tmp_path / "runs.parquet", wanted)
    assert len(found) == 8
    assert {len(v.values) for v in found} == {4}
    assert found[0].at(np.array([found[0].first + 3 * 3600]))[0] == 3


def test_a_days_prices_follow_the_clock_when_it_changes(tmp_path: Path) -> None:
    """23 and 25 hours: the hour left out has the price before it, the one that came twice the mean
    of both; a day that lacks an hour is refused by name."""
    for first, count, odd in (("2025-03-29T23", 23, 2), ("2025-10-25T22", 25, 2)):
        at = np.datetime64(first + ":00") + np.arange(count).astype("timedelta64[h]")
        lines = [f"{t}Z,{10 * i}" for i, t in enumerate(at)]
        file = written(tmp_path / "spot.csv", "time,eur_mwh", *lines)
        news = read_news(file, "spot", PARIS)
        (prices,) = news["hourly"]["spot"].values()
        assert len(prices) == 24
        assert prices[odd] == (10_000 if count == 23 else 25_000)
        PriceBook().with_(news)
        written(tmp_path / "spot.csv", "time,eur_mwh", *lines[:5], *lines[6:])
        with pytest.raises(DataError, match=r"lack 0[46]:00"):
            read_news(file, "spot", PARIS)


def test_colours_and_rules_come_from_csv_and_toml(tmp_path: Path) -> None:
    rules = written(
        tmp_path / "tariffs.toml",
        '[rules."tempo_*"]\nkind = "colours"\nusual = "blue"',
        '[rules."tempo_*".colours]\nblue = { otherwise = 0.16 }\nred = { otherwise = "0.7562" }',
    )
    colours = written(tmp_path / "colours.csv", "date,colour", "2025-01-14,red")
    book = PriceBook().with_(read_news(rules, "", PARIS))
    book = book.with_(read_news(colours, "tempo_*", PARIS))
    assert book.colours == {"tempo_*": {"2025-01-14": "red"}}
    with pytest.raises(UsageError, match="--tariff NAME"):
        read_news(colours, "", PARIS)


def test_what_comes_with_wattstorm_forecasts_its_town() -> None:
    """The shipped model opens at any size and starts warm; every tariff has a share of it and a
    price on each of the demo's days."""
    shipped = artefact.load(sample.PLACE)
    assert artefact.verify(scaled(shipped, 3.7)) < 1e-6
    assert shipped.warm
    assert sum(shipped.card["shares"].values()) == pytest.approx(1)
    assert sorted(shipped.card["shares"]) == sorted(TARIFFS)
    book = PriceBook().with_(read_news(sample.PRICES, "", PARIS))
    for day in np.arange("2025-03-24", "2025-04-08", dtype="datetime64[D]"):
        for tariff in TARIFFS:
            assert book.priced(tariff, day, 48, shipped.calendar) is not None
