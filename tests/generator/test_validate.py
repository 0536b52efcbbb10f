"""The judges: what is the same is not told apart, what is wrong is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from generator import Homes
from generator.judge import baselines, metrics, report, validate
from generator.judge.attack import outlier_attack
from generator.judge.classify import rank_auc, two_samples
from generator.judge.validate import Rival, compare


@pytest.mark.parametrize("name", sorted(baselines.BASELINES))
def test_baselines_draw_whole_days_of_every_home(homes: Homes, name: str) -> None:
    few = homes.take(days=np.arange(60))
    wh = baselines.BASELINES[name](few, homes.days[60:74], 0)
    assert wh.shape == (20, 14, 48)
    assert (wh >= 0).all()
    assert wh.mean() == pytest.approx(np.nanmean(few.wh), rel=0.3)


def test_real_homes_against_themselves_are_the_floor(homes: Homes) -> None:
    rival = Rival(homes.wh, np.arange(20), homes.days)
    figures = compare(homes, rival, homes)
    assert figures["mean_worst_pct"] == 0
    assert figures["ks_day_energy"] == 0
    assert figures["coincidence_10"] == 1
    learn = np.arange(20) % 2 == 0
    found = two_samples(homes.wh, learn, homes.wh, learn, homes.days, homes.days, 0)
    assert 0.4 < found["c2st_day"] < 0.6


def test_a_classical_chain_is_told_from_real_days(homes: Homes) -> None:
    wh = baselines.classical(homes, homes.days, 1)
    learn = np.arange(20) % 2 == 0
    found = two_samples(homes.wh, learn, wh, learn, homes.days, homes.days, 0)
    assert found["c2st_day"] > 0.8


def test_an_outlier_attack_is_a_number_between_none_and_all(homes: Homes) -> None:
    assert 0 <= outlier_attack(homes.take(days=np.arange(80)), "chain") <= 1


def test_figures_know_their_formulas() -> None:
    assert metrics.ks(np.array([1.0, 2.0]), np.array([3.0, 4.0])) == 1
    assert rank_auc(np.array([0.0, 1.0]), np.array([2.0])) == 1
    wave = np.tile(np.array([0.0, 1.0] * 24), (1, 4, 1))
    assert metrics.autocorrelation(wave, 2)[0] == pytest.approx(1)
    assert metrics.autocorrelation(wave, 1)[0] == pytest.approx(-1)
    assert metrics.day_features(np.ones((2, 48))).shape == (2, 61)
    assert metrics.week_features(np.ones((2, 7, 48))).shape[0] == 2


def test_a_report_is_a_page_with_its_pictures_inside(homes: Homes, tmp_path: Path) -> None:
    row = {"c2st_day": (0.6, 0.01), "excess_day": (0.1, 0.01)}
    made = {"design": "twin", "splits": 2, "table": {"real": row, "block": row}, "figures": {}}
    days = homes.wh[homes.present()][:20]
    page = report.write({**made, "examples": {"real": days}}, tmp_path).read_text()
    assert "<svg" in page
    assert "0.600 ± 0.010" in page
    assert "src=" not in page


def test_homes_out_of_files_are_judged_whoever_made_them(homes: Homes) -> None:
    """A classical chain is found out; real homes against real ones are the floor."""
    chain = Homes(baselines.classical(homes, homes.days, 1), homes.days, homes.ids, homes.time_zone)
    found = validate.against(homes, chain, 2, say=lambda text: None)
    assert found["figures"]["floor_day"] == pytest.approx(0.5, abs=0.1)
    assert found["figures"]["c2st_day"] > 0.8
    assert set(found["examples"]) == {"real", "synthetic"}
