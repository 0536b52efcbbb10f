"""`wattstorm train`, `models`, `backtest`: a file of load in, a model that is live, figures out."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from typer.testing import CliRunner, Result

from models.forecast.covariates import covariates
from tests.cli.commands import Wattstorm
from tests.models.forecast.victoria import calendar, whole_days
from tests.stream.forecasting import registered
from wattstorm.cli.main import app
from wattstorm.cli.train_process import Given, train_apart
from wattstorm.errors import TrainingError
from wattstorm.sample import TIME_ZONE

OPTIONS = (
    *("--load", "mw", "--temperature", "celsius", "--country", "AU-VIC", "--minutes", 60),
    *("--time-zone", "Etc/GMT-10"),
)


@pytest.fixture
def load_file(wattstorm: Wattstorm) -> Path:
    """Victoria by hours, stamped in the zone that the options name."""
    _, load, temp = whole_days()
    start = np.datetime64("2011-12-31T14:00")
    stamps = start + np.arange(load.size) * np.timedelta64(1, "h")
    rows = zip(stamps.astype(str), load.ravel(), temp.ravel(), strict=True)
    path = wattstorm.directory / "load.csv"
    lines = [f"{t}:00,{mw:.0f},{c:.1f}" for t, mw, c in rows]
    path.write_text("\n".join(["ts_utc,mw,celsius", *lines]))
    return path


@pytest.mark.slow
def test_a_model_is_trained_with_real_r_promoted_and_backtested(
    wattstorm: Wattstorm, load_file: Path
) -> None:
    done = wattstorm("train", load_file, *OPTIONS, "--until", "2013-12-31")
    identity = done.stdout.strip()
    listed = json.loads(wattstorm("models", "list", "--json").stdout)
    assert [(m["curve"], m["id"], m["stage"]) for m in listed] == [("national", identity, "staged")]
    assert "mgcv" in listed[0]["tools"]
    wattstorm("models", "promote", identity[:6])
    card = json.loads(wattstorm("models", "show", identity).stdout)
    assert card["stage"] == "live"
    assert card["training"] == {"first": "2012-01-01", "last": "2013-12-31", "days": 731}
    assert identity in wattstorm("models", "verify").stdout
    done = wattstorm(
        *("backtest", load_file, *OPTIONS, "--until", "2013-12-31", "--model", identity),
        *("--report", "r", "--json"),
    )
    figures = json.loads(done.stdout)
    assert figures["test_days"] == 90
    assert figures["mape"] < 0.9 * figures["mape_as_fitted"] < 0.6 * figures["mape_d7"]
    assert 84 < figures["coverage90"] < 96
    assert json.loads((wattstorm.directory / "r/report.json").read_text()) == figures
    assert "<svg" in (wattstorm.directory / "r/report.html").read_text()


def some_days() -> Given:
    days, load, temp = whole_days()
    values = covariates(days, load, {"temp": temp}, calendar())
    return Given(days[:400], {k: v[:400] for k, v in values.items()}, load[:400], calendar(), 24)


@pytest.mark.parametrize(
    ("sent", "said"), [(signal.SIGKILL, "exit code -9"), (signal.SIGSTOP, "told nothing for 15 s")]
)
def test_r_that_is_killed_or_hangs_is_an_error_and_no_process_is_left(
    sent: signal.Signals, said: str
) -> None:
    """The signal reaches the process that R runs in, while it fits."""
    seen: list[int] = []

    def heard(curve: str, family: str, slot: int) -> None:
        if not seen:
            child = next(c for c in psutil.Process().children() if "spawn_main" in str(c.cmdline()))
            seen.append(child.pid)
            os.kill(child.pid, sent)

    with pytest.raises(TrainingError, match=said):
        train_apart(
            "mgcv",
            {"national": some_days()},
            patience=60 if sent is signal.SIGKILL else 15,
            heard=heard,
        )
    assert seen
    assert not psutil.pid_exists(seen[0])


def listed(directory: Path) -> dict[str, dict[str, Any]]:
    """Cards by curve."""
    cards = (json.loads(p.read_text()) for p in (directory / "models").glob("*/*/card.json"))
    return {card["curve"]: card for card in cards}


def invoked(*words: object) -> Result:
    return CliRunner().invoke(app, [*map(str, words)], env={"REDIS_URL": ""})


def test_many_curves_are_trained_at_once_and_start_warm(load_file: Path, tmp_path: Path) -> None:
    """Curves from the settings' section train; the second is the first at another scale."""
    config = tmp_path / "w.toml"
    config.write_text(
        '[train]\ncurves = ["national=mw", "town=celsius"]\nfamilies = ["ridge_free"]\n'
        'trainer = "pygam"\ncountry = "AU-VIC"\n'
    )
    head = ("--config", config, "--data", tmp_path / "d")
    zone = ("--minutes", 60, "--time-zone", "Etc/GMT-10", "--until", "2012-07-31")
    done = invoked(*head, "train", load_file, *zone, "--temperature", "celsius")
    assert done.exit_code == 0, done.output
    cards = listed(tmp_path / "d")
    assert sorted(cards) == ["national", "town"]
    assert cards["national"]["warm"]
    assert [m[0] for m in cards["town"]["members"]] == ["naive", "ridge_free"]
    assert cards["town"]["data"]["load"] == "celsius"


