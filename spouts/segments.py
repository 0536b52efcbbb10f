"""Where the scores' batches come from: the log that the sums' commits write."""

from __future__ import annotations

from spouts.readings import ReadingsSpout
from wattstorm.store.keys import SCORES, SEGMENTS


class SegmentsSpout(ReadingsSpout):
    """See `spouts.readings`."""

    log_name, consumer_name = SEGMENTS, SCORES
