"""Readings in, exact sums by slot out: one commit a batch."""

from __future__ import annotations

from collections.abc import Mapping

from bolts.minibatch import MinibatchBolt
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
        return Sums.at_first(partition, scalars, self.versions, expire_days)
