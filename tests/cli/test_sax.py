"""`wattstorm sax words`: a file of readings in, words as columns out."""

from __future__ import annotations

import io

import numpy as np
import polars as pl

from models.sax import words
from tests.cli.commands import Wattstorm
from wattstorm.sample import READINGS


def test_words_of_the_sample_are_those_of_its_days(wattstorm: Wattstorm) -> None:
    """Every meter and local day, clock-change day included; gaps are points."""
    done = wattstorm("sax", "words", READINGS, "--out", "w.parquet", "--segments", 8)
    frame = pl.read_parquet(wattstorm.directory / "w.parquet")
    assert f"{len(frame):,} days" in done.stderr
    assert frame["meter"].n_unique() == 20
    assert frame.select("meter", "date").is_unique().all()
    whole = frame.filter(slots=48)
    assert len(whole) > 2000
    assert not whole["word"].str.contains(".", literal=True).any()
    assert frame.filter(pl.col("slots") < 6)["word"].str.contains(".", literal=True).all()
    assert frame.filter(date=pl.date(2013, 4, 7))["slots"].max() == 48  # of the wall clock

    day = pl.read_parquet(READINGS).filter(
        pl.col("ts_utc").dt.convert_time_zone("Australia/Sydney").dt.date() == pl.date(2013, 6, 8)
    )
    for meter, rows in day.sort("ts_utc").group_by("meter"):
        if len(rows) == 48:
            wh = np.rint(rows["kwh"].to_numpy() * 1000)[None]
            row = frame.filter(meter=str(meter[0]), date=pl.date(2013, 6, 8))
            assert row["packed"][0] == words(wh, 8, 8)[0]


def test_words_go_to_stdout_on_the_homes_scale_with_learned_letters(wattstorm: Wattstorm) -> None:
    done = wattstorm(
        "sax",
        "words",
        READINGS,
        "--scale",
        "home",
        "--breakpoints",
        "learned",
        "--segments",
        4,
        "--alphabet",
        3,
    )
    frame = pl.read_csv(io.StringIO(done.stdout))
    text = "".join(frame["word"])
    for letter in "abc":
        assert 0.30 < text.count(letter) / len(text.replace(".", "")) < 0.36


def test_wrong_usage_ends_with_two_and_says_what_would_be_right(wattstorm: Wattstorm) -> None:
    for option, value, remedy in (
        ("--scale", "meter", "curve or home"),
        ("--breakpoints", "none", "gaussian or learned"),
        ("--out", "w.txt", ".parquet or .csv"),
    ):
        assert remedy in wattstorm("sax", "words", READINGS, option, value, code=2).stderr
    text = wattstorm("sax", "words", "--help").stdout
    assert 0 < text.index("  wattstorm sax words") < text.index("Options:")
