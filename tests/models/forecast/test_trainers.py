"""The same checks for every trainer: what they fit compiles to the same thing, and scores alike."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from models.forecast import metrics
from models.forecast.compiled import Bank, Compiled
from models.forecast.formula import GAMS, Term
from models.forecast.trainers import ridge
from models.forecast.trainers.compiling import train
from models.forecast.trainers.training import TRAINERS, trainer_named, training_days
from tests.models.forecast.victoria import TRAIN, four_hours
from wattstorm.errors import TrainingError

LAGS = tuple(t for t in GAMS["lags"] if t.x not in ("cloud", "wind"))


@pytest.fixture(scope="module", params=TRAINERS)
def compiled(request: pytest.FixtureRequest) -> tuple[Compiled, dict[str, np.ndarray]]:
    load, _, values = four_hours()
    days = training_days(values, slice(0, TRAIN))
    return train(trainer_named(request.param), LAGS, days, load[:TRAIN])


def test_a_compiled_model_says_what_its_trainer_said(compiled: tuple) -> None:
    """To 1e-9 of the trainer's own predictions."""
    model, reference = compiled
    rows = range(reference["x"].shape[1])
    said = np.stack([model.predict(reference["x"][:, i]) for i in rows], axis=1)
    assert np.abs(said / reference["expected"] - 1).max() < 1e-9


def test_every_trainer_beats_last_week_by_far_on_days_it_never_saw(compiled: tuple) -> None:
    load, _, values = four_hours()
    model, _ = compiled
    point = model.predict(model.gather(values))
    assert metrics.mape(load[TRAIN:], point[TRAIN:]) < 4.5
    assert metrics.mape(load[TRAIN:], values["naive"][TRAIN:]) > 7


def test_effects_are_continuous_and_straight_beyond_the_training_range(compiled: tuple) -> None:
    """No step at a cell's bound; in the tail cell equal steps; beyond it, clamped and flagged."""
    model, _ = compiled
    _, _, values = four_hours()
    x = np.repeat(model.gather(values)[None, 400], 4000, axis=0)
    i = next(k for k, t in enumerate(model.formula) if t.x == "temp")
    low, width, cells = model.low[0, i], model.width[0, i], model.formula[i].cells
    x[:, :, model.covariates.index("temp")] = np.linspace(
        low - 3 * width, low + (cells + 3) * width, 4000
    )[:, None]
    effect = model.effects(x)[:, 0, i]
    step = np.abs(np.diff(effect))
    assert step.max() < 40 * np.median(step[step > 0])
    at = x[:, 0, model.covariates.index("temp")]
    assert np.allclose(effect[at < low - width], effect[0])
    assert np.ptp(np.diff(effect[(at > low - width) & (at < low)])) < 1e-9 * np.abs(effect).max()
    assert model.clamped(x)[0, 0, i]
    assert not model.clamped(x)[2000, 0, i]


def test_an_unknown_covariate_makes_an_unknown_forecast_and_no_other(compiled: tuple) -> None:
    model, _ = compiled
    _, _, values = four_hours()
    x = model.gather(values)[400].copy()
    x[2, model.covariates.index("temp")] = np.nan
    said = model.predict(x)
    assert np.isnan(said[2])
    assert np.isfinite(said[[0, 1, 3]]).all()


def test_a_bank_scores_models_of_different_formulas_together(compiled: tuple) -> None:
    """As each model alone, bit for bit, whichever the order of covariates; effects, too."""
    model, _ = compiled
    load, _, values = four_hours()
    short = tuple(t for t in LAGS if t.x in ("toy", "temp", "day_type"))
    trainer = trainer_named("pygam")
    other, _ = train(trainer, short, training_days(values, slice(0, TRAIN)), load[:TRAIN])
    bank = Bank([model, other], model.covariates)
    both = bank.predict(model.gather(values)[500])
    assert np.array_equal(both[0], model.predict(model.gather(values)[500]))
    assert np.allclose(both[1], other.predict(other.gather(values)[500]), rtol=1e-15)
    days = model.gather(values)[500:503].copy()
    days[0, 0, model.covariates.index("turn")] = np.nan
    effects = bank.effects(days)
    np.testing.assert_array_equal(effects[:, 0], model.effects(days))
    assert np.allclose(
        effects[1:, 1, :, : len(short)], other.effects(other.gather(values)[501:503])
    )
    assert (effects[:, 1, :, len(short) :] == 0).all()


def test_too_few_days_are_refused_with_the_count() -> None:
    load, _, values = four_hours()
    with pytest.raises(TrainingError, match="33 days"):
        train(trainer_named("pygam"), LAGS, training_days(values, slice(0, 40)), load[:40])


def test_a_trainer_that_returns_nan_is_an_error() -> None:
    """What R returns when a fit goes wrong must never become an artefact."""

    class Broken:
        tools = "broken 1.0"

        def fit(self, *given: object) -> object:
            fitted = trainer_named("pygam").fit(*given)
            fitted.effects[0, 0] = np.nan
            return fitted

    load, _, values = four_hours()
    with pytest.raises(TrainingError, match=r"broken 1\.0 returned NaN"):
        train(Broken(), LAGS, training_days(values, slice(0, TRAIN)), load[:TRAIN])


def test_a_term_that_the_days_cannot_tell_is_left_out() -> None:
    """A covariate that never changes has no effect to fit."""
    load, _, values = four_hours()
    values = {**values, "cloud": np.full(load.shape, 40.0)}
    formula = (Term("smooth", "temp", 6), Term("smooth", "cloud", 6))
    days = training_days(values, slice(0, TRAIN))
    model, _ = train(trainer_named("pygam"), formula, days, load[:TRAIN])
    assert [t.x for t in model.formula] == ["temp"]


def test_the_ridge_is_as_good_on_new_days_and_reproduces_itself() -> None:
    load, _, values = four_hours()
    names = ("temp", "temp_fast", "temp_slow", "temp_max", "lag_day", "lag_week", "lag_last")
    days = training_days(values, slice(0, TRAIN))
    one, reference = ridge.train(names, days, load[:TRAIN], 1)
    again, _ = ridge.train(names, days, load[:TRAIN], 1)
    assert np.array_equal(one.beta, again.beta)
    assert np.allclose(one.predict(reference["x"][:, 0]), reference["expected"][:, 0], rtol=1e-12)
    assert metrics.mape(load[TRAIN:], one.predict(one.gather(values))[TRAIN:]) < 4.5


def test_what_scores_imports_nothing_that_fits() -> None:
    """In a process of its own, as a worker: neither R's bridge nor pygam nor statsmodels."""
    code = (
        "import sys; import models.forecast.artefact, models.forecast.forecaster, "
        "models.forecast.backtest, models.forecast.covariates, models.forecast.money, "
        "models.forecast.prices, models.forecast.hierarchy, models.forecast.registry, "
        "models.forecast.forecaster_state, models.forecast.weather_book, "
        "models.forecast.price_book, models.forecast.warm, models.forecast.scaling; "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'rpy2', 'pygam', 'statsmodels', "
        "'scipy', 'pandas', 'polars', 'holidays', 'sklearn', 'lightgbm'}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_processes_that_follow_r_load_their_own_libraries() -> None:
    """R's folders would come before a Python's own in all that this process starts later."""
    trainer_named("mgcv")
    asked = "import os, ssl; print(os.environ.get('LD_LIBRARY_PATH', ''))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert "/R/" not in done.stdout
