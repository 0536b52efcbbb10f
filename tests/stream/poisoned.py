"""The topology with a bolt that one block kills: the one whose readings are all POISON_WH."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from streamparse import Grouping, Topology

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from tests.stream.dying import DyingConsumer
from wattstorm.errors import BlockError, RegisterError, SlotError, UsageError
from wattstorm.metering import block as blocks
from wattstorm.store.log import Entry
from wattstorm.stream.consumer import Consumer

POISON_WH = 666


def is_poison(entry: Entry) -> bool:
    try:
        return bool((blocks.decode(entry.data).wh == POISON_WH).all())
    except BlockError:
        return False


class RaisingConsumer(DyingConsumer):
    """Applies what stands before the block, then raises."""

    def apply(self, own: Any, entries: list[Entry]) -> Any:
        for at, entry in enumerate(entries):
            if is_poison(entry):
                super().apply(own, entries[: at + 1])
                self.hurt()
        return super().apply(own, entries)

    def hurt(self) -> None:
        raise ZeroDivisionError("a fault of ours")


class KilledConsumer(RaisingConsumer):
    """The same, but the process is gone."""

    def hurt(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class RaisingBolt(AggregateBolt):
    consumer_class: ClassVar[type[Consumer]] = RaisingConsumer


class KilledBolt(RaisingBolt):
    consumer_class = KilledConsumer


def _curves(bolt: type[RaisingBolt]) -> type[Topology]:
    class Curves(Topology):
        readings = ReadingsSpout.spec(par=2)
        aggregate = bolt.spec(
            inputs={readings: Grouping.fields("partition")},
            par=2,
            config={"topology.tick.tuple.freq.secs": 1},
        )
        publish = PublishBolt.spec(inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE}, par=1)

    return Curves


RaisingCurves, KilledCurves = _curves(RaisingBolt), _curves(KilledBolt)


class BrokenInstallation(Consumer):
    """Cannot apply anything while there is a file `fault` in the data directory: its error."""

    faults: ClassVar = {
        "RegisterError": RegisterError("a meter has class 16512", "group the tariffs"),
        "SlotError": SlotError("no such day", "give another time zone"),
        "UsageError": UsageError("stream.scopes has 'x'", "use nation"),
        "MemoryError": MemoryError("8 GB"),
        "OSError": OSError(5, "Input/output error"),
    }

    def apply(self, own: Any, entries: list[Entry]) -> Any:
        file = Path(self.settings.data.directory) / "fault"
        found = super().apply(own, entries)
        if file.exists():
            raise self.faults[file.read_text()]
        return found


class BrokenInstallationBolt(AggregateBolt):
    faults = BrokenInstallation.faults
    consumer_class = BrokenInstallation
