"""Real load for the forecast tests: hours of Victoria (make_sample.py says whence), four a day."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from models.forecast.calendar import Calendar, Days, Floats
from models.forecast.covariates import covariates
from models.forecast.model_set import ModelSet
from models.forecast.trainers.holiday_dates import holiday_dates
from models.forecast.trainers.training import train_set, trainer_named, training_days

TRAIN = 731
HOURS = [1, 7, 13, 19]


@cache
def whole_days() -> tuple[Days, Floats, Floats]:
    """Days, load and temperature, float64[days, 24]."""
    frame = pl.read_parquet(Path(__file__).with_name("victoria.parquet"))
    load = frame["demand_mw"].cast(pl.Float64).to_numpy().reshape(-1, 24)
    temp = frame["temp_tenths"].cast(pl.Float64).to_numpy().reshape(-1, 24) / 10
    return np.datetime64("2012-01-01") + np.arange(len(load)), load, temp


@cache
def calendar() -> Calendar:
    return Calendar(holiday_dates("AU", "VIC", 2011, 2014))


def inputs(load: Floats, temp: Floats, known: int = len(HOURS)) -> dict[str, Floats]:
    """Covariates of four hours a day: load, temp float64[days, 4]."""
    days = np.datetime64("2012-01-01") + np.arange(len(load))
    return covariates(days, load, {"temp": temp}, calendar(), known)


@cache
def four_hours() -> tuple[Floats, Floats, dict[str, Floats]]:
    """Load and temperature float64[days, 4], and their covariates."""
    _, load, temp = whole_days()
    load, temp = load[:, HOURS].copy(), temp[:, HOURS].copy()
    return load, temp, inputs(load, temp)


@cache
def fitted(trainer: str = "pygam") -> ModelSet:
    """All families fitted on the two years; pygam, for it is quickest to start."""
    load, _, values = four_hours()
    days = training_days(values, slice(0, TRAIN))
    known = len(HOURS)
    return train_set(days, load[:TRAIN], calendar(), known, trainer_named(trainer))
