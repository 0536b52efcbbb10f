"""The loop alone, on one core: check, join, recognise doubles, sum.

    python -m bench.kernel [--json] [--blocks 200]

Random ids over 35 M meters in blocks of 50,000, then inside one partition of
550,000; beside numpy, polars and a Bytewax fold that check, join and sum the
same blocks in the same run (none of these three recognises doubles).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bench._arguments import parse
from bench._report import report
from wattstorm.metering import kernels
from wattstorm.metering.block import BASE_RANK, Columns
from wattstorm.metering.checks import EXPONENT_SHIFT, MANTISSA_SHIFT, NO_CLASS, join_entries
from wattstorm.metering.daystore import DayStore, Window

METERS, PARTITION, BLOCK, CLASSES = 35_000_000, 550_000, 50_000, 144
SLOT = 48 * 19_700 + 20
Array = npt.NDArray[Any]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def check_join_sum(meter, wh, entries, sum_wh, sum_n, rejected):  # type: ignore[no-untyped-def]
    """The kernel's first stage alone: what it would be without the day store."""
    entry_of = np.empty(kernels.CHUNK, np.uint32)
    for start in range(0, len(meter), kernels.CHUNK):
        stop = min(len(meter), start + kernels.CHUNK)
        for i in range(start, stop):
            m = meter[i]
            entry_of[i - start] = entries[m] if m < len(entries) else np.uint32(NO_CLASS)
        for i in range(start, stop):
            entry = entry_of[i - start]
            code = kernels.check(entry, np.int64(wh[i]))
            if code:
                rejected[code] += 1
                continue
            c = np.uint64(entry & np.uint32(NO_CLASS))
            sum_wh[c] += np.int64(wh[i])
            sum_n[c] += 1


def best_rate(run: Callable[[], object], readings: int, times: int = 3) -> float:
    """Best of a few runs, M readings/s."""
    best = 0.0
    for _ in range(times):
        start = time.perf_counter()
        run()
        best = max(best, readings / (time.perf_counter() - start) / 1e6)
    return best


def distinct_blocks(meters: int, blocks: int, seed: int) -> list[tuple[Array, Array]]:
    """Blocks of random ids, no id twice in all of them, and their Wh."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(meters)[: blocks * BLOCK].astype(np.uint32)
    wh = rng.integers(0, 2500, ids.size).astype(np.uint16)
    return [(ids[i : i + BLOCK], wh[i : i + BLOCK]) for i in range(0, ids.size - BLOCK + 1, BLOCK)]


def some_entries(meters: int) -> Array:
    i = np.arange(meters)
    return join_entries(
        i % CLASSES, np.zeros(meters, bool), np.full(meters, 3600), np.ones(meters, bool)
    )


def day_store_rate(meters: int, stream: list[tuple[Array, Array]], entries: Array) -> float:
    """The kernel as the stream calls it, day store and journal included."""
    store = DayStore(0, meters, 48, 1, CLASSES)
    store.open_from(SLOT // 48 * 48)
    store.entries = entries[None]
    store.cells[store.row_of(SLOT)] = 0  # touch the slot's row, as the slot before would have
    window = Window(store.low, SLOT + 9, -1, 0)
    slot, rank = np.array([SLOT], np.int32), np.array([BASE_RANK], np.int32)

    def run() -> None:
        for ids, wh in stream:
            store.apply(Columns(ids, slot, wh, rank), window)
            store.keep()

    rates = []
    for _ in range(4):
        store.cells[store.row_of(SLOT)] = 0
        rates.append(best_rate(run, len(stream) * BLOCK, 1))
    return max(rates)


def numpy_sums(stream: list[tuple[Array, Array]], entries: Array) -> None:
    total, count = np.zeros(CLASSES), np.zeros(CLASSES, np.int64)
    for ids, wh in stream:
        entry = entries[ids]
        limit = (entry >> MANTISSA_SHIFT).astype(np.int64) << ((entry >> EXPONENT_SHIFT) & 15)
        good = ((entry & NO_CLASS) != NO_CLASS) & (wh <= limit)
        c = (entry & NO_CLASS)[good]
        total += np.bincount(c, wh[good], CLASSES)
        count += np.bincount(c, minlength=CLASSES)


def polars_sums(stream: list[tuple[Array, Array]], entries: Array) -> None:
    import polars as pl

    table = pl.Series(entries)
    for ids, wh in stream:
        entry = table.gather(ids)
        frame = pl.DataFrame({"entry": entry, "wh": wh}).with_columns(
            c=pl.col("entry") & NO_CLASS,
            limit=(pl.col("entry") // 2**MANTISSA_SHIFT)
            * (2 ** ((pl.col("entry") // 2**EXPONENT_SHIFT) % 16)),
        )
        frame.filter((pl.col("c") != NO_CLASS) & (pl.col("wh") <= pl.col("limit"))).group_by(
            "c"
        ).agg(pl.col("wh").cast(pl.Int64).sum(), pl.len())


def bytewax_fold(stream: list[tuple[Array, Array]], entries: Array) -> None:
    """One item a block, folded by key: Bytewax at its best (an item a reading is 50x slower)."""
    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main

    def fold(state: Array | None, item: tuple[Array, Array]) -> tuple[Array, None]:
        total = np.zeros(CLASSES) if state is None else state
        entry = entries[item[0]]
        limit = (entry >> MANTISSA_SHIFT).astype(np.int64) << ((entry >> EXPONENT_SHIFT) & 15)
        good = ((entry & NO_CLASS) != NO_CLASS) & (item[1] <= limit)
        return total + np.bincount((entry & NO_CLASS)[good], item[1][good], CLASSES), None

    flow = Dataflow("fold")
    keyed: Iterable[tuple[str, tuple[Array, Array]]] = [("nation", block) for block in stream]
    source = op.input("in", flow, TestingSource(keyed))
    op.output("out", op.stateful_map("fold", source, fold), TestingSink([]))
    run_main(flow)


def main() -> None:
    arguments = parse(__doc__, blocks=200)
    stream = distinct_blocks(METERS, arguments.blocks, 1)
    local = distinct_blocks(PARTITION, 11, 2)
    entries = some_entries(METERS)
    n = len(stream) * BLOCK
    sums = np.zeros((3, CLASSES), np.int64)

    def ours() -> None:
        for ids, wh in stream:
            check_join_sum(ids, wh, entries, sums[0], sums[1], sums[2])

    ours()
    figures = {
        "check_join_sum_mps": best_rate(ours, n),
        "with_day_store_mps": day_store_rate(METERS, stream, entries),
        "partition_mps": day_store_rate(PARTITION, local, entries[:PARTITION].copy()),
        "numpy_mps": best_rate(lambda: numpy_sums(stream, entries), n),
        "polars_mps": best_rate(lambda: polars_sums(stream, entries), n),
        "bytewax_mps": best_rate(lambda: bytewax_fold(stream, entries), n, 1),
    }
    rows = [(name.removesuffix("_mps"), rate, "M readings/s") for name, rate in figures.items()]
    for peer in ("numpy", "polars", "bytewax"):
        ratio = figures["check_join_sum_mps"] / figures[f"{peer}_mps"]
        rows.append((f"check_join_sum / {peer}", ratio, "x"))
        figures[f"ratio_{peer}"] = ratio
    report("kernel, one core, blocks of 50,000", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
