"""A file of prices as what `PriceBook.with_` adds: rules, colours of days, hourly prices.

.json, .toml      as it is: docs/forecast.md, "Money"
.csv, .parquet    date, colour: announced day colours
                  time, eur_mwh (or eur_kwh): prices of the hours or slots of whole local days
"""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from models.forecast.days import wall_seconds
from models.forecast.prices import micro_eur
from wattstorm.cli.columns import column_of, needed_column, read_table, seconds_of
from wattstorm.errors import DataError, IngestError, UsageError
from wattstorm.files.columns import TIME_NAMES

PRICE_NAMES: Final = {"eur_mwh": 1000, "price_eur_mwh": 1000, "eur_kwh": 1, "price_eur_kwh": 1}
"""Usual names of the column of prices, and how many kWh theirs are for."""
COLOUR_NAMES: Final = ("colour", "color")


def read_news(file: Path, tariff: str, time_zone: str) -> dict[str, Any]:
    """What a file says; tariff: whose prices, if it is a table without that column."""
    if file.suffix not in (".json", ".toml"):
        return _from_table(read_table(file, as_text=True), tariff, time_zone)
    try:
        text = file.read_text("utf-8")
        news = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise IngestError(f"{file} cannot be read: {error}", "give JSON or TOML") from error
    if not isinstance(news, dict):
        raise IngestError(f"{file} holds no table", 'write {"rules": {NAME: RULE}}')
    return dict(json.loads(json.dumps(news, default=str)))  # TOML's dates as text


def _from_table(frame: pl.DataFrame, tariff: str, time_zone: str) -> dict[str, Any]:
    column = "tariff" if "tariff" in frame.columns else ""
    if not (tariff or column):
        raise UsageError("the file does not say whose prices these are", "give --tariff NAME")
    names = frame[column].cast(pl.String).to_list() if column else [tariff] * len(frame)
    colour = column_of(frame, "", COLOUR_NAMES, "")
    if colour:
        days = frame[needed_column(frame, "", ("date", "day"), "a column date")].cast(pl.String)
        news: dict[str, dict[str, Any]] = {}
        for name, day, said in zip(names, days, frame[colour].cast(pl.String), strict=True):
            news.setdefault(name, {})[day] = said
        return {"colours": news}
    time = needed_column(frame, "", TIME_NAMES, "a column of times")
    price = needed_column(frame, "", tuple(PRICE_NAMES), "a column of prices")
    seconds = seconds_of(frame, time, time_zone).to_list()
    prices = [
        _price(text, row, PRICE_NAMES[price.lower()]) for row, text in enumerate(frame[price])
    ]
    series: dict[str, dict[int, int]] = {}
    for name, second, value in zip(names, seconds, prices, strict=True):
        series.setdefault(name, {})[second] = value
    return {
        "hourly": {name: _days(name, held, time_zone) for name, held in series.items()},
        "rules": {name: {"kind": "hourly"} for name in series},
    }


def _price(said: object, row: int, kwh: int) -> int:
    """Millionths of a € per kWh."""
    try:
        return micro_eur(Decimal(str(said)) / kwh)
    except (InvalidOperation, DataError) as error:
        raise IngestError(f"row {row + 1}: {said!r} is no price: {error}") from None


def _days(name: str, prices: dict[int, int], time_zone: str) -> dict[str, list[int]]:
    """By local day, one price for each hour or slot on the clock: where an hour comes twice, the
    mean of both, half to even; where one is left out, the price before it."""
    seconds = np.array(sorted(prices))
    gaps = np.diff(seconds)
    step = int(gaps.min()) if len(gaps) else 3600
    wall = wall_seconds(seconds, time_zone)
    days: dict[str, dict[int, list[int]]] = {}
    for second, at in zip(seconds.tolist(), wall.tolist(), strict=True):
        day = str(np.datetime64(at // 86400, "D"))
        days.setdefault(day, {}).setdefault(at % 86400 // step, []).append(prices[second])
    out = {}
    for day, said in days.items():
        start = int(np.datetime64(day, "D").astype(np.int64)) * 86400
        missing = _missing(start, step, said, time_zone)
        if missing is not None:
            raise IngestError(
                f"prices of {name!r} on {day} lack {missing // 3600:02}:{missing % 3600 // 60:02}",
                "give all of a local day, every hour or every slot",
            )
        whole: list[int] = []
        for place in range(86400 // step):
            both = said.get(place)
            whole.append(round(Decimal(sum(both)) / len(both)) if both else whole[-1])
        out[day] = whole
    return out


def _missing(start: int, step: int, said: dict[int, list[int]], time_zone: str) -> int | None:
    """The first second of the clock's day for which there is no price but should be."""
    around = np.arange(start - 86400, start + 2 * 86400, step, dtype=np.int64)
    there = wall_seconds(around, time_zone) - start
    expected = np.unique(there[(there >= 0) & (there < 86400)] // step)
    gone = [place for place in expected.tolist() if place not in said]
    return gone[0] * step if gone else None
