"""Where a block's time goes: the stream's own topology with stamps, and what they add up to.

All stamps are of one clock (CLOCK_MONOTONIC, the same in every process of this machine):
the producer's at the append, the spout's at the emit, the bolt's around each of its steps.
A leg is what lies between two of them. Each task writes its stamps to a file of its own in
the data directory's `legs`, one line an event, and the benchmark puts them together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from streamparse import Grouping, Topology

from bench._load import Live
from bench._pipeline import Pipeline
from bench._report import heading
from bolts.aggregate import AggregateBolt
from bolts.publish import PublishBolt
from spouts.readings import ReadingsSpout
from topologies.load_curves import TICK
from wattstorm.store.log import Entry
from wattstorm.store.writes import Writes
from wattstorm.stream.consumer import Consumer
from wattstorm.stream.saving import Owned

TRACED = "bench._legs:TracedCurves"
LEGS = {
    "append": "the store takes the block",
    "poll": "until the spout is next asked",
    "look": "the spout asks the store and emits",
    "way": "Storm carries the reference",
    "queue": "the bolt is at work on other things",
    "fetch": "the bolt reads the block",
    "apply": "checks, joins, sums",
    "commit": "the store commits",
    "seen": "until who sent it sees the fence",
}


class Stamps:
    """Writes lines of numbers to a file that only this process has."""

    def __init__(self, data_directory: Path) -> None:
        directory = data_directory / "legs"
        directory.mkdir(exist_ok=True)
        self._file = os.open(directory / f"{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, kind: str, *values: float) -> None:
        os.write(self._file, f"{kind} {' '.join(map(repr, values))}\n".encode())


class TracedSpout(ReadingsSpout):
    """Stamps when it was asked, and when it emits."""

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        super().initialize(conf, context)
        self.stamps = Stamps(Path(conf["wattstorm"]["data"]["directory"]))

    def next_tuple(self) -> None:
        self.asked = time.perf_counter()
        super().next_tuple()

    def emit(self, tup: Any, **how: Any) -> Any:
        answer = super().emit(tup, **how)
        partition, first, last, _ = tup
        self.stamps.write("emit", partition, first, last, self.asked, time.perf_counter())
        return answer


class TracedConsumer(Consumer):
    """Stamps its steps. free, received: when its task last had nothing to do, and then had."""

    def __init__(self, *arguments: Any, **how: Any) -> None:
        super().__init__(*arguments, **how)
        self.stamps = Stamps(Path(self.settings.data.directory))
        self.free = self.received = time.perf_counter()

    def apply(self, own: Owned, entries: list[Entry]) -> Writes:
        self.fetched = time.perf_counter()
        return super().apply(own, entries)

    def commit(
        self, own: Owned, last: int, entries: list[Entry], writes: Writes, poisoned: int
    ) -> None:
        applied = time.perf_counter()
        super().commit(own, last, entries, writes, poisoned)
        self.stamps.write(
            "commit",
            own.number,
            own.position + 1,
            last,
            self.free,
            self.received,
            self.fetched,
            applied,
            time.perf_counter(),
        )


class TracedAggregate(AggregateBolt):
    """Stamps since when it had nothing else to do."""

    consumer_class = TracedConsumer
    consumer: TracedConsumer

    def read_tuple(self) -> Any:
        free = time.perf_counter()
        found = super().read_tuple()
        self.consumer.free, self.consumer.received = free, time.perf_counter()
        return found


class TracedCurves(Topology):
    """As `topologies.load_curves`."""

    readings = TracedSpout.spec(par=1)
    aggregate = TracedAggregate.spec(
        inputs={readings: Grouping.fields("partition")}, par=2, config=TICK
    )
    publish = PublishBolt.spec(inputs={aggregate: Grouping.LOCAL_OR_SHUFFLE}, par=1, config=TICK)


def stamped(directory: Path, kind: str) -> Iterator[tuple[tuple[int, int], list[float]]]:
    """((partition, position), stamps) of each entry that a line of `kind` is about."""
    for file in (directory / "legs").iterdir():
        for line in file.read_text().splitlines():
            what, *words = line.split()
            if what == kind:
                partition, first, last = map(int, words[:3])
                for position in range(first, last + 1):
                    yield (partition, position), list(map(float, words[3:]))


def legs_ms(directory: Path, done: Live) -> npt.NDArray[np.float64]:
    """float64[blocks, legs], ms, legs in the order of LEGS; each row adds up to the block's time.

    An answer may overtake its stamp (the spout sees a block before the producer has heard
    that it is in the log): then the next leg is counted from the later of the two.
    """
    emits, commits = dict(stamped(directory, "emit")), dict(stamped(directory, "commit"))
    rows = []
    for key, (begun, appended, seen) in done.times.items():
        if key not in commits:
            continue  # the fence was seen, and the load over, before its task stamped it
        asked, emitted = emits[key]
        free, received, fetched, applied, committed = commits[key]
        waited = max(0.0, min(free, received) - emitted)
        ends = [
            appended,
            asked,
            emitted,
            received - waited,
            received,
            fetched,
            applied,
            committed,
            seen,
        ]
        ends = np.maximum.accumulate(np.minimum(ends, seen))
        rows.append(np.diff(ends, prepend=begun) * 1e3)
    return np.array(rows)


def print_legs(run: Pipeline, done: Live) -> None:
    """A line a leg: p50 and p99, its share of all time, and its share of the slowest 5 %."""
    ms = legs_ms(Path(run.settings.data.directory), done)
    total = ms.sum(axis=1)
    slow = ms[total >= np.percentile(total, 95)]
    heading(f"where the time of {len(ms)} blocks of 5,000 goes, 200,000 readings/s")
    print(f"  {'':<44}{'p50 ms':>9}{'p99 ms':>9}{'of all':>9}{'of slow':>9}")
    for i, (name, what) in enumerate(LEGS.items()):
        p50, p99 = np.percentile(ms[:, i], [50, 99])
        shares = 100 * ms[:, i].sum() / ms.sum(), 100 * slow[:, i].sum() / slow.sum()
        print(f"  {name:<8}{what:<36}{p50:>9.2f}{p99:>9.2f}{shares[0]:>7.0f} %{shares[1]:>7.0f} %")
    p50, p99 = np.percentile(total, [50, 99])
    print(f"  {'all':<8}{'append to committed sums':<36}{p50:>9.2f}{p99:>9.2f}", flush=True)
