"""The score as a state machine: what moves states, what does not, what each anomaly is told as."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import score_kernels, score_numpy
from models.calibration import Cohorts, meter_p_values, p_values
from models.explain import explain, usual_wh
from models.score import MIN_DAYS, Segments, close, learn, score
from models.score_state import STATE_BYTES, fields, new_states
from tests.models.score_days import known_homes, some_days
from wattstorm.errors import UsageError
from wattstorm.metering.slots import LocalCalendar, SlotGrid, clock_places, day_number

DAY = 19_060
WH = some_days(days=61)
STATES = known_homes(WH[:, :60])
TODAY = WH[:, 60]


def scored(today: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = score(STATES, Segments.of_curves(DAY, today))
    return meter_p_values(scores), scores.value


def test_a_meter_is_64_bytes() -> None:
    assert STATE_BYTES == new_states(3).nbytes // 3 == 64


def test_every_injected_kind_is_found_and_a_usual_day_is_not() -> None:
    usual, _ = scored(TODAY)
    assert (usual < 0.01).mean() < 0.1
    spike = TODAY.copy()
    spike[:, 20:24] += 1500
    for name, today in {
        "dead": TODAY * 0,
        "shift": np.roll(TODAY, 12, axis=1),
        "x3": TODAY * 3,
        "x0.3": TODAY * 0.3,
        "flat": np.repeat(TODAY.mean(axis=1, keepdims=True), 48, axis=1),
        "night": np.roll(TODAY, 24, axis=1),
    }.items():
        p, _ = scored(np.rint(today))
        assert (p < 0.01).mean() > 0.9, name
    assert (scored(spike)[0][:20] < 0.01).mean() > 0.9  # of small homes: large ones have peaks


def test_each_kind_is_explained_by_its_direction_and_its_wh() -> None:
    home = 12
    usual = usual_wh(STATES, np.full(8, 6))[home]

    def told(today: np.ndarray) -> tuple[str, str, list[tuple[int, str, int]]]:
        segments = Segments.of_curves(DAY, np.rint(today))
        why = explain(STATES, segments, score(STATES, segments), home)
        parts = [(s.position, s.direction, s.wh) for s in why.stretches]
        for p, _, wh in parts:
            assert abs(wh - (segments.energy[home, p] - usual[p])) <= 1
        return why.kind, str(why), parts

    kind, text, parts = told(TODAY * 0)
    assert kind == "dead"
    assert {d for _, d, _ in parts} == {"dead"}
    assert " Wh" in text
    assert told(np.repeat(TODAY.mean(axis=1, keepdims=True), 48, axis=1))[0] == "flat"
    kind, _, parts = told(TODAY * 3)
    assert kind == "more"
    assert all(d == "more" and wh > 0 for _, d, wh in parts)
    kind, _, parts = told(TODAY * 0.3)
    assert kind == "less"
    assert all(d == "less" and wh < 0 for _, d, wh in parts)
    kind, text, _ = told(np.roll(TODAY, 12, axis=1))
    assert kind == "moved"
    assert "by +6 h" in text
    assert told(np.roll(TODAY, -12, axis=1))[1].startswith("moved by -6 h")
    assert told(np.roll(TODAY, 24, axis=1))[0] == "moved"
    raised = TODAY.copy()
    raised[:, 24:30] += 1500  # 12 to 15, when the home is quiet
    kind, _, parts = told(raised)
    assert kind == "more" or kind == "spike"
    assert parts[0][:2] == (4, "more")
    assert 8000 < parts[0][2] < 9500
    stuck = TODAY.copy()
    stuck[:, 12:30] = 333
    assert told(stuck)[0] == "stuck"
    spike = TODAY.copy()
    spike[:, 25] += 30_000
    assert told(spike)[0] == "spike"


def test_scoring_changes_nothing_and_learning_only_its_own_meters() -> None:
    before = STATES.copy()
    score(STATES, Segments.of_curves(DAY, TODAY * 3))
    assert np.array_equal(STATES, before)
    after, some = STATES.copy(), np.array([3, 7])
    part = after[some]
    learn(part, Segments.of_curves(DAY, TODAY).take(some))
    learn(after, Segments.of_curves(DAY, TODAY))
    assert np.array_equal(part, after[some])
    assert (after != STATES).any(axis=1).all()


def test_closing_at_once_is_scoring_and_learning() -> None:
    rng = np.random.default_rng(8)
    wh = some_days(50, 40, seed=9, noise=0.5)
    wh[rng.random(wh.shape) < 0.1] = np.nan
    wh[rng.random(wh.shape[:2]) < 0.05] = 0
    a, b = new_states(50), new_states(50)
    for d in range(40):
        segments = Segments.of_curves(19_000 + d, wh[:, d])
        one, two = score(a, segments), close(b, segments)
        learn(a, segments, one)
        assert np.array_equal(a, b)
        for name in ("value", "raw", "parts", "weigh", "features", "cold", "rules"):
            assert np.array_equal(getattr(one, name), getattr(two, name), equal_nan=True), name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_any_order_and_any_shards_of_meters_give_the_same_bytes(seed: int, shards: int) -> None:
    rng = np.random.default_rng(seed)
    whole = known_homes(WH[:, :25])
    order = rng.permutation(len(WH))
    for part in np.array_split(order, shards):
        assert np.array_equal(known_homes(WH[part][:, :25]), whole[part])


def test_compiled_and_numpy_scores_are_equal() -> None:
    """Gaps, dead days, negative and huge loads among them; states but for a rare last step."""
    rng = np.random.default_rng(4)
    wh = some_days(60, 50, seed=2, noise=0.6)
    wh[rng.random(wh.shape) < 0.05] = np.nan
    wh[rng.random(wh.shape[:2]) < 0.04] = 0
    wh[rng.random(wh.shape[:2]) < 0.02] = np.nan
    wh[3, 10:14], wh[4, 20] = 500, 1e7
    wh[5] *= -1
    a, b = new_states(60), new_states(60)
    differ = 0
    for d in range(50):
        segments = Segments.of_curves(19_000 + d, wh[:, d])
        one, two = (score(a, segments, kernel=k) for k in (score_kernels, score_numpy))
        for name in ("value", "raw", "parts", "weigh", "features"):
            x, y = getattr(one, name), getattr(two, name)
            assert np.allclose(x, y, atol=1e-9, equal_nan=True), (d, name)
        assert np.array_equal(one.rules, two.rules)
        b[:] = a
        learn(a, segments, one)
        learn(b, segments, one, kernel=score_numpy)
        gap = np.abs(a.astype(int) - b)
        assert gap.max() <= 1
        differ += int((gap > 0).sum())
    assert differ <= 5


def test_what_has_not_come_yet_is_neutral() -> None:
    """A running day: a usual morning alarms nobody, a dead one does before noon."""
    morning = TODAY.copy()
    morning[:, 24:] = np.nan
    p, _ = scored(morning)
    assert (p < 0.01).mean() < 0.1
    dead = morning.copy()
    dead[:, :24] = 0
    assert (scored(dead)[0] < 0.01).mean() > 0.9
    nothing = np.full_like(TODAY, np.nan)
    assert (scored(nothing)[0] == 1).all()
    after = STATES.copy()
    learn(after, Segments.of_curves(DAY, nothing))
    assert np.array_equal(after, STATES)


def test_a_stretch_with_less_than_half_its_slots_counts_for_nothing() -> None:
    few = TODAY.copy()
    few[:, 2:6] = np.nan
    few[:, :2] = 20_000
    none = TODAY.copy()
    none[:, :6] = np.nan
    assert np.array_equal(scored(few)[1], scored(none)[1])


def test_nothing_is_alarmed_before_three_weeks() -> None:
    states = new_states(len(WH))
    for d in range(MIN_DAYS + 1):
        segments = Segments.of_curves(19_000 + d, WH[:, d])
        wrong = score(states, Segments.of_curves(19_000 + d, WH[:, d] * 20))
        assert wrong.cold.all() == (d < MIN_DAYS)
        assert (meter_p_values(wrong) == 1).all() == (d < MIN_DAYS)
        learn(states, segments)
    assert (fields(states)["days"] == MIN_DAYS + 1).all()


def test_days_without_life_are_news_once_and_teach_nothing() -> None:
    states = STATES.copy()
    dead = Segments.of_curves(DAY, TODAY * 0)
    first = score(states, dead)
    assert (meter_p_values(first) < 0.01).mean() > 0.9
    learn(states, dead, first)
    second = score(states, dead)
    assert (meter_p_values(second) > 0.05).all()
    assert (second.rules & 1).all()
    before = fields(states).copy()
    learn(states, dead, second)
    assert np.array_equal(fields(states)["mean"], before["mean"])
    learn(states, Segments.of_curves(DAY + 1, TODAY))
    assert (fields(states)["days"] < 128).all()


@pytest.mark.parametrize(("on", "slots"), [((2024, 3, 31), 46), ((2024, 10, 27), 50)])
def test_clock_change_days_are_usual_days(on: tuple[int, int, int], slots: int) -> None:
    """The same hours of the clock hold the same loads: nobody is alarmed, sums stay true."""
    day = date(*on)
    calendar = LocalCalendar(SlotGrid(30), "Europe/Paris")
    places = clock_places(calendar, day_number(day))
    assert len(places) == slots
    segments = Segments.of_curves(day_number(day), TODAY[:, places], places)
    assert segments.full.sum() == slots
    assert np.array_equal(segments.energy.sum(axis=1), TODAY[:, places].sum(axis=1))
    p = meter_p_values(score(STATES, segments))
    plain, _ = scored(TODAY)
    assert np.median(np.abs(np.log(p / plain))) < 0.5
    assert (p < 0.01).mean() < 0.12


def test_constant_random_and_tiny_loads_give_finite_scores() -> None:
    rng = np.random.default_rng(0)
    days = np.stack(
        [
            np.full((30, 48), 100.0),
            np.zeros((30, 48)),
            rng.integers(0, 2, (30, 48)),
            rng.integers(0, 65_535, (30, 48)),
            np.full((30, 48), 2e9 / 48),
        ]
    ).astype(float)
    states = known_homes(days)
    scores = score(states, Segments.of_curves(19_030, days[:, 0]))
    told = scores.value[fields(states)["days"] & 127 > 0]
    assert np.isfinite(told).all()
    assert (scores.cold == (fields(states)["days"] & 127 < MIN_DAYS)).all()


def test_peers_make_p_values_uniform_whatever_the_cohort() -> None:
    """Scores of a noisy cohort are higher; among peers they are as usual as any."""
    cohort = np.arange(40) % 2
    scores = score(STATES, Segments.of_curves(DAY, TODAY))
    shifted = np.where(cohort == 1, scores.value + 2, scores.value)
    peers, value = Cohorts.none(2), scores.value.copy()
    for _ in range(120):
        scores.value[:] = shifted
        peers.add(scores, cohort)
    p = peers.p_values(scores, cohort)
    scores.value[:] = value
    assert abs(np.median(p[cohort == 0]) - 0.5) < 0.1
    assert abs(np.median(p[cohort == 1]) - 0.5) < 0.1
    total = peers.counts.sum()
    peers.fade()
    assert 0.85 * total < peers.counts.sum() < total


def test_p_values_fall_as_scores_rise_and_never_leave_their_range() -> None:
    p = p_values(np.r_[np.linspace(-30, 60, 500), np.nan])
    assert (np.diff(p[:-1]) <= 0).all()
    assert p[-1] == 1
    assert p.min() >= 1e-9
    assert p.max() <= 1


def test_curves_that_are_no_days_are_refused() -> None:
    with pytest.raises(UsageError, match="slots"):
        Segments.of_curves(0, np.ones((2, 47)))
