"""The yardstick itself, and that the score holds on real homes that come along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench._sax_days import CLEAN, KINDS, LIFELESS, auc, inject
from tests.models.score_days import some_days
from wattstorm.sample import READINGS


def test_area_under_the_curve_counts_ties_half() -> None:
    assert auc(np.array([0.0, 1, 2, 3]), np.array([False, False, True, True])) == 1
    assert auc(np.zeros(4), np.array([False, False, True, True])) == 0.5
    assert auc(np.array([2.0, 1, 1, 0]), np.array([False, True, False, True])) == 0.125


def test_six_per_cent_of_living_days_after_the_warm_up_are_injected() -> None:
    wh = some_days(30, 120)
    wh[4, 60:90] = 0
    days = inject(wh, 1)
    late = days.label[:, 30:]
    assert (days.label[:, :30] < CLEAN).all()
    assert (days.label[4, 60:90] == LIFELESS).all()
    assert 0.04 < (late >= 0).mean() < 0.08
    assert set(np.unique(late[late >= 0])) == set(range(len(KINDS)))
    same = (days.wh == wh).all(axis=2)
    assert same[days.label < 0].all()
    assert not same[days.label >= 0].any()


@pytest.mark.slow
def test_any_parquet_of_homes_is_judged_and_ours_leads() -> None:
    """Twenty homes, four months: far from the figures of README, but in their order."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "bench.sax_quality",
            "--json",
            "--seeds",
            "1",
            "--data",
            str(READINGS),
            "--time-zone",
            "Australia/Sydney",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=280,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["auc_sgsc"] > 0.85
    assert found["auc_sgsc"] > 0.05 + max(v for k, v in found.items() if "_rival_" in k)
    assert found["recall_sgsc"] > 0.4
