"""SAX words a second and core, beside pyts and tslearn.

    python -m bench.sax [--json] [--curves 1000000]

Words 12 × 8 of day curves of 48 half hours, one core each: ours of uint16 Wh and of float32; pyts
(scaler, PAA, SAX) and tslearn (scaler, SAX) of the same curves as float64, a part of them.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from bench._arguments import parse
from bench._report import report
from models import sax

SEGMENTS, ALPHABET = 12, 8
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
    """Millions of curves a second, the best of some runs."""
    words(x[: max(2, len(x) // 20)])
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        words(x)
        took.append(time.perf_counter() - begun)
    return len(x) / min(took) / 1e6


def main() -> None:
    arguments = parse(__doc__, curves=1_000_000)
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
    units = {"_mps": "M curves/s a core"}
    rows = [
        (name, value, next((u for end, u in units.items() if name.endswith(end)), ""))
        for name, value in figures.items()
    ]
    report("SAX", rows, figures, arguments.json)


if __name__ == "__main__":
    main()
