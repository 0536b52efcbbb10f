"""A town whose hours are those of Victoria: entries of the log of slots, models that know them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from models.forecast.artefact import artefact_id
from models.forecast.calendar import TYPES, Floats
from models.forecast.compiled import Compiled
from models.forecast.covariates import covariates
from models.forecast.formula import FAST, MIDDLE, STEADY, Member, Term
from models.forecast.model_set import ModelSet
from models.forecast.registry import Registry
from models.forecast.trainers.training import training_days
from models.forecast.weather_book import NATION, Vintage, WeatherBook, hundredths
from tests.models.forecast.victoria import TRAIN, calendar, whole_days
from wattstorm.metering.forecasts import ForecastRow
from wattstorm.metering.results import SlotChange, SlotResult, SlotRows
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.store.log import Entry
from wattstorm.stream.forecast_models import Named, Place, Stages, table_text
from wattstorm.stream.forecast_rules import ForecastRules
from wattstorm.stream.forecasts import Forecasts, first_of

ZONE = "Australia/Brisbane"
"""Clocks never change there, as they do not in the rows."""
RULES = ForecastRules(LocalCalendar(SlotGrid(60), ZONE), (0, 720), 1)
FIRST = int(whole_days()[0][0].astype(np.int64))
METERS = 1000
SHARES = {"tariff:flat": 0.3, "tariff:peak": 0.7}


def slot_at(day: int, hour: int = 0) -> int:
    """The slot of an hour of the data's day."""
    return (FIRST + day) * 24 + hour - 10


@cache
def trained(weather: bool) -> ModelSet:
    """Two small additive models by least squares, no trainer needed: the day type and the day
    before, the day type and the temperature; or the first alone."""
    days, load, temp = whole_days()
    load = load * 1000  # as the rows say it, in Wh
    every = covariates(days, load, {"temp": temp}, calendar(), 24)
    values = training_days(every, slice(8, TRAIN))
    asked = {"blind": "lag_day"} | ({"free": "temp"} if weather else {})
    families, references = {}, {}
    for family, name in asked.items():
        families[family], references[family] = least_squares(name, values, load[8:TRAIN])
    members = (Member("naive"), Member("blind", STEADY), Member("blind", FAST))
    members += (Member("free", MIDDLE), Member("free", FAST))
    return ModelSet(24, 24, calendar(), families, members, {}, references)


def least_squares(
    name: str, values: dict[str, Floats], load: Floats
) -> tuple[Compiled, dict[str, Floats]]:
    """load = constant + a value of the day type + a slope over `name`, for each hour."""
    x, kind = values[name], values["day_type"][:, 0].astype(int)
    types = np.eye(TYPES)[kind]
    low, width = x.min(axis=0), np.ptp(x, axis=0)
    weights = np.stack(
        [
            np.linalg.lstsq(np.column_stack([types, (x[:, s] - low[s]) / width[s]]), load[:, s])[0]
            for s in range(load.shape[1])
        ]
    )
    pieces = np.zeros((len(weights), TYPES + 1, 4))
    pieces[:, :TYPES, 0], pieces[:, TYPES, 1] = weights[:, :TYPES], weights[:, TYPES]
    nothing, shape = np.zeros(len(weights)), (len(weights), 2)
    formula = (Term("factor", "day_type", TYPES), Term("linear", name))
    lows, widths = np.zeros(shape), np.ones(shape)
    lows[:, 1], widths[:, 1] = low, width
    made = Compiled(formula, nothing, lows, widths, pieces, *np.ones((2, *shape)), nothing + 1)
    effects = made.effects(made.gather(values))
    off = load - effects.sum(axis=-1)
    deviation = np.maximum(effects.std(axis=0), 1.0)
    made = replace(made, mean=effects.mean(axis=0), deviation=deviation, sd=off.std(axis=0))
    rows = made.gather({n: v[::50] for n, v in values.items()})
    reference = {"x": rows.swapaxes(0, 1), "expected": made.predict(rows).T}
    return made, reference


def registered(root: Path, curve: str = "national", *, weather: bool = True) -> Named:
    """A model in the registry below `root`."""
    entry = Registry(root).add(curve, trained(weather), {"weather": weather})
    return named(entry.directory)


def named(directory: Path) -> Named:
    return Named(directory.name, artefact_id(directory))


def live(model: Named, shadow: Named | None = None, curve: str = "national") -> str:
    table: dict[Place, Stages] = {(curve, 24): Stages(model, shadow)}
    return table_text(table)


def slot_entry(
    position: int, day: int, hour: int, *, wh: float | None = None, final: bool = True
) -> Entry:
    """A slot's results as they are published: the nation and two tariffs."""
    load = whole_days()[1][day, hour] if wh is None else wh
    parts = {label: round(load * share * 1000) for label, share in SHARES.items()}
    rows = {
        label: SlotResult(value, METERS if final else METERS // 2, METERS, 1, final)
        for label, value in {"nation": sum(parts.values()), **parts}.items()
    }
    text = SlotChange.beginning(0, slot_at(day, hour), SlotRows(rows))
    told = ",".join(f'"{label}":{row.to_json()}' for label, row in rows.items())
    return Entry(position, f"{text}{told}}}}}".encode(), 2**50, b"%d" % position, "slot")


def control_entry(position: int, kind: str, text: str) -> Entry:
    return Entry(position, text.encode(), 2**50, b"%d" % position, kind)


def weather_text(first: int, last: int) -> str:
    """What the temperature was on days of the data, as if it had been said at the first midnight
    of each."""
    temp = whole_days()[2]
    vintages = [
        Vintage(NATION, "temp", slot_at(day) * 3600, slot_at(day) * 3600, 3600, hundredths(t))
        for day, t in ((d, np.concatenate([temp[d], temp[d + 1]])) for d in range(first, last))
    ]
    return WeatherBook().with_(vintages).text()


def scalars(rules: ForecastRules = RULES) -> dict[str, bytes]:
    """What the fence of a log holds that nobody had before."""
    return {name: text.encode() for name, text in first_of(rules).items()}


def a_state(root: Path) -> Forecasts:
    return Forecasts(root, scalars())


def rows_of(state: Forecasts) -> list[ForecastRow]:
    """What the next commit publishes."""
    fields = state.writes().fields
    return [
        ForecastRow.from_json(row)
        for key, of in sorted(fields.items())
        if key.startswith("day:")
        for row in of.values()
    ]
