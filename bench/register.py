"""The meter register at the size of a nation: built, opened, looked up, on one core.

    python -m bench.register [--json] [--rows 35000000] [--lookups 10000000]

Synthetic meters in Parquet; random ids, one in a hundred unknown. The same ids
are looked up by a polars join (both cores) and by numpy's searchsorted over the
sorted ids (one core) in the same run.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from bench._arguments import parse
from bench._report import report
from wattstorm.files.meters import build_register
from wattstorm.register.register import Register

PART_ROWS = 5_000_000
TARIFFS, REGIONS, DAY = 12, 13, 19_700
Array = npt.NDArray[Any]


def timed(run: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """Seconds of the best of `times` runs, and what the last gave."""
    best, result = float("inf"), None
    for _ in range(times):
        start = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - start)
    return best, result


def write_sources(folder: Path, rows: int) -> list[Path]:
    """Parquet files of `rows` meters with ids like PRMs: runs with gaps, in mixed order."""
    rng = np.random.default_rng(1)
    ids = rng.permutation(10**13 + 7 * np.arange(rows, dtype=np.uint64))
    files = []
    for first in range(0, rows, PART_ROWS):
        part = ids[first : first + PART_ROWS]
        n = len(part)
        frame = pl.DataFrame(
            {
                "external_id": part,
                "tariff": rng.integers(0, TARIFFS, n).astype(np.uint8),
                "region": rng.integers(0, REGIONS, n).astype(np.uint8),
                "contracted_power_va": rng.integers(1, 13, n).astype(np.int32) * 3000,
                "producer": rng.random(n) < 0.02,
                "valid_from": (rng.integers(12_000, 19_000, n)).astype(np.int32),
            }
        )
        frame = frame.with_columns(
            pl.format("tariff_{}", "tariff").alias("tariff"),
            pl.format("region_{}", "region").alias("region"),
            pl.col("valid_from").cast(pl.Date),
        )
        files.append(folder / f"meters_{first}.parquet")
        frame.write_parquet(files[-1])
    return files


def write_changes(folder: Path, register: Register) -> Path:
    """One meter in a hundred changes its tariff a year later."""
    ids = register.external_ids(0, register.count)[::100]
    rows = {"external_id": ids, "tariff": "tariff_1", "region": "region_1"}
    changes = pl.DataFrame(rows).with_columns(
        pl.lit(9000).alias("contracted_power_va"),
        pl.lit(DAY).cast(pl.Date).alias("valid_from"),
    )
    changes.write_parquet(folder / "changes.parquet")
    return folder / "changes.parquet"


def lookups(register: Register, wanted: Array) -> dict[str, float]:
    """M ids/s of the register, its first pass over cold pages, searchsorted and polars."""
    n = len(wanted) / 1e6
    register.lookup(wanted[:1000])  # numba compiles here
    cold, dense = timed(lambda: register.lookup(wanted))
    warm, _ = timed(lambda: register.lookup(wanted), 3)
    ids = register.external_ids(0, register.count)
    order = np.argsort(ids)
    in_order = ids[order]
    few = wanted[: len(wanted) // 10]

    def search() -> Array:
        at = np.minimum(np.searchsorted(in_order, few), len(in_order) - 1)
        return np.where(in_order[at] == few, order[at], -1)

    searched, found = timed(search, 2)
    np.testing.assert_array_equal(found, dense[: len(few)])
    table = pl.DataFrame({"id": ids, "dense": np.arange(len(ids), dtype=np.int32)})
    left = pl.DataFrame({"id": wanted})
    joined, frame = timed(lambda: left.join(table, on="id", how="left", maintain_order="left"), 2)
    np.testing.assert_array_equal(frame["dense"].fill_null(-1).to_numpy(), dense)
    return {
        "lookup_mps": n / warm,
        "lookup_first_pass_mps": n / cold,
        "searchsorted_mps": n / 10 / searched,
        "polars_join_mps": n / joined,
    }


def measure(folder: Path, rows: int, count: int) -> dict[str, float]:
    sources = write_sources(folder, rows)
    build, register = timed(lambda: build_register(sources, folder / "register"))
    extend, register = timed(
        lambda: build_register([write_changes(folder, register)], folder / "register")
    )
    opened, register = timed(lambda: Register.open(folder / "register"), 3)
    size = sum(f.stat().st_size for f in (folder / "register").rglob("*") if f.is_file())
    rng = np.random.default_rng(2)
    ids = register.external_ids(0, rows)
    wanted = ids[rng.integers(0, rows, count)]
    wanted[rng.integers(0, count, count // 100)] += np.uint64(3)  # ids step by 7
    columns, _ = timed(lambda: register.columns(0, min(550_000, rows), DAY), 5)
    counts, _ = timed(lambda: register.counts(DAY))
    return {
        "meters": rows,
        "build_s": build,
        "extend_s": extend,
        "disk_gb": size / 1e9,
        "open_s": opened,
        "columns_550k_ms": columns * 1e3,
        "counts_s": counts,
        **lookups(register, wanted),
    }


def main() -> None:
    options = parse(__doc__, rows=35_000_000, lookups=10_000_000)
    with tempfile.TemporaryDirectory(prefix="wattstorm-bench-") as folder:
        figures = measure(Path(folder), options.rows, options.lookups)
    figures["ratio_to_searchsorted"] = figures["lookup_mps"] / figures["searchsorted_mps"]
    figures["ratio_to_polars"] = figures["lookup_mps"] / figures["polars_join_mps"]
    units = {"build_s": "s", "extend_s": "s", "open_s": "s", "counts_s": "s", "disk_gb": "GB"}
    rows = [
        (name, value, units.get(name, "M ids/s" if name.endswith("mps") else ""))
        for name, value in figures.items()
    ]
    report("Meter register: look-ups on one core, polars on all", rows, figures, options.json)


if __name__ == "__main__":
    main()
