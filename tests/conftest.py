"""What all tests share, and how `make test` deals them out to two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# How long an example takes says something about the machine, nothing about the code.
settings.register_profile("wattstorm", deadline=None)
settings.load_profile("wattstorm")

ROOT = Path(__file__).parent
TOGETHER = {
    "cluster": ("cluster", "bench/test_storm.py", "deploy/test_storm_yaml.py"),
    "generator": ("generator",),
}
"""Tests that share a real Storm cluster, or a fitted model, run one after the other; of all
others each file does."""
LONGEST_FIRST = ("cluster", "simulation/test_schedules.py", "deploy/test_wheel.py")


def group_of(path: Path) -> str:
    name = path.relative_to(ROOT).as_posix()
    for group, places in TOGETHER.items():
        if any(name == place or name.startswith(f"{place}/") for place in places):
            return group
    return name


class ByGroup(LoadScopeScheduling):
    """A process gets one group after the other, in the order of the tests. (pytest-xdist 3.8 marks
    groups in the names of tests, which pytest 9.2 does not let it change.)"""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(ROOT.parent / nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByGroup:
    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With pytest-xdist: so that the longest do not come last."""
    if not hasattr(config, "workerinput"):
        return
    order = {group: place for place, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: order.get(group_of(item.path), len(order)))
