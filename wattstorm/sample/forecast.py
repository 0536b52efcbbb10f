"""What comes with wattstorm to forecast the town of `wattstorm demo`: a model, and prices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Floats
from models.forecast.weather_book import NATION, Vintage, hundredths

PLACE: Final = Path(__file__).with_name("town_model")
PRICES: Final = PLACE.with_name("town_prices.toml")
FIRST_HOMES: Final = 20_000
"""Homes that it was trained on: the town's first."""
STEP_S: Final = 6 * 3600


def weather(days: Sequence[date], celsius: Sequence[float] | Floats, issued: int) -> Vintage:
    """Daily means of days in a row as a series every six hours, as it is known at `issued`."""
    first = int(np.datetime64(days[0]).astype("datetime64[s]").astype(np.int64))
    values = hundredths(np.repeat(np.asarray(celsius, np.float64), 86_400 // STEP_S))
    return Vintage(NATION, "temp", issued, first, STEP_S, values)


def celsius_at(
    days: Sequence[date], celsius: Sequence[float] | Floats, at: npt.NDArray[np.int64]
) -> Floats:
    """°C at UTC seconds, float64[n]; of the first hours of the first local day, its own mean."""
    before = [days[0] - timedelta(days=1), *days]
    known = weather(before, [celsius[0], *celsius], int(at[-1]))
    return known.at(at)
