"""`wattstorm sax words`: files of readings → a word for each meter and day, as columns."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import typer

from wattstorm.cli.common import say, settings_of
from wattstorm.errors import IngestError, UsageError
from wattstorm.files.readings import Wanted, scan_readings
from wattstorm.metering.slots import LocalCalendar, SlotGrid, clock_places, date_of_day_number

app = typer.Typer(help="Curves as words: SAX.", no_args_is_help=True, rich_markup_mode=None)
SCALES: Final = ("curve", "home")
BREAKPOINTS: Final = ("gaussian", "learned")


@app.callback()
def _group() -> None:
    """SAX: a day's curve as a word, a letter for each stretch of the day (docs/sax.md)."""


@app.command("words", short_help="A word for each meter and day.")
def words(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="FILE...")],
    out: Annotated[
        Path | None, typer.Option("--out", help=".parquet or .csv; else CSV on stdout.")
    ] = None,
    segments: Annotated[int, typer.Option(min=1, max=16, help="Letters of a word.")] = 12,
    alphabet: Annotated[int, typer.Option(min=2, max=15, help="Different letters.")] = 8,
    scale: Annotated[
        str, typer.Option(help="curve (each day by itself) or home (its level shows).")
    ] = "curve",
    breakpoints: Annotated[str, typer.Option(help="gaussian or learned.")] = "gaussian",
    time_zone: Annotated[
        str, typer.Option("--time-zone", help="Of the days; else setting stream.time_zone.")
    ] = "",
    minutes: Annotated[int, typer.Option(help="Length of a slot: 10, 15, 30 or 60.")] = 30,
    meter_column: Annotated[str, typer.Option(help="Column of the meter's id.")] = "",
    time_column: Annotated[str, typer.Option(help="Column of the slot's start.")] = "",
    energy_column: Annotated[str, typer.Option(help="Column of the slot's energy.")] = "",
    unit: Annotated[str, typer.Option(help="kWh or Wh; else by the column's name.")] = "",
) -> None:
    """\b
    wattstorm sax words homes.parquet --out words.parquet --time-zone Australia/Sydney
    wattstorm sax words homes.parquet --scale home --breakpoints learned --segments 8 | head

    Columns: meter, date (local), slots (readings seen), word (letters, a the lowest, a point where
    a stretch has no reading), packed (the word as a number, four bits a letter). Letters stand for
    stretches of the wall clock on days of 46 and 50 half hours, too.
    """
    for name, value, known in (("scale", scale, SCALES), ("breakpoints", breakpoints, BREAKPOINTS)):
        if value not in known:
            raise UsageError(f"{name} {value!r}", f"take {' or '.join(known)}")
    if out is not None and out.suffix not in (".parquet", ".csv"):
        raise UsageError(f"{out} ends in {out.suffix!r}", "write a .parquet or .csv file")
    zone = time_zone or settings_of(context).stream.time_zone
    wanted = Wanted(meter_column, time_column, energy_column, unit, "", zone)
    calendar = LocalCalendar(SlotGrid(minutes), zone)
    meters, days, curves = read_days(files, wanted, calendar)
    spelled = _words(curves, meters, segments, alphabet, scale == "home", breakpoints == "learned")
    frame = _frame(meters, days, curves, spelled, segments)
    if out is None:
        sys.stdout.write(frame.write_csv())
    else:
        frame.write_parquet(out) if out.suffix == ".parquet" else frame.write_csv(out)
    different = len(np.unique(spelled))
    say(f"{out or 'stdout'}: {len(frame):,} days, {different:,} different words")


def read_days(
    files: list[Path], wanted: Wanted, calendar: LocalCalendar
) -> tuple[pl.Series, npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """(meter of each day, day numbers int32[n], Wh float32[n, slots of the wall clock]).

    NaN where there is no reading; of a repeated hour the mean; finer readings are summed.
    """
    seconds = calendar.grid.seconds
    frames = [
        scan_readings(path, i, wanted).select(
            pl.col("raw_meter").alias("meter"), pl.col("at") // 1_000_000, "wh"
        )
        for i, path in enumerate(files)
    ]
    rows = (
        pl.concat(frames)
        .drop_nulls()
        .unique(["meter", "at"], keep="last")
        .group_by("meter", (pl.col("at") // seconds).cast(pl.Int32).alias("slot"))
        .agg(pl.col("wh").sum())
        .sort("meter", "slot")
        .collect()
    )
    if not rows.height:
        raise IngestError(f"no reading in {', '.join(map(str, files))}", "see wattstorm ingest -h")
    slots = rows["slot"].to_numpy()
    day = calendar.dates_of(slots)
    rows = rows.with_columns(
        pl.Series("day", day), pl.Series("place", _places(slots, day, calendar))
    )
    means = rows.group_by("meter", "day", "place", maintain_order=True).agg(pl.col("wh").mean())
    keys = means.select("meter", "day").unique(maintain_order=True)
    at = (means["meter"].rle_id().cast(pl.Int64) * (1 << 32) + means["day"]).rle_id().to_numpy()
    curves = np.full((keys.height, calendar.grid.per_day), np.nan, np.float32)
    curves[at, means["place"].to_numpy()] = means["wh"].to_numpy()
    return keys["meter"], keys["day"].to_numpy(), curves


def _places(
    slots: npt.NDArray[Any], day: npt.NDArray[np.int32], calendar: LocalCalendar
) -> npt.NDArray[np.int16]:
    """int16[n], which slot of the wall clock each reading is of."""
    numbers, at = np.unique(day, return_inverse=True)
    starts = [calendar.day_slots(date_of_day_number(n)).start for n in numbers]
    places = np.zeros((len(numbers), calendar.grid.per_day + 8), np.int16)
    for i, number in enumerate(numbers):
        found = clock_places(calendar, int(number))
        places[i, : len(found)] = found
    return np.asarray(places[at, slots - np.array(starts)[at]])


def _words(
    curves: npt.NDArray[np.float32],
    meters: pl.Series,
    segments: int,
    alphabet: int,
    by_home: bool,
    learned: bool,
) -> npt.NDArray[np.uint64]:
    from models import sax, sax_numpy
    from models.alphabet import learned_breakpoints
    from models.household import HouseholdScale

    if by_home:
        home = meters.rle_id().to_numpy().astype(np.int64)
        scale = HouseholdScale.learn(curves, home, segments, alphabet, learned=learned)
        return scale.words(curves, home, segments)
    if not learned:
        return sax.words(curves, segments, alphabet)
    base = sax_numpy.curve_scale(curves)
    z = (sax.paa(curves, segments) - base[:, :1]) / base[:, 1:]
    return sax.words(curves, segments, alphabet, breakpoints=learned_breakpoints(z, alphabet))


def _frame(
    meters: pl.Series,
    days: npt.NDArray[np.int32],
    curves: npt.NDArray[np.float32],
    spelled: npt.NDArray[np.uint64],
    segments: int,
) -> pl.DataFrame:
    from models.sax import symbols

    letters = np.frombuffer(b"abcdefghijklmno.", np.uint8)[symbols(spelled, segments)]
    text = np.ascontiguousarray(letters).view(f"S{segments}").ravel().astype(str)
    return pl.DataFrame(
        {
            "meter": meters,
            "date": pl.Series(days).cast(pl.Date),
            "slots": (~np.isnan(curves)).sum(axis=1).astype(np.int16),
            "word": text,
            "packed": spelled,
        }
    )
