"""Every tariff and the nation: forecasts that add up.

The nation is forecast by itself and as the sum of its tariffs; the mean of both is better than
either where their errors differ. The tariffs then share the correction in proportion to the
variance of their errors, so what is least sure moves most: weighted least squares with a diagonal
covariance (Wickramasuriya, Athanasopoulos, Hyndman, "Optimal forecast reconciliation", 2019).
"""

from __future__ import annotations

import numpy as np

from models.forecast.calendar import Floats


def reconciled(total: Floats, parts: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """(total float64[S], parts float64[n, S]) that add up; variance: float64[n, S] of the parts'
    errors. Where the total or a part is NaN nothing is moved."""
    summed = parts.sum(axis=0)
    whole = np.isfinite(summed) & np.isfinite(total)
    mean = np.where(whole, (total + summed) / 2, total)
    share = variance / np.maximum(variance.sum(axis=0), 1e-300)
    return mean, np.where(whole, parts + share * (mean - summed), parts)
