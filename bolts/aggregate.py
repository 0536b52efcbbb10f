"""Readings in, exact sums by slot out: one commit a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bolts.minibatch import MinibatchBolt
from wattstorm.metering import frame
from wattstorm.store.keys import SUMS
from wattstorm.stream.controls import first_of
from wattstorm.stream.state import Scalars
from wattstorm.stream.sums import Sums


class AggregateBolt(MinibatchBolt):
    """Checks, joins, recognises doubles, sums; commits partial sums of its partitions."""

    consumer_name = SUMS

    def first_scalars(self) -> Mapping[str, str]:
        return first_of(self.versions.newest(), self.outfit.rules)

    def make_state(self, partition: int, scalars: Scalars) -> Sums:
        expire_days = self.settings.results.expire_days
        return Sums.at_first(partition, scalars, self.versions, expire_days, self.segments)

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        super().initialize(conf, context)
        self.segments = 0
        if self.settings.scores.enabled:
            mb = self.settings.scores.log_mb
            self.segments = max(1, mb * 1_000_000 // self.outfit.register.partitions)
            frame.warm_up()
