"""What `wattstorm train` learns from: columns of a file, or curves that a store has published."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from models.forecast.calendar import Floats
from models.forecast.days import Table, by_day
from models.forecast.weather_book import Vintage
from wattstorm.cli.forecast_options import Chosen
from wattstorm.cli.forecast_series import Series
from wattstorm.cli.weather_file import Wanted, read_vintages
from wattstorm.errors import DataError, UsageError
from wattstorm.readers.curve import Curve
from wattstorm.readers.results import Results

NATIONAL: Final = "national"
COVERED: Final = 0.9
"""Share of the meters from which a slot that is not final counts, as if all had reported."""


class Source(NamedTuple):
    """One curve. table: local days, its load under "load"; told: what the card says of it."""

    curve: str
    series: Series
    table: Table
    told: dict[str, Any]


def from_file(file: Path, loads: Sequence[str], curve: str, options: Chosen) -> list[Source]:
    """loads: COLUMN, which is `curve`, or CURVE=COLUMN."""
    found = []
    for given in loads:
        name, equals, column = given.partition("=")
        series = options.series(file, column if equals else given)
        found.append(Source(name if equals else curve, series, series.table(), series.told()))
    names = [source.curve for source in found]
    if len(set(names)) < len(names):
        raise UsageError(f"curves {', '.join(names)}", "give each a name: --load CURVE=COLUMN")
    return found


def curve_of(label: str) -> str:
    """The name that models of a scope have: "nation" → "national", "tariff:peak" → "peak"."""
    return label.partition(":")[2] or NATIONAL


def from_store(
    results: Results, wanted: Sequence[str], weather: Path | None, options: Chosen
) -> list[Source]:
    """Published curves, in Wh; wanted: names as of `curve_of`, none: the nation and all tariffs.
    weather: a file as `wattstorm weather load` reads it."""
    usual = [x for x in results.labels if x == "nation" or x.startswith("tariff:")]
    labels = {curve_of(label): label for label in (results.labels if wanted else usual)}
    if unknown := [name for name in wanted if name not in labels]:
        raise UsageError(f"the store has no curve {unknown[0]!r}", f"it has {', '.join(labels)}")
    chosen = {name: labels[name] for name in (wanted or labels)}
    curves = results.curves(list(chosen.values()), *results.days())
    minutes, zone = results.calendar.grid.minutes, results.calendar.time_zone
    runs = _newest(weather)
    found = []
    for name, label in chosen.items():
        curve = curves[label]
        if not len(curve):
            raise DataError(f"the curve {name} has no slot yet", "wattstorm run, then train")
        starts = curve.starts.astype("datetime64[s]").astype(np.int64)
        place = label if label in {run.place for run in runs} else "nation"
        said = {run.name: run.at(starts) for run in runs if run.place == place}
        table = by_day(starts, {"load": _load(curve), **said}, zone, minutes)
        columns = {quantity: quantity for quantity in said}
        local = zone, options.country, minutes, options.issue
        series = Series(Path(label), "", "wh", columns, *local)
        found.append(Source(name, series, table, _told(series, curve, weather)))
    return found


def _load(curve: Curve) -> Floats:
    """float64[n], Wh; NaN where too few meters have reported."""
    share = np.maximum(curve.coverage, 1e-9)
    whole = np.where(curve.coverage >= COVERED, curve.wh / share, np.nan)
    return np.where(curve.status == "final", curve.wh, whole)


def _newest(weather: Path | None) -> list[Vintage]:
    """Of each place and quantity, the run that was issued last."""
    if weather is None:
        return []
    held: dict[tuple[str, str], Vintage] = {}
    for run in read_vintages(weather, Wanted()):
        if (run.place, run.name) not in held or run.issued >= held[run.place, run.name].issued:
            held[run.place, run.name] = run
    return list(held.values())


def _told(series: Series, curve: Curve, weather: Path | None) -> dict[str, Any]:
    bits = curve.slots.tobytes() + curve.wh.tobytes()
    data = {
        "curve": curve.label,
        "sha256": hashlib.sha256(bits).hexdigest(),
        "unit": "Wh in the slot",
        "weather": "" if weather is None else hashlib.sha256(weather.read_bytes()).hexdigest(),
    }
    return {"data": data, **series.place()}
