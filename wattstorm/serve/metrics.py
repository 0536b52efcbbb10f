"""/metrics: what Prometheus asks for, out of what the stream keeps in the store.

The names stand in `deploy/prometheus/alerts.yml` and `deploy/grafana/dashboard.json`, too. No
label names a meter, a producer or a file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.core import HistogramMetricFamily as Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from wattstorm.errors import DataError, StoreError, WattstormError
from wattstorm.instruments import BOUNDS_S
from wattstorm.metering.checks import ACCEPTED, DOUBLES
from wattstorm.readers.results import Results
from wattstorm.serve.access import at_least
from wattstorm.serve.fanout import Fanout
from wattstorm.serve.problems import documented
from wattstorm.serve.tokens import Role

FRESH_S: Final = 1.0
"""For so long an answer is given again, however many ask."""
Family = Metric

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        **documented(401, 429),
    },
    dependencies=[Depends(at_least(Role.READER))],
)
def metrics(request: Request) -> Response:
    """For Prometheus. `wattstorm_up` is 0 while the store is away, and the rest is not there."""
    registry: CollectorRegistry = request.app.state.metrics
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def registry_of(results: Results, public: Results, fanouts: Sequence[Fanout]) -> CollectorRegistry:
    """public: of whose curves the metrics may speak, as readers see them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StoreCollector(results, public))
    registry.register(ServerCollector(fanouts))
    return registry


class ServerCollector(Collector):
    """This server's own."""

    def __init__(self, fanouts: Sequence[Fanout]) -> None:
        self._fanouts = fanouts

    def collect(self) -> Iterator[Family]:
        followers = sum(len(fanout) for fanout in self._fanouts)
        told = sum(fanout.told for fanout in self._fanouts)
        dropped = sum(fanout.dropped for fanout in self._fanouts)
        yield _gauge("followers", "clients that follow the changes", followers)
        yield _counter("changes_told", "changes handed to followers", told)
        yield _counter("followers_dropped", "followers that were too slow", dropped)


class StoreCollector(Collector):
    """The stream's, as the store has them."""

    def __init__(self, results: Results, public: Results) -> None:
        self._results, self._public = results, public
        self._lock = threading.Lock()
        self._held: tuple[float, list[Family]] = 0.0, []

    def collect(self) -> Iterable[Family]:
        with self._lock:
            until, found = self._held
            if time.monotonic() >= until:
                found = self._found()
                self._held = time.monotonic() + FRESH_S, found
            return found

    def _found(self) -> list[Family]:
        try:
            found = [
                *(*_accounts(self._results), *_tasks(self._results)),
                *(*_curves(self._public), *_forecasts(self._public)),
            ]
        except StoreError:
            return [_gauge("up", "the store answers", 0)]
        return [_gauge("up", "the store answers", 1), *found]


def _accounts(results: Results) -> Iterator[Family]:
    audit, account, health = results.audit(), results.conservation(), results.health()
    readings = Counter("wattstorm_readings", "readings dealt with, by outcome", labels=["outcome"])
    for outcome in (*ACCEPTED, *DOUBLES):
        name = outcome.name.lower()
        readings.add_metric([name], audit.get(name, 0))
    for name, n in account.rejected.items():
        readings.add_metric([name], n)
    yield readings
    yield _counter("received", "readings received", account.received)
    rejected = sum(account.rejected.values())
    yield _counter("accepted", "readings in the sums", account.accepted)
    yield _counter("rejected", "readings refused, for whatever reason", rejected)
    yield _gauge("conserved", "received = accepted + rejected + doubles", account.holds)
    yield _counter("batches", "batches committed", audit.get("batches", 0))
    yield _counter("blocks", "blocks committed", audit.get("blocks", 0))
    yield _counter("refused_blocks", "log entries refused whole", account.refused_blocks)
    yield _gauge("dead_letters", "letters held of what was refused", health.dead_letters)
    yield _gauge("running", "an engine gave a sign of life lately", health.running)
    waiting = Gauge("wattstorm_lag_blocks", "blocks that wait for a commit", labels=["partition"])
    bytes_ = Gauge("wattstorm_lag_bytes", "bytes that wait for a commit", labels=["partition"])
    fault = Gauge("wattstorm_partition_fault", "the partition stands still", labels=["partition"])
    for lag in results.lag():
        of = [str(lag.partition)]
        waiting.add_metric(of, lag.waiting_blocks)
        bytes_.add_metric(of, lag.waiting_bytes)
        fault.add_metric(of, bool(lag.fault))
    yield from (waiting, bytes_, fault)


