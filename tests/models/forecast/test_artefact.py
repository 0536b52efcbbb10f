"""A model on disk: what comes back is what was saved, and what is not whole is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.forecast import artefact
from models.forecast.backtest import feed
from models.forecast.forecaster import Forecaster
from models.forecast.forecaster_state import to_arrays
from models.forecast.scaling import LOADS, scaled
from models.forecast.warm import DAYS, begun, warmed
from tests.models.forecast.victoria import TRAIN, fitted, four_hours
from wattstorm.errors import ArtefactError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    artefact.save(fitted(), tmp_path / "model", {"curve": "national"})
    return tmp_path / "model"


def test_an_opened_artefact_forecasts_the_same_bits(saved: Path) -> None:
    _, _, values = four_hours()
    row = {k: v[700] for k, v in values.items()}
    ours = Forecaster(fitted()).forecast(700, row)
    theirs = Forecaster(artefact.load(saved)).forecast(700, row)
    assert np.array_equal(ours.point, theirs.point)
    assert artefact.verify(artefact.load(saved)) < 1e-9
    assert artefact.load(saved).card["curve"] == "national"


def test_saving_twice_gives_the_same_id_and_another_name_another(saved: Path) -> None:
    again = artefact.save(fitted(), saved.with_name("again"), {"curve": "national"})
    other = artefact.save(fitted(), saved.with_name("other"), {"curve": "peak"})
    assert again == artefact.artefact_id(saved) != other


def test_a_flipped_byte_is_refused(saved: Path) -> None:
    data = bytearray((saved / artefact.ARRAYS).read_bytes())
    data[len(data) // 2] ^= 1
    (saved / artefact.ARRAYS).write_bytes(data)
    with pytest.raises(ArtefactError, match="checksum"):
        artefact.load(saved)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 99}, "schema 99"),
        ({"slots": 5}, "lacks or garbles"),
        ({"families": {"lags": {"kind": "gam", "terms": []}}}, "lacks or garbles"),
        ({"members": "all"}, "lacks or garbles"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(saved: Path, change: dict, said: str) -> None:
    card = json.loads((saved / artefact.CARD).read_text())
    (saved / artefact.CARD).write_text(json.dumps(card | change))
    with pytest.raises(ArtefactError, match=said):
        artefact.load(saved)


@pytest.mark.parametrize(
    ("harm", "said"), [(np.nan, "NaN or infinity"), (1e4, "off its reference")]
)
def test_a_model_that_no_longer_says_what_its_trainer_said_is_refused(
    tmp_path: Path, harm: float, said: str
) -> None:
    """Whole by its checksum, and wrong: a constant that was changed, or is none."""
    models = fitted()
    lags = models.families["lags"]
    before = lags.constant.copy()
    try:
        lags.constant[2] += harm
        artefact.save(models, tmp_path / "bad")
    finally:
        lags.constant[:] = before
    with pytest.raises(ArtefactError, match=said):
        artefact.load(tmp_path / "bad")


def test_no_artefact_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="is no model"):
        artefact.load(tmp_path / "nothing")


def test_a_warm_model_begins_where_its_training_ended(tmp_path: Path) -> None:
    """The first day forecast is that of a forecaster that learned the year before;
    days remembered that are not past, as in a replay, are forgotten."""
    load, _, values = four_hours()
    days = np.datetime64("2012-01-01") + np.arange(TRAIN)
    state = warmed(fitted(), days, values, load[:TRAIN])
    artefact.save(replace(fitted(), warm=state), tmp_path / "warm")
    models = artefact.load(tmp_path / "warm")
    lived = Forecaster(fitted())
    for day in range(TRAIN - DAYS, TRAIN):
        feed(lived, day, load)
        lived.forecast(day, {k: v[day] for k, v in values.items()})
    feed(lived, TRAIN, load)
    row, first = {k: v[TRAIN] for k, v in values.items()}, int(days[-1].astype(int)) + 1
    warm, cold = begun(models).forecast(first, row), Forecaster(models).forecast(first, row)
    expected = lived.forecast(TRAIN, row)
    np.testing.assert_allclose(warm.point, expected.point, rtol=1e-5)
    np.testing.assert_allclose(warm.paths, expected.paths, rtol=1e-5)
    assert np.abs(cold.point / expected.point - 1).max() > 1e-3
    assert len(cold.paths) == 0 < len(warm.paths)
    again = begun(models)
    again.forecast(first - 5, row)
    assert max(again.days) == first - 5


def test_the_state_of_another_model_inside_an_artefact_is_refused(tmp_path: Path) -> None:
    state = to_arrays(Forecaster(fitted()))
    state["gate.loss"] = state["gate.loss"][:3]
    artefact.save(replace(fitted(), warm=state), tmp_path / "other")
    with pytest.raises(ArtefactError, match="state at the end of training"):
        artefact.verify(artefact.load(tmp_path / "other"))


def test_a_forecast_beyond_what_was_trained_on_says_so() -> None:
    """A heat that no training day had: flagged in its slot alone, and finite."""
    _, _, values = four_hours()
    row = {k: v[700].copy() for k, v in values.items()}
    usual = Forecaster(fitted()).forecast(700, row)
    row["temp"][2] = 55.0
    hot = Forecaster(fitted()).forecast(700, row)
    assert hot.clamped.tolist() == [False, False, True, False]
    assert not usual.clamped.any()
    assert np.isfinite(hot.point).all()


def test_a_model_of_another_size_says_as_many_times_as_much(tmp_path: Path) -> None:
    """Half the homes: every covariate that is a load and every answer is half, references too."""
    load, _, values = four_hours()
    days = np.datetime64("2012-01-01") + np.arange(TRAIN)
    whole = replace(
        fitted(), warm=warmed(fitted(), days[-60:], tail(values), load[TRAIN - 60 : TRAIN])
    )
    artefact.save(scaled(whole, 0.5), tmp_path / "half")
    half = artefact.load(tmp_path / "half")
    assert artefact.verify(half) < 1e-9
    row = {k: v[TRAIN] for k, v in values.items()}
    less = {k: v / 2 if k in (*LOADS, "naive") else v for k, v in row.items()}
    day = int(days[-1].astype(int)) + 1
    ours, theirs = begun(half).forecast(day, less), begun(whole).forecast(day, row)
    np.testing.assert_allclose(ours.quantiles * 2, theirs.quantiles, rtol=1e-6)
    np.testing.assert_allclose(ours.paths * 2, theirs.paths, rtol=1e-6)


def tail(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The last sixty training days."""
    return {k: v[TRAIN - 60 : TRAIN] for k, v in values.items()}
