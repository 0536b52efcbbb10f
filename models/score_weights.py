"""Constants of the score, and the weights of its parts: fitted by `python -m bench.sax_fit`.

WEIGHTS and BIAS are given to the kernels at each call. The other constants are compiled into them,
and numba keeps what it compiled as long as the kernels' own files stay: after a change here,
remove models/__pycache__. States made with other constants mean something else.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from models.alphabet import gaussian_breakpoints

FEATURES: Final = 13
NAMES: Final = (
    "energy",
    "mean",
    "lowest",
    "widest",
    "width",
    "word",
    "fit",
    "moved_word",
    "moved",
    "moved_shape",
    "lift",
    "peak",
    "two",
)
EDGES: Final = gaussian_breakpoints(8)
MEMORY: Final = 1 / 20
"""Share of a new day in means and variances: a memory of about three weeks."""
FLOOR, LEVEL_FLOOR = 0.03, 0.01
TIE: Final = 0.5
"""How much of yesterday's level today's is expected to keep."""
LIFT: Final = 0.6
"""Of the meter's mean: what a stretch above its usual load is measured by."""
SMOOTH, PRIOR = 0.15, 0.3
"""Share of a count that its two neighbours each get (the kernels count in twentieths), and what
a symbol has before any was counted."""
OWN_SHARE, OWN_POWER = 0.4, 0.25

WEIGHTS: Final = np.array(
    [
        [0.798, 0.568, 1.028, 0.946, 0.959, 1.286, 0.824, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0.615, -0.671, 1.003, 0.865, 0.923, 0, 0, 0],
        [0, 0, 0, 0, 0, 0.296, -0.098, 0, 0, 0, 0.305, 1.293, 0.393],
    ]
)
"""float64[3, FEATURES]: level and surprise; moved; raised."""
BIAS: Final = np.array([-8.593, -7.719, -7.342])
REFERENCE_P: Final = np.array(
    [
        0.999,
        0.95,
        0.9,
        0.75,
        0.5,
        0.25,
        0.1,
        0.05,
        0.03,
        0.02,
        0.01,
        0.005,
        0.003,
        0.002,
        0.001,
    ]
)
REFERENCE_VALUE: Final = np.array(
    [
        -4.939,
        -4.133,
        -3.920,
        -3.562,
        -3.096,
        -2.396,
        -1.463,
        -0.723,
        -0.183,
        0.197,
        0.921,
        1.761,
        2.429,
        2.972,
        3.722,
    ]
)
"""What share of usual days of real homes scores at least so much."""
