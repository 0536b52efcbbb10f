"""Readings → exact national, tariff and regional load curves."""

from __future__ import annotations

from streamparse import Grouping, Topology

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout


class LoadCurves(Topology):
    """The local engine runs one task of each a worker; a cluster as many as `par` says."""

    readings = ReadingsSpout.spec(par=2)
    aggregate = AggregateBolt.spec(
        inputs={readings: Grouping.fields("partition")},
        par=2,
        config={"topology.tick.tuple.freq.secs": 1},
    )
    publish = PublishBolt.spec(
        inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE},
        par=1,
        config={"topology.tick.tuple.freq.secs": 1},
    )
