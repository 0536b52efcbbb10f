"""What it costs the store to publish, and what a row and an entry of the log of slots take.

    python -m bench.publish [--json] [--slots 96] [--rounds 12] [--partitions 64]

Slots of two days, in 16 scopes and in 109 (12 tariffs, 96 regions, the nation), changed each
time, then published again as they are. Times are of the store's CPU, by what it says itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from bench._arguments import parse
from bench._report import report
from wattstorm.metering.results import SlotResult, SlotRows
from wattstorm.store.connection import Connection
from wattstorm.store.keys import day_keys, partition_keys
from wattstorm.store.results import ResultStore, Seen, Slot
from wattstorm.store.server import EmbeddedServer

SCOPES = (16, 109)


def cpu_ms(connection: Connection) -> float:
    """Of the store, since it started."""
    said = connection.redis.info("cpu")
    return 1000.0 * float(said["used_cpu_user"] + said["used_cpu_sys"])


def rows_of(labels: list[str], slots: int, change: int) -> dict[Slot, SlotRows]:
    """Rows of slots of a nation's size; other ones for another `change`."""
    made = {}
    for slot in range(slots):
        row = SlotResult(10**9 + 7919 * change + slot, 35_000_000, 35_000_000, 1 + change, False)
        made[0, slot] = SlotRows(dict.fromkeys(labels, row))
    return made


def publish(results: ResultStore, rows: dict[Slot, SlotRows], partitions: int) -> None:
    seen = Seen(np.full(partitions, 9, np.uint64), ("t",) * partitions)
    for day in sorted({slot // 48 for _, slot in rows}):
        of_day = {key: row for key, row in rows.items() if key[1] // 48 == day}
        results.write(day, of_day, range(partitions), seen)


def main() -> None:
    arguments = parse(__doc__, slots=96, rounds=12, partitions=64)
    figures: dict[str, float | None] = {}
    rows: list[tuple[str, float | None, str]] = []
    with (
        tempfile.TemporaryDirectory(prefix="wattstorm-bench-") as name,
        EmbeddedServer(Path(name)) as server,
        Connection(server.url) as connection,
    ):
        for scopes in SCOPES:
            prefix, labels = f"w{scopes}", [f"region:r{k:03}" for k in range(scopes)]
            for p in range(arguments.partitions):
                fence = {"position": 9, "owner": "t"}
                connection.redis.hset(partition_keys(prefix, p).fence, mapping=fence)
            results = ResultStore(connection, prefix)
            publish(results, rows_of(labels, arguments.slots, 0), arguments.partitions)
            spent = {}
            for what, step in (("changed", 1), ("unchanged", 0)):
                before = cpu_ms(connection)
                for change in range(1, 1 + arguments.rounds):
                    made = rows_of(labels, arguments.slots, change if step else arguments.rounds)
                    publish(results, made, arguments.partitions)
                spent[what] = (cpu_ms(connection) - before) / arguments.rounds
            curve = connection.redis.memory_usage(day_keys(prefix, 0).curve(0, labels[0]))
            entry = connection.redis.xrevrange(results.log.log, count=1)[0][1][b"b"]
            said = {
                "changed_ms": (spent["changed"], "ms of the store"),
                "unchanged_ms": (spent["unchanged"], "ms of the store"),
                "row_bytes": (curve / min(48, arguments.slots), "bytes"),
                "entry_bytes": (float(len(entry)), "bytes"),
            }
            for key, (value, unit) in said.items():
                figures[f"{key}_{scopes}"] = value
                rows.append((f"{key.rpartition('_')[0]}, {scopes} scopes", value, unit))
    report(f"publish, {arguments.slots} slots", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
