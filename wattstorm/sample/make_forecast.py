"""Makes `wattstorm/sample/town_model/`, the model that `wattstorm demo` forecasts its town with.

    python -m wattstorm.sample.make_forecast          (5 minutes on two cores; wants R)

Trained on two years of 20,000 homes of the demo's own town, which the generator draws, up to the
eve of the demo's first day; nothing of the demo's days is learned. Temperatures are invented: a
season and days that follow each other (seeded), as the demo's are. No data of anybody. The card
tells each tariff's share of the energy: in this town tariffs differ in size, not in shape, so the
demo's models of tariffs are this one, scaled.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from datetime import date
from typing import Final

import numpy as np

from generator.model.driver import from_temperatures
from generator.town.outputs import days_from
from generator.town.register import rows
from generator.town.town import Town
from models.forecast import artefact
from models.forecast.calendar import Calendar, Floats
from models.forecast.covariates import covariates
from models.forecast.days import by_day
from models.forecast.formula import STANDARD
from models.forecast.trainers.holiday_dates import holiday_dates
from models.forecast.trainers.training import train_set, trainer_named
from models.forecast.warm import warmed
from wattstorm.metering.slots import day_number
from wattstorm.sample.forecast import FIRST_HOMES, PLACE, celsius_at

FIRST, LAST = date(2023, 3, 20), date(2025, 3, 23)
SEED, ZONE = 7, "Europe/Paris"
HOMES: Final = np.arange(FIRST_HOMES)
FAMILIES: Final = ("naive", "lags", "free")


def temperatures(days: int) -> Floats:
    """Daily means, float64[days]: coldest at the end of January; deviations last for days."""
    rng = np.random.default_rng(SEED)
    year = (np.arange(days) + (FIRST - date(FIRST.year, 1, 26)).days) / 365.25
    away = np.zeros(days)
    for day in range(1, days):
        away[day] = 0.75 * away[day - 1] + rng.normal(0, 2.0)
    return 12.0 - 8.0 * np.cos(2 * np.pi * year) + away


def main() -> None:
    dates = days_from(FIRST, LAST)
    celsius = temperatures(len(dates))
    driver = from_temperatures([day_number(day) for day in dates], celsius, seed=SEED)
    town = Town(seed=SEED, time_zone=ZONE, driver=driver, threads=2)
    tariffs, of = np.unique(rows(town, HOMES)["tariff"].to_numpy(), return_inverse=True)
    starts, wh, by_tariff = [], [], np.zeros(len(tariffs))
    for day in dates:
        slots = town.calendar.day_slots(day)
        starts.append(np.array([town.calendar.grid.start_at(slot) for slot in slots]))
        drawn = town.local_day(HOMES, day)
        wh.append(drawn.sum(axis=0, dtype=np.int64))
        by_tariff += np.bincount(of, drawn.sum(axis=1, dtype=np.int64), len(tariffs))
        if day.day == 1:
            print(f"  {day}", file=sys.stderr, flush=True)
    at = np.concatenate(starts)
    said = celsius_at(dates, celsius, at)
    table = by_day(at, {"load": np.concatenate(wh).astype(np.float64), "temp": said}, ZONE, 30)
    calendar = Calendar(holiday_dates("FR", "", FIRST.year - 1, LAST.year + 1))
    values = covariates(table.days, table.values["load"], {"temp": table.values["temp"]}, calendar)
    members = tuple(m for m in STANDARD if m.family in FAMILIES)
    trainer = trainer_named("mgcv")
    models = train_set(values, table.values["load"], calendar, 48, trainer, members)
    models = replace(models, warm=warmed(models, table.days, values, table.values["load"]))
    told = {
        "curve": "national",
        "data": {"town": f"generated, seed {SEED}, {FIRST_HOMES} homes", "unit": "Wh in the slot"},
        "training": {"first": str(FIRST), "last": str(LAST), "days": len(dates)},
        "tools": {"trainer": trainer.tools},
        "homes": FIRST_HOMES,
        "shares": dict(zip(tariffs.tolist(), (by_tariff / by_tariff.sum()).tolist(), strict=True)),
        "time_zone": ZONE,
        "country": "FR",
    }
    shutil.rmtree(PLACE, ignore_errors=True)
    print(artefact.save(models, PLACE, told))


if __name__ == "__main__":
    main()
