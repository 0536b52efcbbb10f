"""Forecasts of a day ahead on real load: fitted once on the training period, then learning.

    python -m bench.forecast --data DIR [--only vic,fr_00,fr_12,fr20h,regions,homes] [--json]
                             [--trainer mgcv|pygam|statsmodels] [--keep DIR]

Beside each: the load a week and a day before, the additive model as fitted, LightGBM fitted once,
and the operator's forecast where it exists, over the same slots. Weather is what the files hold:
realised (vic, fr20h, regions), archived forecasts (fr). Nothing is learned from the test period but
what a stream would know by then. --keep: fitted models are kept in DIR and used again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench._arguments import parse
from bench._forecast_data import Case, france, france_at_20h, homes, regions, victoria
from bench._forecast_rivals import boosted, last_day, last_week
from bench._report import Figure, as_json, heading, row
from models.forecast import artefact, metrics
from models.forecast.backtest import Played, play
from models.forecast.forecaster import Forecaster
from models.forecast.model_set import ModelSet
from models.forecast.money import daily_totals
from models.forecast.trainers.training import train_set, trainer_named, training_days

Floats = npt.NDArray[np.float64]
LOCKDOWN = np.datetime64("2020-03-16"), np.datetime64("2020-05-11")


class Bench:
    """Cases measured one after the other; figures by name."""

    def __init__(self, trainer: str, keep: str) -> None:
        self.figures: dict[str, Figure] = {}
        self._trainer, self._keep = trainer, keep

    def say(self, name: str, value: Figure, unit: str = "% MAPE") -> None:
        self.figures[name] = value
        row(name, value, unit)

    def models(self, case: Case, values: dict[str, Floats], known: int) -> ModelSet:
        """Fitted on the case's training days, or kept from an earlier run."""
        place = Path(self._keep) / f"{case.name}_{known}_{self._trainer}" if self._keep else None
        if place is not None and (place / artefact.CARD).exists():
            return artefact.load(place)
        trainer = trainer_named(self._trainer)
        days = training_days(values, case.train)
        models = train_set(days, case.load[case.train], case.calendar, known, trainer)
        if place is not None:
            artefact.save(models, place)
        return models

    def played(self, case: Case, known: int) -> tuple[Played, Floats, ModelSet, dict[str, Floats]]:
        """The case played through; the load that is judged, NaN elsewhere, over all days."""
        values = case.values(known)
        models = self.models(case, values, known)
        judged = np.where(case.judged, case.load, np.nan)
        return play(Forecaster(models), values, case.load), judged, models, values

    def beside(
        self, name: str, case: Case, models: ModelSet, values: dict[str, Floats], y: Floats
    ) -> None:
        """The rivals over the same slots."""
        test = case.test
        static = {k: models.families[k] for k in ("lags", "free") if k in models.families}
        best = next(iter(static.values()))
        self.say(f"{name}_d7_mape", metrics.mape(y[test], last_week(case.load)[test]))
        self.say(f"{name}_d1_mape", metrics.mape(y[test], last_day(case.load, models.known)[test]))
        self.say(
            f"{name}_static_mape", metrics.mape(y[test], best.predict(best.gather(values))[test])
        )
        trees = boosted(values, case.load, case.train)
        self.say(f"{name}_lightgbm_mape", metrics.mape(y[test], trees[test]))
        if case.rival is not None:
            self.say(f"{name}_operator_mape", metrics.mape(y[test], case.rival[test]))

    def intervals(self, name: str, y: Floats, played: Played, test: slice) -> None:
        quantiles = played.quantiles[:, test]
        for share in (0.8, 0.9, 0.95):
            whole, worst = metrics.coverage(y[test], quantiles, share)
            self.say(f"{name}_coverage{share * 100:.0f}", whole, "% covered")
            if share == 0.9:
                self.say(f"{name}_coverage90_worst30", worst, "% covered, worst 30 days")
        self.say(f"{name}_width90", metrics.width(y[test], quantiles, 0.9), "% of load")
        self.say(f"{name}_pinball", metrics.pinball(y[test], quantiles), "% of load")
        self.say(f"{name}_crps", metrics.crps(y[test], quantiles), "% of load")

    def curve(self, name: str, case: Case, known: int, intervals: bool = True) -> Played:
        """One case at one issue time, beside its rivals."""
        played, y, models, values = self.played(case, known)
        test = case.test
        self.say(f"{name}_mape", metrics.mape(y[test], played.point[test]))
        self.say(f"{name}_rmse", metrics.rmse(y[test], played.point[test]), "MW RMSE")
        self.say(f"{name}_bias", metrics.bias(y[test], played.point[test]), "MW too high")
        self.beside(name, case, models, values, y)
        if intervals:
            self.intervals(name, y, played, test)
        return played


