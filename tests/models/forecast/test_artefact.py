"""A model on disk: what comes back is what was saved, and what is not whole is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.forecast import artefact
from models.forecast.forecaster import Forecaster
from tests.models.forecast.victoria import fitted, four_hours
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
