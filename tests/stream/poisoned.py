"""The topology with a bolt that one block kills: the one whose readings are all POISON_WH."""

from __future__ import annotations

import os
import signal
from typing import Any

from streamparse import Grouping, Topology

from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from tests.stream.dying import DyingBolt
from wattstorm.errors import BlockError
from wattstorm.metering import block as blocks
from wattstorm.store.log import Entry

POISON_WH = 666


def is_poison(entry: Entry) -> bool:
    try:
        return bool((blocks.decode(entry.data).wh == POISON_WH).all())
    except BlockError:
        return False


class RaisingBolt(DyingBolt):
    """Applies what stands before the block, then raises."""

    def apply(self, own: Any, entries: list[Entry]) -> Any:
        for at, entry in enumerate(entries):
            if is_poison(entry):
                super().apply(own, entries[: at + 1])
                self.hurt()
        return super().apply(own, entries)

    def hurt(self) -> None:
        raise ZeroDivisionError("a fault of ours")


class KilledBolt(RaisingBolt):
    """The same, but the process is gone."""

    def hurt(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class KilledCurves(Topology):
    readings = ReadingsSpout.spec(par=2)
    aggregate = KilledBolt.spec(
        inputs={readings: Grouping.fields("partition")},
        par=2,
        config={"topology.tick.tuple.freq.secs": 1},
    )
    publish = PublishBolt.spec(inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE}, par=1)
