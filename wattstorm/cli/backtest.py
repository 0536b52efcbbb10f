"""`wattstorm backtest`: how good forecasts of a file's load would have been, day after day."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from models.forecast import artefact, metrics
from models.forecast.backtest import Played, play
from models.forecast.calendar import Floats
from models.forecast.covariates import back, last_known
from models.forecast.days import Table
from models.forecast.forecaster import Forecaster
from models.forecast.model_set import ModelSet
from models.forecast.money import daily_totals
from wattstorm.cli.backtest_report import write_report
from wattstorm.cli.common import say, settings_of
from wattstorm.cli.forecast_options import Chosen, with_series
from wattstorm.cli.forecast_series import FileArgument, Series, UntilOption, training_end
from wattstorm.cli.output import print_json, table
from wattstorm.cli.train import Progress, registry_of
from wattstorm.cli.train_process import Given, train_apart
from wattstorm.errors import UsageError

PERSISTENCE = 0.97
"""Of the noise on the temperature from an hour to the next: forecasts err for hours."""


@with_series
def backtest(
    context: typer.Context,
    file: FileArgument,
    until: UntilOption,
    options: Chosen,
    load: Annotated[str, typer.Option("--load", help="Column of the load or energy.")] = "load",
    model: Annotated[str, typer.Option(help="A model of the registry instead of training.")] = "",
    noise: Annotated[
        float, typer.Option(min=0, help="Deviation in °C added to the test's temperature.")
    ] = 0.0,
    report: Annotated[
        Path | None, typer.Option(help="Directory for report.html and report.json.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """\b
    wattstorm backtest load.parquet --until 2013-12-31 --load mw --temperature celsius

    Trains once on the days up to --until, then forecasts each later day at its issue hour and
    learns it afterwards, as the stream does. Beside it: the load a week and a day before, and the
    additive model as it was fitted. Weather is the file's own, as good as it was when it was
    stored there; --noise makes it worse.
    """
    series = options.series(file, load)
    days = series.table()
    end = training_end(days, until)
    if end >= len(days.days):
        raise UsageError(f"--until {until} leaves no day to test", f"last day: {days.days[-1]}")
    believed, values = series.inputs(days, _noisy(series, days, noise, end))
    if model:
        models = artefact.load(registry_of(settings_of(context)).find(model).directory)
        _check_fits(models, series, days)
    else:
        training = {k: v[:end] for k, v in values.items()}
        calendar, known = series.calendar(days), series.known
        given = Given(days.days[:end], training, believed[:end], calendar, known, options.members())
        found, _ = train_apart(
            *(options.trainer, {load: given}),
            patience=options.patience,
            heard=Progress().heard,
        )
        models = found[load]
    played = play(Forecaster(models), values, believed)
    figures = {
        "weather": "none" if not series.weather else f"of the file, noise {noise} °C",
        "issue_hour": series.issue,
        "trained_to": str(days.days[end - 1]),
        **_figures(models, values, days, played, slice(end, len(days.days))),
    }
    if report is not None:
        write_report(report, figures, days, played, slice(end, len(days.days)))
        say(f"{report / 'report.html'}")
    if json:
        print_json(figures)
    else:
        short = {k: v for k, v in figures.items() if not isinstance(v, list)}
        shown = [(k, f"{v:,.3f}" if isinstance(v, float) else v) for k, v in short.items()]
        print(table(("figure", ">value"), shown))


def _noisy(series: Series, days: Table, noise: float, end: int) -> dict[str, Floats]:
    """The weather, its temperature with persistent noise from day `end` on."""
    weather = {k: days.values[k].copy() for k in series.weather}
    if noise and "temp" in weather:
        random = np.random.default_rng(1)
        keep = PERSISTENCE ** (series.minutes / 60)
        steps = random.normal(size=weather["temp"][end:].size) * np.sqrt(1 - keep**2)
        error = np.empty(steps.size)
        state = 0.0
        for i, step in enumerate(steps.tolist()):
            state = keep * state + step
            error[i] = state
        weather["temp"][end:] += noise * error.reshape(weather["temp"][end:].shape)
    return weather


def _check_fits(models: ModelSet, series: Series, days: Table) -> None:
    """A model of other slots or another issue hour cannot forecast this file."""
    if (models.slots, models.known) != (days.slots, series.known):
        what = f"the model has {models.slots} slots, {models.known} known at issue"
        raise UsageError(what, f"the file and options ask for {days.slots} and {series.known}")


def _figures(
    models: ModelSet, values: dict[str, Floats], days: Table, played: Played, test: slice
) -> dict[str, Any]:
    """Figures of merit over the test days, all over the same slots."""
    load = np.where(days.exists, days.values["load"], np.nan)
    y, point, quantiles = load[test], played.point[test], played.quantiles[:, test]
    lags = models.families.get("lags") or next(iter(models.families.values()))
    fitted = lags.predict(lags.gather(values))[test]
    covered = {s: metrics.coverage(y, quantiles, s) for s in (0.8, 0.9, 0.95)}
    totals = daily_totals(days.values["load"], played.paths, days.days, test)
    return {
        "test_days": test.stop - test.start,
        "mape": metrics.mape(y, point),
        "mape_d7": metrics.mape(y, back(load, 7)[test]),
        "mape_d1": metrics.mape(y, last_known(load, models.known)[test]),
        "mape_as_fitted": metrics.mape(y, fitted),
        # the model as fitted is silent where a lag is unknown: ours over the slots it answers
        "mape_where_fitted": metrics.mape(np.where(np.isfinite(fitted), y, np.nan), point),
        "rmse": metrics.rmse(y, point),
        "bias": metrics.bias(y, point),
        "absolute_share": metrics.absolute_share(y, point),
        "pinball": metrics.pinball(y, quantiles),
        "crps": metrics.crps(y, quantiles),
        **{f"coverage{s * 100:.0f}": c[0] for s, c in covered.items()},
        "coverage90_worst30": covered[0.9][1],
        "width90": metrics.width(y, quantiles, 0.9),
        "eur_coverage90": totals.covered,
        "eur_width90": totals.width,
        "eur_error": totals.error,
        "mape_by_slot": [
            round(metrics.mape(y[:, [s]], point[:, [s]]), 4) for s in range(days.slots)
        ],
    }
