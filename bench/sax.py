"""SAX words a second and core, beside pyts and tslearn; scores of a day of 35 million meters.

    python -m bench.sax [--json] [--curves 1000000] [--meters 35000000] [--threads 2]

Words 12 × 8 of day curves of 48 half hours, one core each: ours of uint16 Wh and of float32; pyts
(scaler, PAA, SAX) and tslearn (scaler, SAX) of the same curves as float64, a part of them.

Scores: partitions of 550,000 meters that have seen 25 days, a closed day scored and learnt; with
fewer --meters the time is scaled to 35 million. Rates a core are of processor time, so that they
hold on a busy machine; `score_35m_s` is by the clock.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from bench._arguments import parse
from bench._report import report
from models import sax
from models.score import Segments
from models.score import close as close_day
from models.score_state import STATE_BYTES, new_states

SEGMENTS, ALPHABET = 12, 8
PARTITION, CHUNK = 550_000, 8192
Curves = npt.NDArray[Any]


def pyts_words(x: Curves) -> Curves:
    from pyts.approximation import PiecewiseAggregateApproximation, SymbolicAggregateApproximation
    from pyts.preprocessing import StandardScaler

    means = PiecewiseAggregateApproximation(window_size=None, output_size=SEGMENTS)
    symbols = SymbolicAggregateApproximation(ALPHABET, "normal", alphabet="ordinal")
    return np.asarray(symbols.transform(means.transform(StandardScaler().transform(x))))


def tslearn_words(x: Curves) -> Curves:
    from tslearn.piecewise import SymbolicAggregateApproximation
    from tslearn.preprocessing import TimeSeriesScalerMeanVariance

    words = SymbolicAggregateApproximation(n_segments=SEGMENTS, alphabet_size_avg=ALPHABET)
    return np.asarray(words.fit_transform(TimeSeriesScalerMeanVariance().fit_transform(x)))


def rate(words: Callable[[Curves], Curves], x: Curves, times: int = 5) -> float:
    """Millions of curves a second of a core's time, the best of some runs."""
    words(x[: max(2, len(x) // 20)])
    took = []
    for _ in range(times):
        begun = time.process_time()
        words(x)
        took.append(time.process_time() - begun)
    return len(x) / min(took) / 1e6


def day_of(meters: int, day: int) -> Segments:
    """A day of meters that each have a level and a shape of their own."""
    rng = np.random.default_rng(7)
    usual = rng.gamma(2, 700, (meters, 1)) * rng.gamma(3, 0.33, (meters, 8))
    energy = usual * np.random.default_rng(day).gamma(4, 0.25, (meters, 8))
    low, high = energy / 6 * 0.4, energy / 6 * 2.2
    full = np.full(8, 6, np.uint8)
    whole = [np.rint(x).astype(np.int32) for x in (energy, low, high)]
    slots = np.full((meters, 8), 6, np.uint8)
    return Segments(day, whole[0], slots, whole[1], whole[2], full)


def scoring(meters: int, threads: int) -> tuple[float, float]:
    """Seconds that closing a day of 35 M meters takes; ns a meter of a core's time."""
    size = min(meters, PARTITION)
    known = new_states(size)
    for day in range(25):
        close_day(known, day_of(size, day))
    parts = max(1, round(meters / size))
    states = [known.copy() for _ in range(parts)]
    days = [day_of(size, 25 + i) for i in range(2)]

    def close(i: int) -> None:
        for at in range(0, size, CHUNK):  # what a day makes stays in the cache
            few = states[i][at : at + CHUNK]
            close_day(few, days[i % 2].take(slice(at, at + CHUNK)))

    begun, worked = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(close, range(parts)))
    took, worked = time.perf_counter() - begun, time.process_time() - worked
    return took * 35_000_000 / (parts * size), worked * 1e9 / (parts * size)


def main() -> None:
    arguments = parse(__doc__, curves=1_000_000, meters=35_000_000, threads=2)
    warnings.simplefilter("ignore")
    whole = np.random.default_rng(0).gamma(0.8, 350, (arguments.curves, 48)).astype(np.uint16)
    part = whole[: min(len(whole), 200_000)].astype(np.float64)
    figures = {
        "words_mps": rate(lambda x: sax.words(x, SEGMENTS, ALPHABET), whole),
        "words_float_mps": rate(
            lambda x: sax.words(x, SEGMENTS, ALPHABET), part.astype(np.float32)
        ),
        "pyts_mps": rate(pyts_words, part),
        "tslearn_mps": rate(tslearn_words, part[:1000], 2),
    }
    figures["times_pyts"] = figures["words_mps"] / figures["pyts_mps"]
    figures["times_tslearn"] = figures["words_mps"] / figures["tslearn_mps"]
    figures["score_35m_s"], figures["score_ns"] = scoring(arguments.meters, arguments.threads)
    figures["state_bytes"] = STATE_BYTES
    units = {"_35m_s": "s", "_ns": "ns a meter and core", "_mps": "M curves/s a core"}
    rows = [
        (name, value, next((u for end, u in units.items() if name.endswith(end)), ""))
        for name, value in figures.items()
    ]
    report("SAX", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
