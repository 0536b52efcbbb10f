"""`wattstorm generate fit | validate`: models of real homes, and how real their homes are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattstorm.cli.common import say, settings_of
from wattstorm.cli.output import print_json, table
from wattstorm.errors import UsageError
from wattstorm.files.readings import Wanted

if TYPE_CHECKING:
    from generator.model.homes import Homes

Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="FILE...")]
ZoneOption = Annotated[
    str, typer.Option("--time-zone", help="Of the homes; else setting stream.time_zone.")
]
MeterOption = Annotated[str, typer.Option(help="Column of the home's id.")]
TimeOption = Annotated[str, typer.Option(help="Column of the slot's start.")]
EnergyOption = Annotated[str, typer.Option(help="Column of the slot's energy.")]
UnitOption = Annotated[str, typer.Option(help="kWh or Wh; else by the column's name.")]
DESIGNS = ("twin", "new-homes")


def fit(
    context: typer.Context,
    files: Files,
    out: Annotated[Path, typer.Option("--out", help="Directory for the model.")],
    time_zone: ZoneOption = "",
    minutes: Annotated[int, typer.Option(help="Length of a slot: 10, 15, 30 or 60.")] = 30,
    licence: Annotated[str, typer.Option(help="Of the data, for the model's card.")] = "not stated",
    source: Annotated[str, typer.Option(help="Of the data; else the files' names.")] = "",
    seed: Annotated[int, typer.Option(min=0)] = 1,
    meter_column: MeterOption = "",
    time_column: TimeOption = "",
    energy_column: EnergyOption = "",
    unit: UnitOption = "",
) -> None:
    """\b
    wattstorm generate fit homes.parquet --out model --time-zone Australia/Sydney
    wattstorm generate curves day.parquet --model model --from 2025-01-14

    A model of real homes, from readings in the formats of `wattstorm ingest`: every 10 to 60
    minutes, some weeks or more. Homes that nothing can be learnt from are set aside and counted.
    """
    from generator.model.fit import fit as fit_model

    homes = _read(
        context, files, time_zone, minutes, meter_column, time_column, energy_column, unit
    )
    model = fit_model(
        homes,
        seed=seed,
        licence=licence,
        say=say,
        source=source or ", ".join(path.name for path in files),
    )
    card = model.save(out)
    aside = ", ".join(f"{n} {reason}" for reason, n in homes.aside.items()) or "none"
    say(f"{out}: {card['homes']} homes, {card['bytes'] / 2**20:.1f} MB; set aside: {aside}")


def validate(
    context: typer.Context,
    files: Files,
    synthetic: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Judge these homes; nothing is fitted."),
    ] = None,
    design: Annotated[str, typer.Option(help="twin or new-homes.")] = "twin",
    splits: Annotated[int, typer.Option(min=1, help="Halvings of the homes.")] = 5,
    out: Annotated[Path | None, typer.Option(help="Directory for the report.")] = None,
    time_zone: ZoneOption = "",
    minutes: Annotated[int, typer.Option(help="Length of a slot: 10, 15, 30 or 60.")] = 30,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    meter_column: MeterOption = "",
    time_column: TimeOption = "",
    energy_column: EnergyOption = "",
    unit: UnitOption = "",
) -> None:
    """\b
    wattstorm generate validate homes.parquet --time-zone Australia/Sydney --out report
    wattstorm generate validate homes.parquet --design new-homes --splits 12 --json
    wattstorm generate validate homes.parquet --synthetic week.parquet --out report

    Fits on a part of real homes and judges what is drawn against the rest, beside the floor (real
    against real) and the classical generators; or judges homes out of files, whoever made them.
    twin: fitted on the odd weeks, judged on the even ones of the same homes; new-homes: fitted on
    one half of the homes, judged on the other. Needs scikit-learn.
    """
    if design not in DESIGNS:
        raise UsageError(f"design {design!r}", f"take {' or '.join(DESIGNS)}")
    try:
        from generator.judge import report as reports
        from generator.judge import validate as judge
    except ImportError as error:
        raise UsageError(f"validation needs {error.name}", "pip install scikit-learn") from error
    columns = (time_zone, minutes, meter_column, time_column, energy_column, unit)
    homes = _read(context, files, *columns)
    if synthetic:
        theirs = _read(context, synthetic, time_zone, minutes, "", "", "", "")
        found = judge.against(homes, theirs, splits, seed=seed, say=say)
    else:
        run = judge.twin if design == "twin" else judge.new_homes
        found = run(homes, splits, seed=seed, say=say)
    if out is not None:
        say(f"report {reports.write(found, out)}")
    if as_json:
        print_json(found["figures"])
        return
    names = list(found["table"])
    rows = [
        (key, *(_cell(found["table"][name].get(key)) for name in names))
        for key in sorted({key for name in names for key in found["table"][name]})
    ]
    print(table((f"{found['design']}, {found['splits']} splits", *(f">{n}" for n in names)), rows))


def _read(
    context: typer.Context,
    files: list[Path],
    time_zone: str,
    minutes: int,
    meter: str,
    time: str,
    energy: str,
    unit: str,
) -> Homes:
    from generator.model.homes import read_homes

    zone = time_zone or settings_of(context).stream.time_zone
    wanted = Wanted(meter, time, energy, unit, "", zone)
    return read_homes(files, zone, minutes=minutes, wanted=wanted)


def _cell(value: tuple[float, float] | None) -> str:
    return "" if value is None else f"{value[0]:.3f} ± {value[1]:.3f}"
