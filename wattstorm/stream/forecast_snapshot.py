"""A desk as arrays and a header, and back: to the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from models.forecast.calendar import Calendar
from models.forecast.fallback import naive_set
from models.forecast.forecaster import Forecaster
from models.forecast.forecaster_state import restore, to_arrays
from models.forecast.loads import DayLoad, Loads
from wattstorm.metering.forecasts import ForecastRow
from wattstorm.stream.forecast_desk import Desk
from wattstorm.stream.forecast_models import Named, Place, curve_of
from wattstorm.stream.forecast_scores import Day, Scores
from wattstorm.stream.forecast_seats import NO_MODEL, Base, Horizon, Seat

SCHEMA: Final = 1


def taken(desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    """(arrays, JSON header)."""
    arrays: dict[str, Any] = {}
    bounds = [desk.bounds[label] for label in sorted(desk.bounds)]
    arrays["bounds"] = np.array(bounds, np.float64).reshape(-1, 2)
    header = {
        "schema": SCHEMA,
        "mark": desk.mark,
        "passed": desk.passed,
        "bounds": sorted(desk.bounds),
        "loads": [_load(i, arrays, *each) for i, each in enumerate(sorted(desk.loads.items()))],
        "seats": [_seat(i, arrays, *each) for i, each in enumerate(sorted(desk.seats.items()))],
        "newest": [
            [lead, *horizon, row.to_json()]
            for (_, lead), (horizon, row) in sorted(desk.newest.items())
        ],
        "open": [[*horizon, day] for horizon, day in sorted(desk.scores.open)],
        "done": [[*h, [list(day) for day in days]] for h, days in sorted(desk.scores.done.items())],
    }
    for i, key in enumerate(sorted(desk.scores.open)):
        arrays[f"open.{i}"] = np.stack(desk.scores.open[key])
    return arrays, header


def _load(i: int, arrays: dict[str, Any], label: str, loads: Loads) -> list[Any]:
    days = sorted(loads.days)
    held = [loads.days[day] for day in days]
    arrays[f"load.{i}.wh"] = np.concatenate([d.wh for d in held] or [np.empty(0)])
    arrays[f"load.{i}.closed"] = np.concatenate([d.closed for d in held] or [np.empty(0, bool)])
    return [label, days, [len(d.wh) for d in held]]


def _seat(i: int, arrays: dict[str, Any], horizon: Horizon, seat: Seat) -> dict[str, Any]:
    for version, forecaster in seat.learners.items():
        for name, array in to_arrays(forecaster).items():
            arrays[f"seat.{i}.{version or 'naive'}.{name}"] = array
        if not version:
            arrays[f"seat.{i}.sd"] = forecaster.models.families["blank"].sd
            arrays[f"seat.{i}.holidays"] = forecaster.models.calendar.holidays.astype(np.int64)
    for b, base in enumerate(seat.bases):
        for version, state in base.states.items():
            for name, array in state.items():
                arrays[f"seat.{i}.base{b}.{version or 'naive'}.{name}"] = array
    return {
        "horizon": list(horizon),
        "bases": [[base.day, list(base.states)] for base in seat.bases],
        "corrected": seat.corrected,
        "learners": list(seat.learners),
        "versions": [list(named) for named in seat.versions.values()],
        "of": list(seat.of) if seat.of else None,
        "stages": [seat.live, seat.shadow, seat.former],
    }


def put_back(desk: Desk, arrays: Mapping[str, Any], header: Mapping[str, Any]) -> None:
    """Set a new desk, whose books and models are in force, to what `taken` told of."""
    desk.mark, desk.passed = header["mark"], header["passed"]
    bounds = zip(header["bounds"], arrays["bounds"].tolist(), strict=True)
    desk.bounds = {label: (low, high) for label, (low, high) in bounds}
    for i, (label, days, lengths) in enumerate(header["loads"]):
        at = np.cumsum(lengths)[:-1]
        wh, closed = (np.split(arrays[f"load.{i}.{name}"], at) for name in ("wh", "closed"))
        held = {
            day: DayLoad(w.copy(), c.copy()) for day, w, c in zip(days, wh, closed, strict=True)
        }
        desk.loads[label] = Loads(desk.rules.calendar, held)
    for i, told in enumerate(header["seats"]):
        horizon = Horizon(*told["horizon"])
        desk.seats[horizon] = _seated(desk, horizon, arrays, i, told)
    for lead, label, place, ahead, text in header["newest"]:
        row = ForecastRow.from_json(text)
        desk.newest[label, lead] = Horizon(label, place, ahead), row
    keys = [(Horizon(*each[:3]), each[3]) for each in header["open"]]
    desk.scores = Scores(
        {key: tuple(arrays[f"open.{i}"].copy()) for i, key in enumerate(keys)},
        {Horizon(*h): tuple(Day(*d) for d in days) for *h, days in header["done"]},
    )


def _seated(
    desk: Desk, horizon: Horizon, arrays: Mapping[str, Any], i: int, told: Mapping[str, Any]
) -> Seat:
    versions = {named[0]: Named(*named) for named in told["versions"]}
    of: Place | None = tuple(told["of"]) if told["of"] else None
    learners = {}
    for version in told["learners"]:
        if version == NO_MODEL:
            holidays = arrays[f"seat.{i}.holidays"].astype("datetime64[D]")
            sd = arrays[f"seat.{i}.sd"].copy()
            forecaster = Forecaster(naive_set(sd, Calendar(holidays), len(sd)))
        else:
            forecaster = Forecaster(desk.models.open(curve_of(horizon.label), versions[version]))
        restore(forecaster, _begun(arrays, f"seat.{i}.{version or 'naive'}."))
        learners[version] = forecaster
    bases = []
    for b, (day, sat) in enumerate(told["bases"]):
        states = {v: _begun(arrays, f"seat.{i}.base{b}.{v or 'naive'}.") for v in sat}
        bases.append(Base(day, states))
    live, shadow, former = told["stages"]
    seat = Seat(horizon, learners, versions, of, live, shadow, former)
    seat.bases, seat.corrected = tuple(bases), told["corrected"]
    return seat


def _begun(arrays: Mapping[str, Any], begin: str) -> dict[str, Any]:
    """The arrays whose names begin so, by the rest of their names."""
    return {n.removeprefix(begin): a.copy() for n, a in arrays.items() if n.startswith(begin)}