_LEVELS: Final = {
    "memory_mb": ("task_memory_bytes", "memory that a task takes", 1e6),
    "snapshot_age_s": ("snapshot_age_seconds", "since a consumer's oldest last snapshot", 1),
    "unsaved_mb": ("unsaved_bytes", "what a restart would read again", 1e6),
    "dirty_slots": ("dirty_slots", "slots that wait to be published", 1),
    "queue": ("task_queue", "messages that wait for a task", 1),
    "partitions": ("task_partitions", "partitions that a task holds", 1),
}


def _tasks(results: Results) -> Iterator[Family]:
    labels = ["topology", "task"]
    up = Gauge("wattstorm_task_up", "the task gave a sign of life lately", labels=labels)
    restarts = Counter("wattstorm_task_restarts", "how often it was started again", labels=labels)
    cpu = Counter("wattstorm_task_cpu_seconds", "CPU time of its process", labels=labels)
    levels = {
        name: Gauge(f"wattstorm_{told}", what, labels=labels)
        for name, (told, what, _) in _LEVELS.items()
    }
    took = Histogram("wattstorm_step_seconds", "steps of a task", labels=[*labels, "step"])
    for beat in results.beats():
        of = [str(beat["topology"]), str(beat["worker"])]
        up.add_metric(of, bool(beat["alive"]))
        restarts.add_metric(of, float(beat.get("restarts") or 0))
        measured = beat.get("instruments") or {}
        told = measured.get("levels", {})
        cpu.add_metric(of, told.get("cpu_s", 0.0))
        for name in told.keys() & _LEVELS.keys():
            levels[name].add_metric(of, told[name] * _LEVELS[name][2])
        _add_steps(took, of, measured)
    yield from (up, restarts, cpu, took, *levels.values())


def _add_steps(took: Histogram, of: list[str], measured: Mapping[str, Any]) -> None:
    """What `Instruments` counts in each bucket, as Prometheus wants it: up to each bound."""
    for step, counts in measured.get("buckets", {}).items():
        bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
        if len(counts) != len(bounds):
            continue  # of a task of another version
        buckets, total = [], 0
        for bound, n in zip(bounds, counts, strict=True):
            total += n
            buckets.append((bound, total))
        took.add_metric([*of, step], buckets, measured.get("seconds", {}).get(step, 0.0))


def _curves(results: Results) -> Iterator[Family]:
    """The newest day, by scope."""
    labels = ["scope"]
    newest = Gauge("wattstorm_newest_slot_seconds", "start of the newest slot", labels=labels)
    latest = Gauge("wattstorm_newest_coverage", "coverage of the newest slot", labels=labels)
    coverage = Gauge("wattstorm_day_coverage", "coverage of the newest day so far", labels=labels)
    missing = Gauge("wattstorm_day_missing_slots", "slots without any reading", labels=labels)
    energy = Gauge("wattstorm_day_wh", "Wh of the newest day so far", labels=labels)
    try:
        curves = results.curves()
    except StoreError:
        raise
    except WattstormError:  # nothing is published yet
        curves = {}
    for label, curve in curves.items():
        there = curve.published.nonzero()[0]
        past = curve.status != "awaited"
        if not there.size:
            continue
        newest.add_metric([label], float(curve.calendar.grid.start_at(curve.slots[there[-1]])))
        latest.add_metric([label], float(curve.coverage[there[-1]]))
        expected = curve.expected[past].sum()
        share = curve.readings[past].sum() / expected if expected else 1.0
        coverage.add_metric([label], float(share))
        missing.add_metric([label], int((curve.status == "missing").sum()))
        energy.add_metric([label], curve.total_wh)
    yield from (newest, latest, coverage, missing, energy)


def _forecasts(results: Results) -> Iterator[Metric]:
    """Of nation and tariffs; where none was made, none is there."""
    labels = ["scope", "days"]
    ours = Gauge("wattstorm_forecast_error_percent", "of the load, by days back", labels=labels)
    naive = Gauge(
        "wattstorm_forecast_naive_error_percent", "the same day a week before", labels=labels
    )
    for label in results.labels:
        if label.startswith("region:"):
            continue
        try:
            made = results.forecast(label)
        except DataError:
            continue
        for days, accuracy in made.accuracy.items():
            ours.add_metric([label, str(days)], accuracy.ours)
            naive.add_metric([label, str(days)], accuracy.naive)
    yield from (ours, naive)


def _gauge(name: str, what: str, value: float) -> Gauge:
    return Gauge(f"wattstorm_{name}", what, value=float(value))


def _counter(name: str, what: str, value: float) -> Counter:
    return Counter(f"wattstorm_{name}", what, value=float(value))
