"""A baseline of `bench.storm` that delivers nothing: its bolt acks and counts no reading."""

from __future__ import annotations

from typing import Any

from streamparse import Grouping, Topology

from bench._storm_baselines import ReadingBolt, ReadingSpout


class SilentBolt(ReadingBolt):
    def process(self, tup: Any) -> None:
        pass


class SilentReadings(Topology):
    readings = ReadingSpout.spec(par=1)
    aggregate = SilentBolt.spec(inputs={readings: Grouping.SHUFFLE}, par=2)
