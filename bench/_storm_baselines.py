"""Two other ways to feed Storm, for comparison: blocks inside the tuples, and a reading a tuple."""

from __future__ import annotations

import base64
import time
from typing import Any

import numpy as np
from streamparse import Bolt, Grouping, Spout, Topology

from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from wattstorm.metering import block as blocks
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.log import Entry, Log
from wattstorm.tuples import BATCH_FIELDS, BatchRef

TICK = {"topology.tick.tuple.freq.secs": 1}
COUNT = "bench:readings"
INLINE_FIELDS = [*BATCH_FIELDS, "blocks"]
READING_FIELDS = ["meter", "slot", "wh"]


class InlineSpout(ReadingsSpout):
    """As ours, but it fetches the blocks itself and sends them along."""

    outputs = INLINE_FIELDS

    def emit(self, tup: Any, **options: Any) -> Any:
        batch = BatchRef(*tup)
        entries = self._log.read(batch.partition, batch.first, batch.last)
        # URL-safe: Storm's JSON library escapes the slash of the other alphabet
        data = [
            [base64.urlsafe_b64encode(part).decode() for part in (entry.data, entry.chain)]
            for entry in entries
        ]
        return super().emit([*tup, data], **options)


class InlineAggregate(AggregateBolt):
    """As ours, but its blocks come with the tuple."""

    def process(self, tup: Any) -> None:
        *reference, data = tup.values
        self.first, self.data = reference[1], data
        super().process(tup._replace(values=reference))

    def fetch(self, partition: int, first: int, last: int) -> list[Entry]:
        now = int(time.time() * 1000)
        return [
            Entry(position, base64.urlsafe_b64decode(data), now, base64.urlsafe_b64decode(chain))
            for position, (data, chain) in enumerate(self.data[first - self.first :], first)
            if position <= last
        ]


class InlineCurves(Topology):
    """Blocks inside the tuples."""

    readings = InlineSpout.spec(par=1)
    aggregate = InlineAggregate.spec(
        inputs={readings: Grouping.fields("partition")}, par=2, config=TICK
    )
    publish = PublishBolt.spec(inputs={aggregate: Grouping.SHUFFLE}, par=1, config=TICK)


class ReadingSpout(Spout):
    """One reading a tuple, out of the first block of the log, again and again."""

    outputs = READING_FIELDS

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        settings = Settings.from_conf(conf["wattstorm"])
        log = Log(Connection(conf["wattstorm.store_url"]), settings.store.prefix)
        block = blocks.decode(log.read(0, 1, 1)[0].data)
        slots = np.broadcast_to(block.slot, block.meter.shape)  # a block of one slot names it once
        self.rows = list(zip(block.meter.tolist(), slots.tolist(), block.wh.tolist(), strict=True))
        self.at = 0

    def next_tuple(self) -> None:
        for _ in range(100):
            self.emit(list(self.rows[self.at % len(self.rows)]), tup_id=str(self.at))
            self.at += 1

    def ack(self, tup_id: str) -> None:
        pass

    def fail(self, tup_id: str) -> None:
        pass


class ReadingBolt(Bolt):
    """Looks the meter up, adds its reading to a sum; no checks, no doubles, no fence."""

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        self.redis = Connection(conf["wattstorm.store_url"]).redis
        self.tariff = np.arange(2_000_000) % 12
        self.sums: dict[tuple[int, int], int] = {}
        self.seen = 0

    def process(self, tup: Any) -> None:
        meter, slot, wh = tup.values
        key = (slot, int(self.tariff[meter]))
        self.sums[key] = self.sums.get(key, 0) + wh
        self.seen += 1
        if self.seen % 500 == 0:
            self.redis.incrby(COUNT, 500)


class OneReadingATuple(Topology):
    """What a first version of a Storm topology looks like."""

    readings = ReadingSpout.spec(par=1)
    aggregate = ReadingBolt.spec(inputs={readings: Grouping.SHUFFLE}, par=2)
