"""Readings → exact national, tariff and regional load curves, their forecasts, meters' scores."""

from __future__ import annotations

from typing import Any

from streamparse import Grouping, Topology

from bolts.aggregate import AggregateBolt
from bolts.forecast import ForecastBolt
from bolts.publish import PublishBolt
from bolts.score import ScoreBolt
from spouts.readings import ReadingsSpout
from spouts.segments import SegmentsSpout
from wattstorm.tuples import WHEN


def needs(memory_mb: int, core_percent: int, **config: Any) -> dict[str, Any]:
    """A component's configuration: what one task of it takes, for Storm's resource-aware scheduler.

    Python is memory off Storm's heap. A task that sums is meant to hold one partition of 550,000
    meters, by `bench.memory`; each one more takes 230 MB (docs/operate.md).
    """
    return {
        "topology.component.resources.offheap.memory.mb": memory_mb,
        "topology.component.cpu.pcore.percent": core_percent,
        **config,
    }


TICK = {"topology.tick.tuple.freq.secs": 1}
SCORED = {WHEN: "scores.enabled"}


class LoadCurves(Topology):
    """`par`: tasks of a component. Of those that hold partitions (they take a stream by the field
    `partition`) the settings say how many: engine.workers, storm.aggregates. A component with a
    `WHEN` runs where that setting is true."""

    readings = ReadingsSpout.spec(par=1, config=needs(128, 20))
    aggregate = AggregateBolt.spec(
        inputs={readings: Grouping.fields("partition")},
        par=2,
        config=needs(540, 90, **TICK),
    )
    publish = PublishBolt.spec(
        inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE},
        par=1,
        config=needs(160, 20, **TICK),
    )
    forecast = ForecastBolt.spec(
        inputs={publish: Grouping.GLOBAL},
        par=1,
        config=needs(640, 20, **TICK),
    )
    segments = SegmentsSpout.spec(par=1, config=needs(128, 5, **SCORED))
    score = ScoreBolt.spec(
        inputs={segments: Grouping.fields("partition")},
        par=1,
        config=needs(540, 20, **TICK, **SCORED),
    )