def test_curves_of_a_store_are_learned_from(sampled: Wattstorm, tmp_path: Path) -> None:
    """Four months of a few homes, in Wh, in the store's zone and slots, with no weather."""
    words = ("train", "--store", "--trainer", "pygam", "--family", "ridge", "--load", "base_6")
    done = invoked("--data", sampled.directory / "data", *words, "--cold")
    assert done.exit_code == 0, done.output
    card = listed(sampled.directory / "data")["base_6"]
    assert card["data"]["curve"] == "tariff:base_6"
    assert card["time_zone"] == TIME_ZONE
    assert card["slots"] == 48
    assert 0 < card["residual"]["ridge"] < 5000
    shutil.rmtree(sampled.directory / "data" / "models")


def test_a_training_that_fails_leaves_the_registry_as_it_was(
    load_file: Path, tmp_path: Path
) -> None:
    """The second of two curves is a column of holes: the first is not staged either."""
    holes = load_file.read_text().replace("ts_utc,mw", "ts_utc,no,mw").splitlines()
    file = tmp_path / "holes.csv"
    file.write_text("\n".join([holes[0], *(line.replace(",", ",,", 1) for line in holes[1:])]))
    place = ("--minutes", 60, "--time-zone", "Etc/GMT-10", "--family", "ridge_free")
    head = ("--data", tmp_path / "d", "train", file, "--trainer", "pygam", *place)
    with pytest.raises(TrainingError, match="curve other"):
        CliRunner().invoke(
            app,
            [*map(str, head), "--load", "national=mw", "--load", "other=no"],
            env={"REDIS_URL": ""},
            catch_exceptions=False,
        )
    assert not (tmp_path / "d" / "models").exists()


def test_a_column_that_is_not_there_is_named(wattstorm: Wattstorm, load_file: Path) -> None:
    done = wattstorm("train", load_file, "--load", "watts", code=2)
    assert "no column 'watts'" in done.stderr


def test_promotion_and_rollback_tell_the_stream_and_once(wattstorm: Wattstorm) -> None:
    """Each is an entry of the log of slots; said again it is none; a model of another issue time
    stands beside."""
    root = wattstorm.directory / "data" / "models"
    one, other = (registered(root, weather=weather).id for weather in (True, False))
    said = [
        wattstorm("models", *command).stderr.splitlines()[-1]
        for command in (
            ("promote", one),
            ("promote", one),
            ("promote", other),
            ("rollback", "national"),
        )
    ]
    assert said == [
        "the stream is told, entry 1 of the log slots",
        "the stream was told already",
        "the stream is told, entry 2 of the log slots",
        "the stream is told, entry 3 of the log slots",
    ]
