"""`wattstorm train`, `models`, `backtest`: a file of load in, a model that is live, figures out."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest

from models.forecast.covariates import covariates
from tests.cli.commands import Wattstorm
from tests.models.forecast.victoria import calendar, whole_days
from wattstorm.cli.train_process import Given, train_apart
from wattstorm.errors import TrainingError

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
    return Given({k: v[:400] for k, v in values.items()}, load[:400], calendar(), 24)


@pytest.mark.parametrize(
    ("sent", "said"), [(signal.SIGKILL, "exit code -9"), (signal.SIGSTOP, "told nothing for 15 s")]
)
def test_r_that_is_killed_or_hangs_is_an_error_and_no_process_is_left(
    sent: signal.Signals, said: str
) -> None:
    """The signal reaches the process that R runs in, while it fits."""
    seen: list[int] = []

    def heard(family: str, slot: int) -> None:
        if not seen:
            child = next(c for c in psutil.Process().children() if "spawn_main" in str(c.cmdline()))
            seen.append(child.pid)
            os.kill(child.pid, sent)

    with pytest.raises(TrainingError, match=said):
        train_apart("mgcv", some_days(), patience=60 if sent is signal.SIGKILL else 15, heard=heard)
    assert seen
    assert not psutil.pid_exists(seen[0])


def test_a_column_that_is_not_there_is_named(wattstorm: Wattstorm, load_file: Path) -> None:
    done = wattstorm("train", load_file, "--load", "watts", code=2)
    assert "no column 'watts'" in done.stderr
