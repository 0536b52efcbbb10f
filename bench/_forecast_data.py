"""What `bench.forecast` is measured on: tables of days with their training and test periods."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from models.forecast.calendar import Calendar
from models.forecast.covariates import covariates
from models.forecast.days import by_day
from models.forecast.trainers.holiday_dates import holiday_dates

Floats = npt.NDArray[np.float64]
PARIS = "Europe/Paris"


@dataclass
class Case:
    """Days in a row, float64[days, slots]. train, test: which days. judged: what counts in the
    test. rival: the operator's own forecast where there is one."""

    name: str
    days: npt.NDArray[np.datetime64]
    load: Floats
    weather: dict[str, Floats]
    country: tuple[str, str]
    split: str
    end: str
    judged: npt.NDArray[np.bool_]
    rival: Floats | None = None
    overrides: dict[str, Floats] | None = None

    @property
    def train(self) -> slice:
        return slice(0, int((self.days < np.datetime64(self.split)).sum()))

    @property
    def test(self) -> slice:
        return slice(self.train.stop, int((self.days < np.datetime64(self.end)).sum()))

    @property
    def calendar(self) -> Calendar:
        years = self.days[[0, -1]].astype("datetime64[Y]").astype(int) + 1970
        return Calendar(holiday_dates(*self.country, int(years[0]) - 1, int(years[1]) + 1))

    def values(self, known: int) -> dict[str, Floats]:
        out = covariates(self.days, self.load, self.weather, self.calendar, known)
        return out | (self.overrides or {})


def _seconds(frame: pl.DataFrame) -> npt.NDArray[np.int64]:
    return frame["ts_utc"].dt.epoch("s").to_numpy().astype(np.int64)


def _column(frame: pl.DataFrame, name: str) -> Floats:
    return frame[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def victoria(data: Path) -> Case:
    """Half-hours of Victoria. Its labels are an hour off in winter: rows count, 48 a local day."""
    frame = pl.read_parquet(data / "vic_elec_30min.parquet")
    load = _column(frame, "demand_mw").reshape(-1, 48)
    days = np.arange("2012-01-01", "2015-01-01", dtype="datetime64[D]")
    weather = {"temp": _column(frame, "temp_c").reshape(-1, 48)}
    every = np.ones(load.shape, bool)
    return Case("vic", days, load, weather, ("AU", "VIC"), "2014-01-01", "2015-01-01", every)


def france(data: Path) -> Case:
    """Hours of France, archived weather forecasts of ten cities, and RTE's forecast of the eve."""
    frame = pl.read_parquet(data / "fr_load_hourly_2021_2024.parquet").with_columns(
        pl.mean_horizontal("^cloud_pct_.*$").alias("cloud"),
        pl.mean_horizontal("^wind_kmh_.*$").alias("wind"),
    )
    names = {"load": "load_mw", "temp": "temp_c_mean10", "cloud": "cloud", "wind": "wind"}
    names["rival"] = "rte_day_ahead_forecast_mw"
    table = by_day(_seconds(frame), {k: _column(frame, v) for k, v in names.items()}, PARIS, 60)
    load, rival = table.values.pop("load"), table.values.pop("rival")
    return Case(
        *("fr", table.days, load, table.values, ("FR", ""), "2023-01-01", "2025-01-01"),
        table.exists & np.isfinite(load),
        rival,
    )


def france_at_20h(data: Path) -> Case:
    """France at 20:00 UTC, a value a day; loads of the days left out are known as others' lags."""
    frame = pl.read_parquet(data / "fr_daily20h_2013_2021.parquet")
    row_days = frame["ts_utc"].dt.date().to_numpy().astype("datetime64[D]")
    days = np.arange(row_days[0], row_days[-1] + 1)
    at = (row_days - days[0]).astype(np.int64)

    def table(name: str) -> Floats:
        out = np.full((len(days), 1), np.nan)
        out[at, 0] = _column(frame, name)
        return out

    own = table("Load")
    load = own.copy()
    for column, back in (("Load.48", 1), ("Load.336", 7)):
        before = at - back
        load[before[before >= 0], 0] = _column(frame, column)[before >= 0]
    load[at, 0] = own[at, 0]
    given = {"temp_fast": "s95", "temp_slow": "s99", "temp_min": "s99_min", "temp_max": "s99_max"}
    return Case(
        *("fr20h", days, load, {"temp": table("T_national")}, ("FR", "")),
        *("2020-01-06", "2021-05-01"),
        np.isfinite(own),
        table("Forecast_RTE_dayahead"),
        {k: table(f"T_national_{v}") for k, v in given.items()},
    )


def regions(data: Path) -> list[Case]:
    """The twelve regions by half-hours, and their sum last, its weather weighted by load."""
    frame = pl.read_parquet(data / "fr_regions_30min_2016_2017.parquet")
    frame = frame.with_columns(pl.col("region").cast(pl.String))
    cases = []
    for (name,), part in sorted(frame.group_by("region")):
        names = {"load": "load_mw", "temp": "temp_c", "cloud": "cloud_pct"}
        table = by_day(_seconds(part), {k: _column(part, v) for k, v in names.items()}, PARIS, 30)
        load = table.values.pop("load")
        cases.append(
            Case(
                *(str(name), table.days, load, table.values, ("FR", "")),
                *("2017-10-01", "2018-01-01"),
                table.exists & np.isfinite(load),
            )
        )
    first = cases[0]
    share = [float(np.nanmean(c.load[c.train])) for c in cases]
    total = sum(share)
    weather = {
        k: sum(
            (c.weather[k] * s / total for c, s in zip(cases, share, strict=True)), 0.0 * first.load
        )
        for k in first.weather
    }
    load = np.sum([c.load for c in cases], axis=0)
    judged = np.all([c.judged for c in cases], axis=0)
    whole = Case("nation", first.days, load, weather, ("FR", ""), first.split, first.end, judged)
    return [*cases, whole]


def homes(data: Path, count: int) -> Case:
    """The sum of the `count` homes with the longest records, in W; no weather."""
    frame = pl.read_parquet(data / "sgsc_households_30min.parquet")
    frame = frame.with_columns(pl.col("meter_id").cast(pl.String))
    start, end = np.datetime64("2012-08-01"), np.datetime64("2013-12-01")
    inside = frame.filter(pl.col("ts_utc").is_between(start, end))
    chosen = inside.group_by("meter_id").len().sort("len", "meter_id", descending=True)
    part = inside.filter(pl.col("meter_id").is_in(chosen["meter_id"].head(count).to_list()))
    mean = part.group_by("ts_utc").agg(pl.col("kwh").mean().cast(pl.Float64)).sort("ts_utc")
    table = by_day(_seconds(mean), {"load": _column(mean, "kwh") * 2000 * count}, "Etc/GMT-10", 30)
    load = table.values["load"]
    split = str(table.days[int(len(load) * 0.6)])
    return Case(
        *(f"homes_{count}", table.days, load, {}, ("AU", "NSW"), split, str(table.days[-1])),
        np.isfinite(load),
    )
