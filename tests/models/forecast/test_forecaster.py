"""What the forecaster does day after day: learns once, sleeps, stands wild readings, repeats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models.forecast import metrics
from models.forecast.backtest import feed, play
from models.forecast.forecaster import Forecaster
from models.forecast.forecaster_state import restore, to_arrays
from models.forecast.mixture import Mixture
from models.forecast.trusted import trusted
from tests.models.forecast.victoria import TRAIN, fitted, four_hours, inputs
from wattstorm.errors import SnapshotError

FROM = 560


def points(load: np.ndarray, values: dict[str, np.ndarray]) -> np.ndarray:
    """Played from day FROM - 8 on; forecasts from FROM on."""
    late = {k: v[FROM - 8 :] for k, v in values.items()}
    return play(Forecaster(fitted()), late, load[FROM - 8 :]).point[8:]


def test_it_beats_the_models_as_fitted_and_last_week_on_days_it_never_saw() -> None:
    load, _, values = four_hours()
    point, truth, test = points(load, values), load[FROM:], slice(TRAIN - FROM, None)
    static = fitted().families["lags"]
    as_fitted = static.predict(static.gather(values))[FROM:]
    ours = metrics.mape(truth[test], point[test])
    assert ours < 0.9 * metrics.mape(truth[test], as_fitted[test])
    assert ours < 0.5 * metrics.mape(truth[test], values["naive"][FROM:][test])


def test_it_follows_a_break_that_the_models_as_fitted_never_recover_from() -> None:
    """Load falls by a seventh on the first day of the test, for good, without a word."""
    load, temp, _ = four_hours()
    load = load.copy()
    load[TRAIN:] *= 6 / 7
    values = inputs(load, temp)
    point, truth = points(load, values), load[FROM:]
    month = slice(TRAIN + 10 - FROM, TRAIN + 90 - FROM)
    free = fitted().families["free"]
    as_fitted = free.predict(free.gather(values))[FROM:]
    assert metrics.mape(truth[month], as_fitted[month]) > 10
    assert metrics.mape(truth[month], point[month]) < 4


def test_the_same_days_give_the_same_bits_however_they_arrive() -> None:
    """Slot by slot, twice, and late slots first: the forecast of the next day is the same."""
    load, _, values = four_hours()

    def after(learn: Callable[[Forecaster, int, np.ndarray], None]) -> np.ndarray:
        forecaster = Forecaster(fitted())
        for day in range(600, 640):
            for back in (2, 1):
                learn(forecaster, day - back, load[day - back])
            said = forecaster.forecast(day, {k: v[day] for k, v in values.items()})
        return np.vstack([said.point[None], said.quantiles, said.paths])

    def slot_by_slot(forecaster: Forecaster, day: int, y: np.ndarray) -> None:
        for slot in (3, 0, 2, 1, 0):
            forecaster.learn(day, np.where(np.arange(4) == slot, y, np.nan))

    whole = after(lambda forecaster, day, y: forecaster.learn(day, y))
    assert np.array_equal(whole, after(slot_by_slot))


def test_from_a_snapshot_it_goes_on_to_the_same_bits() -> None:
    """State taken out in mid-year and put into a new forecaster; the next days are the same."""
    load, _, values = four_hours()
    one = Forecaster(fitted())
    for day in range(600, 630):
        feed(one, day, load)
        one.forecast(day, {k: v[day] for k, v in values.items()})
    other = Forecaster(fitted())
    restore(other, to_arrays(one))
    for day in range(630, 640):
        for each in (one, other):
            feed(each, day, load)
        row = {k: v[day] for k, v in values.items()}
        ours, theirs = one.forecast(day, row), other.forecast(day, row)
        assert np.array_equal(ours.quantiles, theirs.quantiles)
        assert np.array_equal(ours.paths, theirs.paths)


def test_the_state_of_another_model_is_refused_and_changes_nothing() -> None:
    forecaster = Forecaster(fitted())
    theirs = to_arrays(forecaster)
    theirs["gate.loss"] = theirs["gate.loss"][:3]
    before = to_arrays(forecaster)
    with pytest.raises(SnapshotError, match=r"gate\.loss has shape"):
        restore(forecaster, theirs)
    for name, values in to_arrays(forecaster).items():
        np.testing.assert_array_equal(before[name], values)


def test_a_second_value_of_a_slot_is_not_learned_again() -> None:
    load, _, values = four_hours()
    forecaster = Forecaster(fitted())
    forecaster.forecast(600, {k: v[600] for k, v in values.items()})
    forecaster.learn(600, load[600])
    before = forecaster.filters.theta.copy()
    forecaster.learn(600, load[600] * 1.5)
    assert np.array_equal(before, forecaster.filters.theta)


def test_without_weather_the_others_answer_and_the_result_says_who() -> None:
    load, _, values = four_hours()
    blind = {k: np.where(k.startswith("temp"), np.nan, v) for k, v in values.items()}
    forecaster = Forecaster(fitted())
    for day in range(600, 610):
        feed(forecaster, day, load)
        said = forecaster.forecast(
            day, {k: v[day] for k, v in (blind if day == 609 else values).items()}
        )
    names = [m.name for m, a in zip(forecaster.members, said.awake, strict=True) if a.any()]
    assert names == ["blind/1e-03"]
    assert metrics.mape(load[609:610], said.point[None]) < 10


def test_with_nothing_known_the_last_day_answers() -> None:
    load, _, values = four_hours()
    forecaster = Forecaster(fitted())
    for day in (600, 601):
        forecaster.learn(day - 1, load[day - 1])
        forecaster.forecast(day, {k: v[day] for k, v in values.items()})
    nothing = {k: np.full(4, np.nan) for k in values}
    assert np.isfinite(forecaster.forecast(602, nothing).point).all()


@pytest.mark.parametrize("harm", ["gaps", "spikes", "frozen", "weather", "all"])
def test_a_year_of_bad_data_stays_finite_and_costs_little_on_clean_days(harm: str) -> None:
    """Gaps, ten-fold spikes, a curve that froze, weather that failed: below a tenth more error."""
    load, temp, values = four_hours()
    rng = np.random.default_rng(7)
    bad_load, bad_temp = load.copy(), temp.copy()
    days = np.arange(FROM, len(load))
    if harm in ("gaps", "all"):
        bad_load[rng.choice(days, 16, replace=False)] = np.nan
    if harm in ("spikes", "all"):
        bad_load[rng.choice(days, 12), rng.integers(0, 4, 12)] *= 10
    if harm in ("frozen", "all"):
        bad_load[690:694] = bad_load[689, 3]
    if harm in ("weather", "all"):
        bad_temp[rng.choice(days, 14, replace=False)] = np.nan
    seen = trusted(bad_load)
    point = points(seen, inputs(seen, bad_temp))
    assert np.isfinite(point).all()
    clean = points(load, values)
    touched = (bad_load != load).any(axis=1) | (np.isnan(bad_temp)).any(axis=1)
    use = ~touched[FROM:] & (np.arange(len(point)) > 60)
    usual = metrics.mape(load[FROM:][use], clean[use])
    assert metrics.mape(load[FROM:][use], point[use]) < 1.1 * usual


def test_intervals_cover_what_they_say_on_days_never_seen() -> None:
    load, _, values = four_hours()
    late = {k: v[FROM - 8 :] for k, v in values.items()}
    played = play(Forecaster(fitted()), late, load[FROM - 8 :])
    test = slice(TRAIN - FROM + 8, None)
    whole, worst = metrics.coverage(load[FROM - 8 :][test], played.quantiles[:, test], 0.9)
    assert 84 < whole < 95
    assert worst > 65
    assert (np.diff(played.quantiles[:, test], axis=0) >= 0).all()


def test_the_mixture_is_the_same_in_any_unit() -> None:
    """In mWh, too, the weights add up to one: a nation's losses squared are greater than 10^12."""
    experts, awake = np.array([[90.0, 100.0, 130.0]]), np.ones((1, 3), bool)
    loss = np.array([1.0, 2.0, 4.0])
    mixture = Mixture.start(3, 1)
    small = mixture.answer(experts, awake, loss)
    large = mixture.answer(experts * 1e9, awake, loss * 1e9)
    np.testing.assert_allclose(large / 1e9, small, rtol=1e-12)
    assert 90 < small[0] < 110


def test_the_mixture_finds_the_better_expert_and_forgives_a_sleeper() -> None:
    """The good expert sleeps every third day; it has nearly all weight when it is awake."""
    rng = np.random.default_rng(3)
    mixture = Mixture.start(3, 1)
    for day in range(200):
        y = rng.normal(100, 1, 1)
        experts = np.array([y + rng.normal(0, 0.2), y + rng.normal(0, 3), y - 5]).T
        awake = np.array([[day % 3 > 0, True, True]])
        mixture.update(np.where(awake, experts, np.nan), y, awake, np.ones(1))
    assert (mixture.weights(np.ones((1, 3), bool))[:, 0, 0] > 0.9).all()
    asleep = mixture.weights(np.array([[False, True, True]]))
    assert np.allclose(asleep.sum(axis=-1), 1)
    assert (asleep[:, 0, 0] == 0).all()
