"""The topology with a bolt that ends its process where a file says: `deaths` in the data directory.

One line a death, "before STEP" or "after STEP", taken from the top.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

from streamparse import Grouping, Topology

from bolts.aggregate import AggregateBolt
from bolts.forecast import ForecastBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from wattstorm.stream.consumer import Consumer

STEPS = (
    "fetch",
    "apply",
    "commit",
    "keep",
    "announce",  # a batch
    "write",
    "confirm",
    "name",
    "trim",  # a snapshot
    "restore",
    "replay",
    "take",
    "try",  # a partition; only who takes it twice tries
)
DEATHS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]
AT_ANY_TIME = [death for death in DEATHS if not death.endswith("try")]
"""Those that come whatever went before them."""


def die_if_due(directory: Path, here: str) -> None:
    file = directory / "deaths"
    left = file.read_text().splitlines() if file.exists() else []
    if left and left[0] == here:
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text("\n".join(left[1:]))
        draft.replace(file)
        os.kill(os.getpid(), signal.SIGKILL)


class DyingConsumer(Consumer):
    """Each step of the contract, with a possible death before and after it."""

    def __init__(self, *arguments: Any, **how: Any) -> None:
        super().__init__(*arguments, **how)
        self._surround(self.log_store, "trim", "trim")

    def _around(self, step: str, call: Any, *arguments: Any, **how: Any) -> Any:
        directory = Path(self.settings.data.directory)
        die_if_due(directory, f"before {step}")
        result = call(*arguments, **how)
        die_if_due(directory, f"after {step}")
        return result

    def _surround(self, of: Any, method: str, step: str) -> None:
        setattr(of, method, partial(self._around, step, getattr(of, method)))

    def fetch(self, *arguments: Any) -> Any:
        return self._around("fetch", super().fetch, *arguments)

    def apply(self, *arguments: Any) -> Any:
        return self._around("apply", super().apply, *arguments)

    def commit(self, *arguments: Any) -> Any:
        return self._around("commit", super().commit, *arguments)

    def keep(self, *arguments: Any) -> Any:
        return self._around("keep", super().keep, *arguments)

    def announce(self, *arguments: Any) -> Any:
        return self._around("announce", super().announce, *arguments)

    def take(self, *arguments: Any) -> Any:
        return self._around("take", super().take, *arguments)

    def restored(self, *arguments: Any) -> Any:
        return self._around("restore", super().restored, *arguments)

    def replay(self, *arguments: Any) -> Any:
        return self._around("replay", super().replay, *arguments)

    def begin_try(self, *arguments: Any) -> Any:
        return self._around("try", super().begin_try, *arguments)

    def store_of(self, partition: int) -> Any:
        store = super().store_of(partition)
        self._surround(store, "confirm_snapshot", "confirm")
        return store

    def snapshots_of(self, partition: int, lineage: str) -> Any:
        snapshots = super().snapshots_of(partition, lineage)
        self._surround(snapshots, "write", "write")
        self._surround(snapshots, "name", "name")
        return snapshots


class DyingBolt(AggregateBolt):
    consumer_class = DyingConsumer


class DyingCurves(Topology):
    readings = ReadingsSpout.spec(par=2)
    aggregate = DyingBolt.spec(
        inputs={readings: Grouping.fields("partition")},
        par=2,
        config={"topology.tick.tuple.freq.secs": 1},
    )
    publish = PublishBolt.spec(inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE}, par=1)


class DyingForecast(ForecastBolt):
    consumer_class = DyingConsumer


class DyingForecasts(Topology):
    """What forecasts is alone with its deaths."""

    readings = ReadingsSpout.spec(par=1)
    aggregate = AggregateBolt.spec(
        inputs={readings: Grouping.fields("partition")},
        par=1,
        config={"topology.tick.tuple.freq.secs": 1},
    )
    publish = PublishBolt.spec(
        inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE},
        par=1,
        config={"topology.tick.tuple.freq.secs": 1},
    )
    forecast = DyingForecast.spec(
        inputs={publish: Grouping.GLOBAL},
        par=1,
        config={"topology.tick.tuple.freq.secs": 1},
    )
