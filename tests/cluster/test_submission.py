"""What Storm is told of a topology, and who has the last word."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamparse import Topology

from spouts.readings import ReadingsSpout
from spouts.segments import SegmentsSpout
from wattstorm.cluster.submission import (
    OPTIONS_VARIABLE,
    STORM,
    pre_submit,
    set_tasks,
    topology_options,
)
from wattstorm.engine.components import components
from wattstorm.settings import Settings
from wattstorm.tuples import WHEN

CHILDOPTS = "topology.worker.childopts"


def test_the_environments_options_win_over_the_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site's own JVM options stay; what names store, code and workers is not up to it."""
    ours = topology_options(Settings.load(environ={}), "redis://store:6379", workers=3)
    (tmp_path / "options.json").write_text(json.dumps(ours))
    monkeypatch.setenv(OPTIONS_VARIABLE, str(tmp_path / "options.json"))
    options = {CHILDOPTS: "-Dsite=ours", "topology.workers": 1, "wattstorm.store_url": "other"}
    pre_submit("load_curves", "here", {}, options)
    assert options == {**ours, CHILDOPTS: "-Dsite=ours"}


def test_another_package_called_bolts_is_not_submitted(tmp_path: Path) -> None:
    """The name is a common one: what comes first on the path would travel, so it is refused."""
    (tmp_path / "bolts").mkdir()
    (tmp_path / "bolts" / "__init__.py").touch()
    asked = (
        "from wattstorm.cluster.submission import topology_options\n"
        "from wattstorm.settings import Settings\n"
        "topology_options(Settings.load(environ={}), 'redis://store:6379')"
    )
    root = str(Path(__file__).parents[2])
    for path, refused in ((f"{tmp_path}:{root}", True), (root, False)):
        done = subprocess.run(
            [sys.executable, "-c", asked],
            env={**os.environ, "PYTHONPATH": path},
            cwd=tmp_path.parent,
            capture_output=True,
            text=True,
        )
        assert (done.returncode != 0) == refused, done.stderr
        assert (f"bolts comes from {tmp_path / 'bolts'}, wattstorm from" in done.stderr) == refused


def test_no_executor_of_storm_spins_while_it_waits() -> None:
    """Storm's own default asks 1,000 times with a nap of nanoseconds before it sleeps."""
    for strategy in ("bolt", "backpressure"):
        assert STORM[f"topology.{strategy}.wait.progressive.level2.count"] == 0


def test_what_a_setting_switches_off_is_not_submitted() -> None:
    """Scores stay out of the topology that Storm gets, unless the settings want them."""

    class Curves(Topology):
        readings = ReadingsSpout.spec(par=1)
        segments = SegmentsSpout.spec(par=1, config={WHEN: "scores.enabled"})

    for on in (True, False):
        settings = Settings.load(environ={}, options={"scores.enabled": on})
        table = components(Curves.specs, 4, settings=settings)
        assert [c.name for c in table] == ["readings", "segments"][: 1 + on]
        set_tasks(Curves, {component.name: component.tasks for component in table})
        assert set(Curves.thrift_topology.spouts) == {component.name for component in table}
