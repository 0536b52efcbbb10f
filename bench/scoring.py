"""How fast compiled models score and learn, and whether they say what their trainers said.

    python -m bench.scoring --data DIR [--json] [--trainers mgcv,pygam,statsmodels]

Twelve additive models × 48 slots in one pass, from covariates; beside it mgcv's own predict through
rpy2 for twelve models of 48 rows, in the same run. One slot that closes: filters, mixture, gate and
intervals of 13 curves learn it. Equality: the greatest relative difference from each trainer's own
predictions, on slots of vic_elec. DIR holds vic_elec_30min.parquet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench._arguments import parse
from bench._forecast_data import victoria
from bench._report import as_json, heading, row
from models.forecast.compiled import Bank, Compiled
from models.forecast.forecaster import Forecaster
from models.forecast.formula import GAMS
from models.forecast.model_set import ModelSet
from models.forecast.trainers.compiling import train
from models.forecast.trainers.training import train_set, trainer_named, training_days

Floats = npt.NDArray[np.float64]
MODELS, CURVES, SLOTS = 12, 13, [6, 20, 36, 44]


def microseconds(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Median and 99th percentile."""
    for _ in range(min(50, times)):
        call()
    spent = np.empty(times)
    for i in range(times):
        start = time.perf_counter_ns()
        call()
        spent[i] = time.perf_counter_ns() - start
    return float(np.median(spent)) / 1e3, float(np.percentile(spent, 99)) / 1e3


def widened(model: Compiled, slots: int) -> Compiled:
    """A model of a few slots, its slots repeated to a day's."""
    take = np.arange(slots) % model.slots
    parts = ("constant", "low", "width", "pieces", "mean", "deviation", "sd")
    return replace(model, **{p: getattr(model, p)[take] for p in parts})


def mgcv_predict(values: dict[str, Floats], load: Floats, train_on: slice) -> float:
    """Microseconds for mgcv through rpy2 to predict twelve models' 48 rows, data already in R."""
    import rpy2.robjects as robjects

    trainer_named("mgcv")
    names = ("temp", "temp_fast", "temp_slow", "toy", "lag_day", "lag_week")
    there = np.isfinite(load[train_on, 0])
    for name in names:
        there &= np.isfinite(values[name][train_on, 0])
        robjects.globalenv[name] = robjects.FloatVector(values[name][train_on, 0])
    robjects.globalenv["y"] = robjects.FloatVector(load[train_on, 0])
    terms = " + ".join(f's({n}, k=10, bs="cr")' for n in names[:3]) + " + lag_day + lag_week"
    robjects.r(f'm <- mgcv::bam(y ~ {terms} + s(toy, k=13, bs="cc"), discrete=TRUE)')
    columns = ", ".join(f"{n} = {n}[100:147]" for n in names)
    robjects.r(f"d <- data.frame({columns})")
    call = robjects.r(f"function() for (i in 1:{MODELS}) predict(m, newdata = d)")
    return microseconds(call, 20)[0]


def learning(models: ModelSet, values: dict[str, Floats], load: Floats) -> tuple[float, float]:
    """Microseconds for one slot that closes, 13 curves."""
    curves = [Forecaster(models) for _ in range(CURVES)]
    spent = []
    for day in range(400, 412):
        for curve in curves:
            curve.forecast(day, {k: v[day] for k, v in values.items()})
        for slot in range(models.slots):
            closed = np.where(np.arange(models.slots) == slot, load[day], np.nan)
            start = time.perf_counter_ns()
            for curve in curves:
                curve.learn(day, closed)
            spent.append(time.perf_counter_ns() - start)
    return float(np.median(spent)) / 1e3, float(np.percentile(spent, 99)) / 1e3


def main() -> None:
    given = parse(__doc__, data="data", trainers="mgcv,pygam,statsmodels")
    heading("scoring and learning: numpy alone")
    case, figures = victoria(Path(given.data)), {}
    whole = case.values(48)
    values, load = {k: v[:, SLOTS] for k, v in whole.items()}, case.load[:, SLOTS]
    days = training_days(values, case.train)

    def say(name: str, value: float, unit: str) -> None:
        figures[name] = value
        row(name, value, unit)

    formula = tuple(t for t in GAMS["lags"] if t.x in values)
    compiled = None
    for name in given.trainers.split(","):
        model, reference = train(trainer_named(name), formula, days, load[case.train])
        rows = range(reference["x"].shape[1])
        said = np.stack([model.predict(reference["x"][:, i]) for i in rows], axis=1)
        off = float(np.abs(said / reference["expected"] - 1).max())
        figures[f"equals_{name}"] = off
        print(f"  {'equals_' + name:<36} {off:>12.1e} greatest relative difference", flush=True)
        compiled = compiled or model
    assert compiled is not None
    one = widened(compiled, 48)
    models = [replace(one, constant=one.constant * (1 + i / 100)) for i in range(MODELS)]
    bank = Bank(models)
    x = one.gather({k: v[400] for k, v in whole.items()})
    median, late = microseconds(lambda: bank.predict(x), 3000)
    say("score_us", median, "µs, 12 models × 48 slots, median")
    say("score_p99_us", late, "µs, 99 of 100 are below")
    single = Bank([replace(m, **_first_slot(m)) for m in models])
    say(
        "score_row_us",
        microseconds(lambda: single.predict(x[:1]), 3000)[0],
        "µs, 12 models × 1 slot",
    )
    if "mgcv" in given.trainers:
        r = mgcv_predict(whole, case.load, case.train)
        say("mgcv_rpy2_us", r, "µs, mgcv through rpy2, 12 × 48 rows")
        say("times_faster_than_mgcv", r / median, "times")
    few = train_set(days, load[case.train], case.calendar, 4, trainer_named("pygam"))
    families = {k: _spread(m) for k, m in few.families.items()}
    median, late = learning(replace(few, slots=48, known=48, families=families), whole, case.load)
    say("slot_update_us", median, "µs, one slot, 13 curves, median")
    say("slot_update_p99_us", late, "µs, 99 of 100 are below")
    if given.json:
        print(as_json(figures))


def _first_slot(model: Compiled) -> dict[str, Floats]:
    parts = ("constant", "low", "width", "pieces", "mean", "deviation", "sd")
    return {p: getattr(model, p)[:1] for p in parts}


def _spread(model: object) -> object:
    """A family of a few slots repeated to 48: speed does not depend on the numbers."""
    if isinstance(model, Compiled):
        return widened(model, 48)
    take = np.arange(48) % len(model.constant)  # type: ignore[attr-defined]
    parts = ("beta", "constant", "mean", "deviation", "sd")
    return replace(model, **{p: getattr(model, p)[take] for p in parts})  # type: ignore[type-var]


if __name__ == "__main__":
    main()
