"""Where one symbol ends and the next begins: breakpoints, Gaussian or learned.

An alphabet of `a` symbols 0 … a-1 has a-1 breakpoints in rising order. A value is the symbol of
how many breakpoints lie at or below it, so a value on a breakpoint belongs above it (Lin, Keogh
et al. 2003, and tslearn; pyts puts it below).
"""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import UsageError

MIN_ALPHABET: Final = 2
MAX_ALPHABET: Final = 15
"""A symbol is four bits of a word; the sixteenth value says that there is none."""


def check_alphabet(alphabet: int) -> int:
    """The alphabet's size, if it can be one."""
    if not MIN_ALPHABET <= alphabet <= MAX_ALPHABET:
        raise UsageError(
            f"an alphabet of {alphabet} symbols", f"take {MIN_ALPHABET} to {MAX_ALPHABET}"
        )
    return int(alphabet)


@cache
def _gaussian(alphabet: int) -> tuple[float, ...]:
    normal = NormalDist()
    return tuple(
        0.0 if 2 * i == alphabet else normal.inv_cdf(i / alphabet) for i in range(1, alphabet)
    )


def gaussian_breakpoints(alphabet: int) -> npt.NDArray[np.float64]:
    """float64[alphabet - 1], quantiles that cut a standard normal into equal shares.

    >>> gaussian_breakpoints(4).round(4).tolist()
    [-0.6745, 0.0, 0.6745]
    """
    return np.array(_gaussian(check_alphabet(alphabet)))


def learned_breakpoints(values: npt.ArrayLike, alphabet: int) -> npt.NDArray[np.float64]:
    """float64[alphabet - 1], quantiles that cut these values into equal shares.

    values: float[...], normalised segments of many curves; NaN is left out. Symbols are then
    equally frequent whatever the distribution, as load is nowhere normal (the spirit of SAXO,
    Bondu et al. 2013). Ties may leave a symbol unused. UsageError without any value.
    """
    known = np.asarray(values, np.float64).ravel()
    known = known[np.isfinite(known)]
    if not known.size:
        raise UsageError("no value to learn breakpoints from", "give whole curves")
    return np.quantile(known, np.arange(1, check_alphabet(alphabet)) / alphabet)
