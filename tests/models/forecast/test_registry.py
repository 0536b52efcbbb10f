"""Which model is live, and how it came to that: every change whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.forecast import artefact
from models.forecast.registry import Registry
from tests.models.forecast.victoria import fitted
from wattstorm.errors import ArtefactError, UsageError


@pytest.fixture
def three(tmp_path: Path) -> tuple[Registry, list[str]]:
    """A registry with three models of the nation, staged, and one of a tariff."""
    registry = Registry(tmp_path / "models")
    told = [{"trained": f"2024-01-0{i}", "by": "ada"} for i in (1, 2, 3)]
    ids = [registry.add("national", fitted(), card).id for card in told]
    registry.add("peak", fitted(), told[0])
    return registry, ids


def stages(registry: Registry) -> list[str]:
    return [e.stage for e in registry.entries("national")]


def test_a_model_goes_from_staged_to_shadow_to_live_and_back_in_one_step(three: tuple) -> None:
    registry, ids = three
    assert stages(registry) == ["staged"] * 3
    registry.promote(ids[0], "live", "ada", "t1")
    registry.promote(ids[1], "shadow", "ada", "t2")
    assert stages(registry) == ["live", "shadow", "staged"]
    registry.promote(ids[1], "live", "ada", "t3")
    assert stages(registry) == ["former", "live", "staged"]
    assert registry.rollback("national", "ada", "t4").id == ids[0]
    assert stages(registry) == ["live", "former", "staged"]
    live = registry.live("national")
    assert live is not None
    assert live.name == ids[0]
    assert registry.live("peak") is None


def test_after_a_rollback_another_promotion_and_rollback_still_finds_the_way(three: tuple) -> None:
    registry, ids = three
    for one in ids[:2]:
        registry.promote(one, "live", "ada", "t")
    registry.rollback("national", "ada", "t")
    registry.promote(ids[2], "live", "ada", "t")
    assert registry.rollback("national", "ada", "t").id == ids[0]
    with pytest.raises(UsageError, match="no model that was live before"):
        registry.rollback("national", "ada", "t")


def test_a_damaged_model_is_not_promoted_and_the_old_one_stays_live(three: tuple) -> None:
    registry, ids = three
    registry.promote(ids[0], "live", "ada", "t")
    arrays = registry.find(ids[1]).directory / artefact.ARRAYS
    arrays.write_bytes(arrays.read_bytes()[:-9])
    with pytest.raises(ArtefactError, match="checksum"):
        registry.promote(ids[1], "live", "ada", "t")
    assert stages(registry) == ["live", "staged", "staged"]


def test_what_does_not_open_leaves_nothing_behind(tmp_path: Path) -> None:
    """A family without reference rows is refused while it is added."""
    models = fitted()
    without = type(models)(**{**models.__dict__, "references": {}})
    registry = Registry(tmp_path)
    with pytest.raises(ArtefactError):
        registry.add("national", without, {})
    assert registry.entries() == []
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("curve", ["../up", "", "a/b", ".hidden"])
def test_a_curve_is_no_path(tmp_path: Path, curve: str) -> None:
    with pytest.raises(UsageError, match="curve"):
        Registry(tmp_path).add(curve, fitted(), {})


def test_letters_that_fit_several_models_are_refused(three: tuple) -> None:
    registry, _ = three
    with pytest.raises(UsageError, match="4 models"):
        registry.find("")
