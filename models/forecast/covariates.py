"""What is known of a day when its load is forecast: calendar, weather, and the load before it.

All arrays are float64[days, slots], days in a row without holes; NaN is "not known", and a model
that needs it does not answer for that slot. `known` says how many slots of the eve are known at
issue time: all of them when the forecast is issued at 00:00, half of them at 12:00 the day before.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.forecast.calendar import Calendar, Days, Floats, in_break, time_of_year

FAST_HOURS, SLOW_HOURS = 10.0, 48.0
"""Time constants of the two smoothed temperatures: the air of a home, and its walls."""


def smoothed(values: Floats, slots: int, hours: float) -> Floats:
    """Exponentially smoothed along time, NaN where not known. values: [days, slots]."""
    keep = float(np.exp(-24.0 / slots / hours))
    out = np.empty(values.size)
    state = np.nan
    for i, value in enumerate(values.ravel().tolist()):
        if value == value:  # not NaN
            state = value if state != state else keep * state + (1 - keep) * value
            out[i] = state
        else:
            out[i] = np.nan
    return out.reshape(values.shape)


def back(values: Floats, days: int) -> Floats:
    """The same slot `days` days before; NaN where that is before the first."""
    out = np.full(values.shape, np.nan)
    if days < len(values):
        out[days:] = values[: len(values) - days] if days else values
    return out


def last_known(values: Floats, known: int) -> Floats:
    """The last whole day known at issue, in order of slots: of D-1 what is known, else of D-2."""
    one, two = back(values, 1), back(values, 2)
    return np.concatenate([one[:, :known], two[:, known:]], axis=1)


def quiet_mean(values: Floats) -> Floats:
    """Mean over slots of what is known, NaN where less than three quarters are. [days, 1]."""
    there = np.isfinite(values)
    count = there.sum(axis=1, keepdims=True)
    total = np.where(there, values, 0.0).sum(axis=1, keepdims=True)
    enough = count * 4 >= values.shape[1] * 3
    return np.where(enough, total / np.maximum(count, 1), np.nan)


def calendar_covariates(
    days: Days, calendar: Calendar, slots: int, known: int
) -> dict[str, Floats]:
    """What the date alone says, float64[days, slots] each."""
    holiday = calendar.is_holiday(days)
    one_a_day = {
        "day_type": calendar.day_type(days),
        "toy": time_of_year(days),
        "years": (days - np.datetime64("2000-01-01")).astype(np.float64) / 365.25,
        "eve": calendar.is_holiday(days + 1) & ~holiday,
        "after": calendar.is_holiday(days - 1) & ~holiday,
        "new_year": in_break(days, (12, 22), (1, 3)),
        "august": in_break(days, (8, 1), (8, 24)),
    }
    out = {k: np.repeat(v.astype(np.float64)[:, None], slots, 1) for k, v in one_a_day.items()}
    turns = np.stack([calendar.turn(days, 1), calendar.turn(days, 2)])
    out["turn"] = turns[(np.arange(slots) >= known).astype(np.int64)].T.astype(np.float64)
    return out


def weather_covariates(weather: Mapping[str, Floats], slots: int) -> dict[str, Floats]:
    """Temperature now, before and smoothed, least and most of the day and its eve; the others as
    they are. Where the past's temperature is not known, its smoothed value stands for it."""
    out = dict(weather)
    if "temp" not in weather:
        return out
    temp = weather["temp"]
    fast, slow = smoothed(temp, slots, FAST_HOURS), smoothed(temp, slots, SLOW_HOURS)
    past = np.where(np.isfinite(temp), temp, held(slow))
    there = np.isfinite(temp).sum(axis=1, keepdims=True) * 4 >= 3 * slots
    least = np.where(there, np.fmin.reduce(temp, axis=1, keepdims=True), np.nan)
    most = np.where(there, np.fmax.reduce(temp, axis=1, keepdims=True), np.nan)
    whole = np.ones((1, slots))
    return out | {
        "temp_fast": fast,
        "temp_slow": slow,
        "temp_before": earlier(past, max(1, slots // 8)),
        "temp_eve": back(past, 1),
        "temp_min": least * whole,
        "temp_max": most * whole,
        "temp_min_eve": back(past.min(axis=1, keepdims=True) * whole, 1),
        "temp_max_eve": back(past.max(axis=1, keepdims=True) * whole, 1),
    }


def held(values: Floats) -> Floats:
    """The last known value where there is none. values: [days, slots], along time."""
    flat = values.ravel()
    last = np.maximum.accumulate(np.where(np.isfinite(flat), np.arange(flat.size), 0))
    return flat[last].reshape(values.shape)


def earlier(values: Floats, slots: int) -> Floats:
    """So many slots before, over midnight. values: [days, slots]."""
    flat = values.ravel()
    return np.concatenate([np.full(slots, np.nan), flat[: flat.size - slots]]).reshape(values.shape)


def load_covariates(
    days: Days, load: Floats, calendar: Calendar, slots: int, known: int
) -> dict[str, Floats]:
    """The load before: last known day, a week before, last known slots, mean of the last day,
    and the naive forecast, the last day of its kind."""
    recent = last_known(load, known)
    hour = max(1, slots // 24)
    last = np.roll(recent, -known, axis=1)[:, slots - hour :].mean(axis=1, keepdims=True)
    whole = np.ones((1, slots))
    like = calendar.same_day_before(days, days - (1 if known == slots else 2))
    row = (like - days[0]).astype(np.int64)
    naive = np.where((row >= 0)[:, None], load[np.maximum(row, 0)], np.nan)
    return {
        "lag_day": recent,
        "lag_week": back(load, 7),
        "lag_last": last * whole,
        "lag_mean": quiet_mean(recent) * whole,
        "naive": naive,
    }


def covariates(
    days: Days,
    load: Floats,
    weather: Mapping[str, Floats],
    calendar: Calendar,
    known: int | None = None,
) -> dict[str, Floats]:
    """Everything that a model may ask for, by name. load: float64[days, slots], NaN unknown.

    weather: "temp" in °C and any others, each float64[days, slots]. known: slots of the eve that
    are known at issue; None for all.
    """
    slots = load.shape[1]
    known = slots if known is None else known
    return {
        **calendar_covariates(days, calendar, slots, known),
        **weather_covariates(weather, slots),
        **load_covariates(days, load, calendar, slots, known),
    }
