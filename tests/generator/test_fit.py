"""Fitting: what is read, refused and set aside; the artefact, whole or refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from generator import Generator, Homes, Model, fit, read_homes, shipped
from generator.model.homes import set_aside, together
from tests.generator.conftest import SAMPLE
from wattstorm.errors import ArtefactError, TrainingError


def test_the_sample_is_read_in_whole_days(homes: Homes) -> None:
    assert homes.wh.shape[2] == 48
    assert len(homes.ids) == 20
    rows = pl.read_parquet(SAMPLE)
    assert np.nanmax(homes.wh) == pytest.approx(rows["kwh"].max() * 1000, abs=1)  # type: ignore[operator]


def test_finer_readings_are_summed_and_coarser_ones_refused(homes: Homes, tmp_path: Path) -> None:
    rows = pl.read_parquet(SAMPLE)
    half = rows.with_columns(pl.col("kwh") / 2)
    fine = pl.concat([half, half.with_columns(pl.col("ts_utc").dt.offset_by("15m"))])
    fine.write_parquet(tmp_path / "fine.parquet")
    again = read_homes([tmp_path / "fine.parquet"], "Australia/Sydney")
    assert np.nanmax(np.abs(again.wh - homes.wh)) <= 1.5
    rows.write_csv(tmp_path / "homes.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
    text = read_homes([tmp_path / "homes.csv"], "Australia/Sydney", minutes=60)
    assert text.wh.shape[2] == 24
    hours = rows.filter(pl.col("ts_utc").dt.minute() == 0)
    hours.write_parquet(tmp_path / "hours.parquet")
    with pytest.raises(TrainingError, match="every 60 minutes"):
        read_homes([tmp_path / "hours.parquet"], "Australia/Sydney")


def test_flat_negative_and_short_meters_are_set_aside_and_counted(homes: Homes) -> None:
    wh = homes.wh.copy()
    wh[0][~np.isnan(wh[0])] = 200
    wh[1, 10] = -5
    wh[2, 15:] = np.nan
    left = set_aside(dataclasses.replace(homes, wh=wh))
    assert len(left.ids) == 17
    assert left.aside["flat"] == 1
    assert left.aside["negative readings"] == 1
    assert left.aside["fewer than 21 whole days"] == 1


def test_a_day_that_nothing_resembles_is_not_learnt_from(homes: Homes) -> None:
    wh = homes.wh.copy()
    day = int(np.flatnonzero(homes.present()[3])[5])
    wh[3, day] = 20_000
    left = set_aside(dataclasses.replace(homes, wh=wh))
    assert left.aside["single days that stand apart"] >= 1
    assert np.isnan(left.wh[left.ids.index(homes.ids[3])]).all(axis=1)[day]


def test_too_few_homes_or_days_are_refused_with_the_reason(homes: Homes) -> None:
    with pytest.raises(TrainingError, match=r"5 usable homes of 5, 8 are needed"):
        fit(homes.take(homes=np.arange(5)))
    with pytest.raises(TrainingError, match="20 fewer than 21 whole days"):
        fit(homes.take(days=np.arange(12)))


def test_a_few_weeks_of_hours_are_enough(homes: Homes) -> None:
    hours = homes.wh[:, :35].reshape(20, 35, 24, 2).sum(axis=3)
    few = dataclasses.replace(homes, wh=hours, days=homes.days[:35])
    wh = Generator(fit(few)).curves(np.arange(200), few.days[:3].astype(np.int64))
    assert wh.shape == (200, 3, 24)
    assert wh.mean() == pytest.approx(np.nanmean(few.wh), rel=0.25)


def test_sources_of_two_seasons_are_put_together(homes: Homes) -> None:
    both = together([homes, homes], [0, 182])
    assert both.wh.shape[0] == 40
    assert both.present().sum() == 2 * homes.present().sum()
    with pytest.raises(TrainingError, match="whole weeks"):
        together([homes, homes], [0, 180])


def test_a_saved_model_draws_the_same_bytes(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    again = Model.load(tmp_path / "m")
    for engine in ("block", "chain"):
        a = Generator(model, engine=engine).curves(np.arange(300), [16_000])
        assert np.array_equal(Generator(again, engine=engine).curves(np.arange(300), [16_000]), a)


@pytest.mark.parametrize(
    "harm",
    [
        lambda d: (d / "arrays.npz").write_bytes((d / "arrays.npz").read_bytes()[:-100]),
        lambda d: (d / "arrays.npz").unlink(),
        lambda d: (d / "card.json").write_text("{}"),
        lambda d: (d / "card.json").write_text("not json"),
        lambda d: (d / "card.json").write_text(
            json.dumps(json.loads((d / "card.json").read_text()) | {"schema": 99})
        ),
    ],
)
def test_a_damaged_artefact_is_refused(model: Model, tmp_path: Path, harm) -> None:  # type: ignore[no-untyped-def]
    model.save(tmp_path / "m")
    harm(tmp_path / "m")
    with pytest.raises(ArtefactError):
        Model.load(tmp_path / "m")


def test_arrays_that_would_lead_a_kernel_astray_are_refused(model: Model, tmp_path: Path) -> None:
    wrong = dataclasses.replace(model, near=model.near + 1000)
    wrong.save(tmp_path / "m")
    with pytest.raises(ArtefactError, match="near"):
        Model.load(tmp_path / "m")


def test_no_two_blocks_that_followed_each_other_are_kept(model: Model, homes: Homes) -> None:
    size = (model.block_list[..., 1] - model.block_list[..., 0]).sum(axis=(0, 1))
    days = homes.present().sum()
    assert size[0] + size[1] <= days
    assert size[2] + size[3] <= days


def test_the_shipped_model_is_small_says_its_source_and_draws() -> None:
    model = shipped()
    assert model.card["bytes"] < 5 << 20
    assert "Australian" in model.card["source"]
    assert "CC BY-SA" in model.card["licence"]
    wh = Generator(model, time_zone="Europe/Paris").curves(np.arange(2000), [20_103])
    assert 100 < wh.mean() < 1500
