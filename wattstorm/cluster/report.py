"""What Nimbus knows of a topology, as plain values: components, counts, latencies, errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wattstorm.cluster.nimbus import Nimbus

ALL_TIME = ":all-time"
RECENT = "600"
"""Storm's window of ten minutes: a latency of all time would hide what changed."""
ERRORS = 5


def topology_report(nimbus: Nimbus, name: str) -> dict[str, Any] | None:
    """Status, components and errors of the topology `name`; None if it is not there.

    Counts are tuples (batches, not readings) since the tasks' last start, without Storm's own.
    """
    found = nimbus.topology(name)
    if found is None:
        return None
    info = nimbus.info(found.id)
    components: dict[str, dict[str, Any]] = {}
    for executor in info.executors:
        if executor.component_id.startswith("__"):
            continue
        row = components.setdefault(executor.component_id, _empty(executor.component_id))
        row["tasks"] += executor.executor_info.task_end - executor.executor_info.task_start + 1
        row["workers"].add(f"{executor.host}:{executor.port}")
        row["uptime_s"] = min(row["uptime_s"], executor.uptime_secs)
        if executor.stats is not None:
            _add(row, executor.stats)
    for row in components.values():
        row["workers"] = sorted(row["workers"])
        row["latency_ms"] = _mean(row.pop("latencies"))
    return {
        "topology": found.id,
        "status": found.status,
        "uptime_s": found.uptime_secs,
        "workers": found.num_workers,
        "tasks": found.num_tasks,
        "components": sorted(components.values(), key=lambda row: str(row["component"])),
        "errors": _errors(nimbus.errors(found.id)),
    }


def _empty(component: str) -> dict[str, Any]:
    return {
        "component": component,
        "tasks": 0,
        "workers": set(),
        "uptime_s": 2**31,
        "emitted": 0,
        "acked": 0,
        "failed": 0,
        "latencies": [],
    }


def _add(row: dict[str, Any], stats: Any) -> None:
    emitted = stats.emitted.get(ALL_TIME, {})
    row["emitted"] += sum(n for stream, n in emitted.items() if not stream.startswith("__"))
    specific = stats.specific.spout or stats.specific.bolt
    for name in ("acked", "failed"):
        counts = getattr(specific, name).get(ALL_TIME, {})
        row[name] += sum(n for stream, n in counts.items() if not _own(stream))
    kind = "complete_ms_avg" if stats.specific.spout else "process_ms_avg"
    recent = getattr(specific, kind).get(RECENT, {})
    row["latencies"] += [ms for stream, ms in recent.items() if ms and not _own(stream)]


def _own(stream: Any) -> bool:
    """Whether a stream is Storm's own, such as ticks; of bolts it is a GlobalStreamId."""
    return str(getattr(stream, "streamId", stream)).startswith("__")


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(sum(known) / len(known), 2) if known else None


def _errors(reported: Iterable[tuple[str, Any]]) -> list[dict[str, Any]]:
    """The newest ones, with the telling line of each."""
    rows = [
        {
            "component": component,
            "at": error.error_time_secs,
            "where": f"{error.host}:{error.port}",
            "error": telling(error.error),
        }
        for component, error in reported
    ]
    return rows[:ERRORS]


def telling(stack: str) -> str:
    """The line of a stack trace that says most: Python's exception if there is one."""
    lines = [line.strip() for line in stack.splitlines() if line.strip()]
    python = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent")]
    if python:
        # After the frames, which are indented in the original, comes the exception itself.
        rest = [
            line
            for line in lines[python[-1] + 1 :]
            if not line.startswith(("File ", "at ", "^", "~")) and ":" in line
        ]
        if rest:
            return rest[0][:600] if "wattstorm.errors" in rest[0] else rest[-1][:600]
    return lines[0][:600] if lines else ""
