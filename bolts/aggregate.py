"""Readings in, exact sums by slot out: one commit a batch."""

from __future__ import annotations

from typing import Any

from bolts.minibatch import MinibatchBolt
from wattstorm.metering.partition import Rules
from wattstorm.store.keys import SUMS
from wattstorm.stream.state import Scalars
from wattstorm.stream.sums import Sums, sums_of


class AggregateBolt(MinibatchBolt):
    """Checks, joins, recognises doubles, sums; commits partial sums of its partitions."""

    consumer_name = SUMS

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        super().initialize(conf, context)
        self.rules = Rules.from_settings(self.settings)

    def make_state(self, partition: int, scalars: Scalars) -> Sums:
        return sums_of(partition, self.register, self.rules, self.settings.results.expire_days)
