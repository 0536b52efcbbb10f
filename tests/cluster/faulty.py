"""Topologies with one fault each, which strikes once: on Storm a task's error ends its worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from streamparse import Grouping, Topology

from bolts.aggregate import AggregateBolt, BatchAudit
from bolts.publish import PublishBolt
from bolts.saving import Owned
from spouts.readings import ReadingsSpout
from wattstorm.store.log import Entry
from wattstorm.tuples import checked


class StruckOnce(AggregateBolt):
    """Has a fault until a file says that it struck."""

    def strikes(self, own: Owned) -> bool:
        """True the first time that a partition is ten blocks on, whatever the process."""
        mark = Path(self.settings.data.directory) / "struck"
        if own.state.position < 10 or mark.exists():
            return False
        mark.touch()
        return True


class Raising(StruckOnce):
    def apply(self, own: Owned, entries: list[Entry]) -> BatchAudit:
        audit = super().apply(own, entries)
        if self.strikes(own):
            raise ArithmeticError(f"the meter of partition {own.number} ran backwards")
        return audit


class EmittingNumpy(StruckOnce):
    def announce(self, own: Owned) -> None:
        if self.strikes(own):
            self.emit(checked((own.state.number, np.int64(own.state.position))))
        super().announce(own)


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
