"""Topologies with one fault each, which strikes once: on Storm a task's error ends its worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from streamparse import Grouping, Topology

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from wattstorm.store.log import Entry
from wattstorm.store.writes import Writes
from wattstorm.stream.consumer import Consumer
from wattstorm.stream.saving import Owned
from wattstorm.tuples import checked


class StruckOnce(Consumer):
    """Has a fault until a file says that it struck."""

    def strikes(self, own: Owned) -> bool:
        """True the first time that a partition is ten blocks on, whatever the process."""
        mark = Path(self.settings.data.directory) / "struck"
        if own.state.position < 10 or mark.exists():
            return False
        mark.touch()
        return True


class RaisingOnce(StruckOnce):
    def apply(self, own: Owned, entries: list[Entry]) -> Writes:
        writes = super().apply(own, entries)
        if self.strikes(own):
            raise ArithmeticError(f"the meter of partition {own.number} ran backwards")
        return writes


class NumpyOnce(StruckOnce):
    def announce(self, own: Owned) -> None:
        if self.strikes(own):
            self.tell(*checked((own.number, np.int64(own.state.position))))
        super().announce(own)


class Raising(AggregateBolt):
    consumer_class = RaisingOnce


class EmittingNumpy(AggregateBolt):
    consumer_class = NumpyOnce


def wired(bolt: Any) -> dict[str, Any]:
    """The components of load_curves with another aggregate."""
    readings = ReadingsSpout.spec(par=2)
    tick = {"topology.tick.tuple.freq.secs": 1}
    inputs = {readings: Grouping.fields("partition")}
    aggregate = bolt.spec(inputs=inputs, par=2, config=tick)
    publish = PublishBolt.spec(inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE}, par=1, config=tick)
    return {"readings": readings, "aggregate": aggregate, "publish": publish}


RaisingCurves = type(Topology)("RaisingCurves", (Topology,), wired(Raising))
NumpyCurves = type(Topology)("NumpyCurves", (Topology,), wired(EmittingNumpy))
