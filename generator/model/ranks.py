"""A home's own scale: its quantile function, and where each reading stands in it.

A home has in each season one quantile function, at KNOTS ranks. The rank of a
reading among all the home's readings of that season says how high it is for
this home; ranks of homes of any size are alike, so that what a model learns of movement is
about ranks, and household means, peaks and load factors stay in the quantile function.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def _knots() -> npt.NDArray[np.int64]:
    """int64[k], ranks × 65536, closer where peaks are; multiples of 32."""
    return np.unique(
        np.r_[
            np.arange(0, 57344, 2048),
            np.arange(57344, 63488, 512),
            np.arange(63488, 65280, 128),
            np.arange(65280, 65537, 32),
        ]
    )


KNOTS: Final = _knots() / 65536.0
"""Ranks at which a quantile function is kept."""
FINE_SHIFT: Final = np.uint32(5)
KNOT_START: Final = _knots().astype(np.float64)
KNOT_STEPS: Final = np.r_[1.0 / np.diff(KNOT_START), 0.0]
BELOW: Final = (np.searchsorted(_knots(), np.arange(2048) * 32, side="right") - 1).astype(np.uint8)
"""uint8[2048]: knot below each rank >> 5; no stretch of 32 holds a knot inside."""
_FINE: Final = 4000
OFF_CV: Final = 0.05
OFF_WH: Final = 0.5


def off_days(wh: Floats) -> npt.NDArray[np.bool_]:
    """bool[..., days]: days on which nothing happens: nearly constant, or all zero.

    They are a state of their own: a home that is empty, or a supply that is cut.
    wh: float[..., days, slots].
    """
    return np.asarray(wh.std(axis=-1) <= OFF_CV * np.abs(wh.mean(axis=-1)) + OFF_WH)


def _projection() -> npt.NDArray[np.float64]:
    """float64[KNOTS, _FINE]: least squares from a quantile function to its knots.

    Linear between the knots it keeps the sample's mean, which reading off single values does not.
    """
    at = (np.arange(_FINE) + 0.5) / _FINE
    hats = np.array([np.interp(at, KNOTS, row) for row in np.eye(KNOTS.size)]).T
    bend = np.diff(np.eye(KNOTS.size), 2, axis=0)
    return np.asarray(np.linalg.solve(hats.T @ hats + 1e-3 * bend.T @ bend, hats.T))


_PROJECTION: Final = _projection()


def quantiles(wh: Floats) -> npt.NDArray[np.float64]:
    """float64[KNOTS], Wh, not falling, of a home's readings of one season."""
    ordered = np.sort(np.ravel(wh))
    at = ((np.arange(_FINE) + 0.5) / _FINE * ordered.size).astype(np.int64)
    knots = _PROJECTION @ ordered[np.minimum(at, ordered.size - 1)]
    return np.asarray(np.maximum.accumulate(np.maximum(knots, max(float(ordered[0]), 0.0))))


def ranks(wh: Floats, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """float32[days, slots] in (0, 1), of float[days, slots] Wh.

    Equal readings are put in order of their neighbours in time, then by chance: meters
    report few digits, and ties broken by chance alone would make base loads restless.
    """
    flat = np.ravel(wh).astype(np.float64)
    around = 0.5 * np.roll(flat, -2) + np.roll(flat, -1) + np.roll(flat, 1) + 0.5 * np.roll(flat, 2)
    order = np.lexsort((rng.random(flat.size), around, flat))
    out = np.empty(flat.size, np.float32)
    out[order] = (np.arange(flat.size) + 0.5) / flat.size
    return out.reshape(wh.shape)