def victoria_2014(bench: Bench, data: Path) -> None:
    bench.curve("vic_2014", victoria(data), 48)


def france_00(bench: Bench, data: Path) -> None:
    case = france(data)
    played = bench.curve("fr_00", case, 24)
    got = daily_totals(case.load, played.paths, case.days, case.test)
    bench.say("fr_00_eur_coverage90", got.covered, "% of days' totals in €")
    bench.say("fr_00_eur_width90", got.width, "% of the total")
    bench.say("fr_00_eur_error", got.error, "% of the total")


def france_12(bench: Bench, data: Path) -> None:
    bench.curve("fr_12", france(data), 12)


def france_20h(bench: Bench, data: Path) -> None:
    case = france_at_20h(data)
    played, y, models, values = bench.played(case, 1)
    bench.say("fr20h_mape", metrics.mape(y[case.test], played.point[case.test]))
    days = (case.days >= LOCKDOWN[0]) & (case.days < LOCKDOWN[1])
    bench.say("fr20h_lockdown_mape", metrics.mape(y[days], played.point[days]))
    bench.beside("fr20h", case, models, values, y)


def twelve_regions(bench: Bench, data: Path) -> None:
    *parts, nation = regions(data)
    sums, errors = np.zeros_like(nation.load), []
    for case in parts:
        played, y, _, _ = bench.played(case, 48)
        sums += played.point
        errors.append(metrics.mape(y[case.test], played.point[case.test]))
    bench.say("fr_regions_mean_mape", float(np.mean(errors)))
    played, y, models, values = bench.played(nation, 48)
    test = nation.test
    bench.say("fr_regions_top_mape", metrics.mape(y[test], played.point[test]))
    bench.say("fr_regions_bottom_up_mape", metrics.mape(y[test], sums[test]))
    both = (played.point + sums) / 2
    bench.say("fr_regions_national_mape", metrics.mape(y[test], both[test]))
    bench.beside("fr_regions_national", nation, models, values, y)


def small_groups(bench: Bench, data: Path) -> None:
    for count in (10, 36):
        case = homes(data, count)
        played, y, _, _ = bench.played(case, 48)
        ours = metrics.absolute_share(y[case.test], played.point[case.test])
        week = metrics.absolute_share(y[case.test], last_week(case.load)[case.test])
        bench.say(f"homes_{count}_error", ours, "% of energy, sum of |error|")
        bench.say(f"homes_{count}_d7_error", week, "% of energy, sum of |error|")
        bench.say(f"homes_{count}_gain", 100 * (1 - ours / week), "% less than a week before")


CASES = {
    "vic": victoria_2014,
    "fr_00": france_00,
    "fr_12": france_12,
    "fr20h": france_20h,
    "regions": twelve_regions,
    "homes": small_groups,
}


def main() -> None:
    given = parse(__doc__, data="data", only=",".join(CASES), trainer="mgcv", keep="")
    heading(f"forecasts of a day ahead, fitted once by {given.trainer}, then learning")
    bench = Bench(given.trainer, given.keep)
    for name in given.only.split(","):
        CASES[name](bench, Path(given.data))
    if given.json:
        print(as_json(bench.figures))


if __name__ == "__main__":
    main()
