"""Segments in, scores of meters' days out: see `stream.scores`."""

from __future__ import annotations

from typing import Any

from bolts.minibatch import MinibatchBolt
from models.score_book import warm_up
from wattstorm.metering import frame
from wattstorm.store.keys import SCORES, SEGMENTS
from wattstorm.stream.scores import Scores
from wattstorm.stream.state import Scalars


class ScoreBolt(MinibatchBolt):
    """Tells whose behaviour changed; what the aggregates' commits write waits for it so many
    bytes, and no longer."""

    log_name, consumer_name = SEGMENTS, SCORES

    def hold(self) -> int:
        return int(self.settings.scores.log_mb * 1_000_000 // self.outfit.register.partitions)

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        super().initialize(conf, context)
        frame.warm_up()
        warm_up()

    def make_state(self, partition: int, scalars: Scalars) -> Scores:
        scores = self.settings.scores
        share = max(1, scores.alarms_mb * 1_000_000 // self.outfit.register.partitions)
        return Scores(partition, scores, self.versions.newest, share)
