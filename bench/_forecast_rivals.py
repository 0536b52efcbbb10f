"""What the forecasts are compared with: yesterday, last week, the GAM as fitted, boosted trees."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.forecast.covariates import back, last_known

Floats = npt.NDArray[np.float64]


def last_week(load: Floats) -> Floats:
    return back(load, 7)


def last_day(load: Floats, known: int) -> Floats:
    """The last known value of each slot."""
    return last_known(load, known)


def boosted(values: Mapping[str, Floats], load: Floats, train: slice) -> Floats:
    """LightGBM over all covariates and the slot, fitted once; float64[days, slots]."""
    import lightgbm

    names = sorted(k for k in values if k not in ("naive", "years"))
    slot = np.broadcast_to(np.arange(load.shape[1]), load.shape)
    x = np.stack([*(values[n] for n in names), slot], axis=-1)
    rows, y = x[train].reshape(-1, x.shape[-1]), load[train].ravel()
    there = np.isfinite(y)
    model = lightgbm.LGBMRegressor(
        n_estimators=400, learning_rate=0.05, num_leaves=31, n_jobs=1, verbose=-1, seed=1
    )
    model.fit(rows[there], y[there])
    return np.asarray(model.predict(x.reshape(-1, x.shape[-1]))).reshape(load.shape)
