"""The topology with a bolt that ends its process where a file says: `deaths` in the data directory.

One line a death, "before STEP" or "after STEP", taken from the top.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from streamparse import Grouping, Topology

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout

STEPS = ("fetch", "apply", "commit", "keep", "announce")
DEATHS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]


def die_if_due(directory: Path, here: str) -> None:
    file = directory / "deaths"
    left = file.read_text().splitlines() if file.exists() else []
    if left and left[0] == here:
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text("\n".join(left[1:]))
        draft.replace(file)
        os.kill(os.getpid(), signal.SIGKILL)


class DyingBolt(AggregateBolt):
    """Each step of the contract, with a possible death before and after it."""

    def _around(self, step: str, call: Any, *arguments: Any) -> Any:
        directory = Path(self.settings.data.directory)
        die_if_due(directory, f"before {step}")
        result = call(*arguments)
        die_if_due(directory, f"after {step}")
        return result

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


class DyingCurves(Topology):
    readings = ReadingsSpout.spec(par=2)
    aggregate = DyingBolt.spec(
        inputs={readings: Grouping.fields("partition")},
        par=2,
        config={"topology.tick.tuple.freq.secs": 1},
    )
    publish = PublishBolt.spec(inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE}, par=1)
