"""Fit the score's weights and its reference on homes: prints what `models/score_weights.py` holds.

    python -m bench.sax_fit FILE... [--all]

Weights of the three alternatives by logistic loss of the summed odds, anomalies injected as in
`bench.sax_quality`, each file counting the same; then the reference's tail, the scores of days that
were not injected. Uses the homes of even number of each file (`bench.sax_quality` reports on the
others) unless --all. Needs scipy.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from bench._sax_days import CLEAN, Polluted, inject, read
from bench._sax_play import play
from models import score_weights as weights

Floats = npt.NDArray[np.float64]
GROUPS: Final = ((0, 1, 2, 3, 4, 5, 6), (5, 6, 7, 8, 9), (5, 6, 10, 11, 12))
SEEDS: Final = (11, 12, 13)


def fit(x: Floats, bad: npt.NDArray[np.bool_], count: Floats) -> tuple[Floats, Floats]:
    """(weights[3, features], bias[3]) of log Σ exp(w·x + b) as the log odds of `bad`."""
    mean, sd = x.mean(axis=0), x.std(axis=0) + 1e-9
    z, mask = (x - mean) / sd, np.zeros((3, x.shape[1]))
    for g, columns in enumerate(GROUPS):
        mask[g, list(columns)] = 1

    def loss(flat: Floats) -> tuple[float, Floats]:
        w, b = flat[: mask.size].reshape(mask.shape) * mask, flat[mask.size :]
        a = z @ w.T + b
        s = np.logaddexp.reduce(a, axis=1)
        miss = np.logaddexp(0, np.where(bad, -s, s))
        slope = count * (1 / (1 + np.exp(-s)) - bad) / count.sum()
        each = np.exp(a - s[:, None]) * slope[:, None]
        total = (count * miss).sum() / count.sum() + 1e-3 * (w**2).sum()
        return total, np.r_[((each.T @ z) * mask + 2e-3 * w).ravel(), each.sum(axis=0)]

    start = np.r_[(mask * 0.3).ravel(), -3 * np.ones(3)]
    found: Any = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 400})
    w, b = found.x[: mask.size].reshape(mask.shape) * mask, found.x[mask.size :]
    return w / sd, b - (w * mean / sd).sum(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--all", action="store_true", help="use all homes")
    given = parser.parse_args()
    days: list[list[Polluted]] = []
    for file in given.files:
        wh, aside = read(file)
        days.append([inject(wh, seed, aside) for seed in SEEDS])

    def gather(of: str) -> tuple[list[Floats], list[Any]]:
        xs, labels = [], []
        for several in days:
            for one in several:
                homes = np.arange(len(one.wh)) % 2 == 0 if not given.all else slice(None)
                values = getattr(play(one.wh), of)[homes]
                use = one.judged[homes] & np.isfinite(
                    values if values.ndim == 2 else values[..., 0]
                )
                xs.append(values[use])
                labels.append(one.label[homes][use])
        return xs, labels

    xs, labels = gather("features")
    count = np.concatenate([np.full(len(x), 1 / len(x)) for x in xs])
    w, b = fit(np.concatenate(xs), np.concatenate(labels) > CLEAN, count)
    print("WEIGHTS", np.array2string(w.round(3), separator=", "))
    print("BIAS", np.array2string(b.round(3), separator=", "))
    weights.WEIGHTS[:], weights.BIAS[:] = w.round(3), b.round(3)
    values, labels = gather("value")
    tails = [
        np.quantile(v[k == CLEAN], 1 - weights.REFERENCE_P)
        for v, k in zip(values, labels, strict=True)
    ]
    print("REFERENCE_P", np.array2string(weights.REFERENCE_P, separator=", "))
    print("REFERENCE_VALUE", np.array2string(np.mean(tails, axis=0).round(3), separator=", "))


if __name__ == "__main__":
    main()
