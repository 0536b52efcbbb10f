"""The generator: 35 million day curves into memory, both engines, beside two yardsticks.

    python -m bench.generator [--json] [--meters 35000000] [--threads 2]

The model that comes with wattstorm, one winter day, new homes, uint16. The yardsticks draw the
same number of values (fewer, scaled up, for numpy) from a classical chain of 32
states and 16 clusters: compiled with alias tables, one thread; and numpy with alias tables. Also
that shards of meters in any order give the same bytes, and the memory beyond the output.
"""

from __future__ import annotations

import hashlib
import resource
import time
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

from bench._arguments import parse
from bench._report import report
from generator import Generator, shipped
from generator.model.chain import alias
from generator.noise import draw, meter_key

DAY = 20_103  # 2025-01-15
STATES, CLUSTERS, SLOTS = 32, 16, 48


@njit(nogil=True)  # type: ignore[untyped-decorator]
def alias_chain(seed, meters, clusters, tables, values, out):  # type: ignore[no-untyped-def]
    """The classical chain: one matrix a slot and cluster, uniform inside a state."""
    for i in range(len(meters)):
        key, state = meter_key(seed, meters[i]), 0
        table, value = tables[clusters[i]], values[clusters[i]]
        for s in range(out.shape[1]):
            bits = draw(key, DAY, s)
            place = np.int64(bits & np.uint64(31))
            entry = table[s, state, place]
            if ((bits >> np.uint64(8)) & np.uint64(0xFFFFFF)) < np.uint64(entry >> np.uint32(8)):
                state = place
            else:
                state = np.int64(entry & np.uint32(255))
            part = np.float64(bits >> np.uint64(40)) / 16777216.0
            low = value[s, state]
            out[i, s] = np.uint16(low + part * (value[s, state + 1] - low))


def numpy_chain(
    n: int, tables: npt.NDArray[Any], values: npt.NDArray[Any], cluster: npt.NDArray[Any]
) -> npt.NDArray[np.uint16]:
    rng = np.random.default_rng(1)
    out = np.empty((n, SLOTS), np.uint16)
    state = np.zeros(n, np.int64)
    for s in range(SLOTS):
        place = rng.integers(0, STATES, n)
        entry = tables[cluster, s, state, place]
        state = np.where(rng.random(n) * 2**24 < entry >> 8, place, entry & 255)
        low, high = values[cluster, s, state], values[cluster, s, state + 1]
        out[:, s] = low + rng.random(n) * (high - low)
    return out


def classical(n: int) -> tuple[float, float]:
    """(M values/s of the compiled chain, of numpy), one core."""
    rng = np.random.default_rng(0)
    odds = rng.random((CLUSTERS, SLOTS, STATES, STATES)) ** 4 + 0.01
    tables = alias(odds / odds.sum(axis=3, keepdims=True))
    values = np.sort(rng.gamma(1, 300, (CLUSTERS, SLOTS, STATES + 1)), axis=2)
    cluster = np.sort(rng.integers(0, CLUSTERS, n))
    out = np.empty((n, SLOTS), np.uint16)
    meters = np.arange(n, dtype=np.int64)
    alias_chain(1, meters[:10], cluster, tables, values, out)
    start = time.perf_counter()
    alias_chain(1, meters, cluster, tables, values, out)
    compiled = out.size / (time.perf_counter() - start) / 1e6
    start = time.perf_counter()
    numpy_chain(n // 8, tables, values, cluster[: n // 8])
    return compiled, n // 8 * SLOTS / (time.perf_counter() - start) / 1e6


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def shards_agree(engine: str, meters: int = 30_000) -> bool:
    """Whether 1, 2 and 7 shards, the last first, give the same bytes."""
    model, days = shipped(), np.arange(DAY, DAY + 2)
    digests = set()
    for count in (1, 2, 7):
        parts = np.array_split(np.arange(meters), count)
        drawn = {
            i: Generator(model, engine=engine).curves(parts[i], days)
            for i in reversed(range(count))
        }
        whole = np.concatenate([drawn[i] for i in range(count)])
        digests.add(hashlib.sha256(whole.tobytes()).hexdigest())
    return len(digests) == 1


def main() -> None:
    arguments = parse(__doc__, meters=35_000_000, threads=2)
    n, model = arguments.meters, shipped()
    figures: dict[str, float] = {}
    out = np.zeros((n, 1, model.slots), np.uint16)
    out[:] = 1  # touch its pages: memory is what is measured apart
    numbers, day = np.arange(n, dtype=np.int64), np.array([DAY])
    for engine in ("chain", "block"):
        generator = Generator(model, engine=engine, threads=arguments.threads)
        generator.curves(numbers[:10], day)
        before = peak_bytes()
        start, cpu = time.perf_counter(), time.process_time()
        generator.curves(numbers, day, out)
        took, worked = time.perf_counter() - start, time.process_time() - cpu
        figures[f"{engine}_35m_s"] = took * 35_000_000 / n
        figures[f"{engine}_mps_core"] = out.size / worked / 1e6
        figures[f"{engine}_extra_mb"] = (peak_bytes() - before + numbers.nbytes) / 2**20
        figures[f"{engine}_same_bytes"] = float(shards_agree(engine))
    figures["alias_chain_mps_core"], figures["numpy_mps_core"] = classical(min(n, 2_000_000))
    units = {"_s": "s", "_core": "M values/s a core", "_mb": "MB", "_bytes": "1: yes"}
    rows = [
        (name, value, next((u for end, u in units.items() if name.endswith(end)), ""))
        for name, value in figures.items()
    ]
    report(
        f"generator, {n:,} day curves, {arguments.threads} threads", rows, figures, arguments.json
    )


if __name__ == "__main__":
    main()
