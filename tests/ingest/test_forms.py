"""Whatever a utility's files look like: their readings to the Wh, or a refusal that says why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.ingest import forms
from tests.ingest.forms import IDS, PARIS, Form, parquet, rows, text, truth
from wattstorm.errors import WattstormError
from wattstorm.files.columns import Wanted
from wattstorm.files.readings import Memory, read_files
from wattstorm.files.tables import Form as TextForm
from wattstorm.ingest.from_files import origins_of

NAIVE = "{m},{at:%Y-%m-%d %H:%M},{kwh}"
OF_PARIS = {"time_zone": "Europe/Paris"}
EXACT: dict[str, Form] = {
    "plain Parquet": (parquet(lambda f: f), {}),
    "Parquet of another zone": (
        parquet(lambda f: f.with_columns(pl.col("ts_utc").dt.convert_time_zone("Asia/Tokyo"))),
        {},
    ),
    "naive Parquet": (
        parquet(lambda f: f.with_columns(pl.col("ts_utc").dt.replace_time_zone(None))),
        {"time_zone": "UTC"},
    ),
    "Float32": (parquet(lambda f: f.with_columns(pl.col("kwh").cast(pl.Float32))), {}),
    "whole Wh": (
        parquet(
            lambda f: f.select("meter", "ts_utc", wh=(pl.col("kwh") * 1000).round().cast(pl.Int32))
        ),
        {},
    ),
    "CSV": (text("r.csv"), {}),
    "offsets": (text("r.csv", "{m},{iso},{kwh}", zone=PARIS), {}),
    "naive local time": (text("r.csv", NAIVE, zone=PARIS), OF_PARIS),
    "semicolons and decimal commas": (
        text("r.csv", "{m};{at:%Y-%m-%dT%H:%MZ};{kwh}", "meter;time;kwh", comma=True),
        {},
    ),
    "a quoted decimal comma": (text("r.csv", '{m},{at:%Y-%m-%dT%H:%MZ},"{kwh}"', comma=True), {}),
    "a mark of UTF-8": (text("r.csv", encoding="utf-8-sig"), {}),
    "Latin-1": (
        text("r.csv", "{m},{iso},{kwh},Orléans", "meter,time,kwh,commune", encoding="latin-1"),
        {},
    ),
    "UTF-16": (text("r.txt", "{m}\t{iso}\t{kwh}", "meter\ttime\tkwh", encoding="utf-16"), {}),
    "tabs": (text("r.tsv", "{m}\t{iso}\t{kwh}", "meter\ttime\tkwh"), {}),
    "a separator that was said": (
        text("r.csv", "{m}~{iso}~{kwh}", "meter~time~kwh"),
        {"form": TextForm("~")},
    ),
    "a separator at the end of each line": (
        text("r.csv", "{m};{iso};{kwh};", "meter;time;kwh;"),
        {},
    ),
    "gzip": (text("r.csv.gz"), {}),
    "a workbook": (forms.excel, OF_PARIS),
    "a directory with an empty day": (forms.folder, {}),
    "a quoted glob": (lambda d: forms.folder(d) / "*.csv*", {}),
    "seconds": (text("r.csv", "{m},{e},{kwh}"), {}),
    "milliseconds": (text("r.csv", "{m},{e}000,{kwh}"), {}),
    "sorted by meter": (text("r.csv", shuffle=True), {}),
    "French names": (
        text("r.csv", "{m};{at:%Y-%m-%d %H:%M};{wh}", "PDL;debut;valeur", zone=PARIS),
        {"meter": "PDL", "time": "debut", "energy": "valeur", "unit": "Wh", **OF_PARIS},
    ),
    "days before months": (
        text("r.csv", "{m},{at:%d/%m/%Y %H:%M},{kwh}", zone=PARIS),
        {"time_format": "%d/%m/%Y %H:%M", **OF_PARIS},
    ),
    "a workbook's days": (
        text("r.csv", "{m},{x:.9f},{kwh}", zone=PARIS),
        {"time_format": "excel", **OF_PARIS},
    ),
    "day and time apart": (
        text("r.csv", "{m};{at:%Y-%m-%d};{at:%H:%M};{wh}", "PRM;Date;Heure;Wh", zone=PARIS),
        OF_PARIS,
    ),
    "the slots' ends": (text("r.csv", shift=30), {"stamps": "end"}),
    "a column a meter": (forms.wide, {"wide": True, "unit": "kWh"}),
}


def read(path: Path, **wanted: Any) -> pl.DataFrame:
    wanted = {"slot_minutes": 30, "local_zone": "Europe/Paris", **wanted}
    return read_files([path], Wanted(**wanted)).frame.collect()


def said(found: pl.DataFrame) -> dict[tuple[int, int], int]:
    assert found.select(pl.col("at").is_sorted()).item()
    assert not found["wrong"].sum()
    return dict(zip(found.select("id", "at").iter_rows(), found["wh"].to_list(), strict=True))


@pytest.mark.parametrize("form", EXACT)
def test_every_form_gives_the_same_readings(form: str, tmp_path: Path) -> None:
    write, wanted = EXACT[form]
    found = read(write(tmp_path), **wanted)
    assert len(found) == len(rows())
    assert said(found) == truth()


QUARTERS = rows(192, 15)
HOURS = rows(47, 60)
REFUSED: dict[str, tuple[Any, dict[str, Any], int, str]] = {
    "quarters of an hour": (text("r.csv", of=QUARTERS), {}, 4, "every 15 minutes.*--sum"),
    "hours": (text("r.csv", of=HOURS), {}, 4, "every 60 minutes.*--spread.*SLOT_MINUTES=60"),
    "twenty minutes": (text("r.csv", of=rows(90, 20)), {}, 4, "every 20 minutes.*resample"),
    "ends of slots": (text("r.csv", shift=30), {}, 2, "00:30 to 2025-03-31 00:00.*--stamps end"),
    "another unit than the name's": (text("r.csv"), {"unit": "Wh"}, 2, "--unit Wh, but .*'kwh'"),
    "two energies": (
        text("r.csv", "{m},{iso},{kwh},{wh}", "meter,time,kwh,wh"),
        {},
        2,
        "2 columns of energy: kwh, wh; .*--energy-column",
    ),
    "kWh called Wh": (
        text("r.csv", header="meter,time,value"),
        {"energy": "value", "unit": "Wh"},
        2,
        r"energies in Wh have fractions: 1\.013, .*--unit kWh",
    ),
    "no offset": (
        text("r.csv", NAIVE),
        {},
        2,
        "the first is 2025-03-28 23:00 in row 1.*--time-z",
    ),
    "days before months": (
        text("r.csv", "{m},{at:%d/%m/%Y %H:%M},{kwh}"),
        OF_PARIS,
        4,
        "first is '28/03/2025 23:00' in column 'time'; .*--time-format '%d/%m/%Y %H:%M'",
    ),
    "a workbook's days": (text("r.csv", "{m},{x},{kwh}"), OF_PARIS, 4, "--time-format excel"),
    "a wide file": (forms.wide, {}, 2, "none of the columns meter"),
    "no such file": (lambda d: d / "r.csv", {}, 2, "is not there"),
    "no such separator": (text("r.csv"), {"form": TextForm("<>")}, 2, "it is one character"),
    "something else": (text("r.docx"), {}, 4, "of no kind that is read"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_would_be_wrong_is_refused_with_its_remedy(form: str, tmp_path: Path) -> None:
    write, wanted, code, message = REFUSED[form]
    with pytest.raises(WattstormError, match=message) as refused:
        read(write(tmp_path), **wanted)
    assert refused.value.exit_code == code


def test_finer_readings_are_added_up_where_each_part_is_there(tmp_path: Path) -> None:
    """A slot with a part missing, or twice with other values, is set aside whole."""
    missing = QUARTERS[7]
    other = (QUARTERS[20][0], QUARTERS[20][1], 1 + QUARTERS[20][2])
    file = text("r.csv", of=[r for r in QUARTERS if r != missing] + [other, QUARTERS[30]])(tmp_path)
    found = read(file, interval="sum")
    sums: dict[tuple[int, int], int] = {}
    for (meter, at), wh in truth(QUARTERS).items():
        start = at - at % 1_800_000_000
        sums[meter, start] = sums.get((meter, start), 0) + wh
    wrong = found.filter(pl.col("wrong") > 0)
    assert wrong["wh"].null_count() == len(wrong) == 2
    spoilt = {
        (meter, us - us % 1_800_000_000)
        for meter, at, _ in (missing, other)
        for us in [int(at.timestamp()) * 1_000_000]
    }
    assert said(found.filter(pl.col("wrong") == 0)) == {
        key: wh for key, wh in sums.items() if key not in spoilt
    }


def test_coarser_readings_are_shared_to_the_wh(tmp_path: Path) -> None:
    found = said(read(text("r.csv", of=HOURS)(tmp_path), interval="spread"))
    assert len(found) == 2 * len(HOURS)
    for (meter, at), wh in truth(HOURS).items():
        first, second = found[meter, at], found[meter, at + 1_800_000_000]
        assert (first + second, first - second in (0, 1)) == (wh, True)


def test_hours_that_are_rightly_alone_can_be_said_to_be(tmp_path: Path) -> None:
    assert said(read(text("r.csv", of=HOURS)(tmp_path), interval="sparse")) == truth(HOURS)


def test_a_few_rows_of_a_correction_are_no_interval(tmp_path: Path) -> None:
    """Half a dozen rows a day apart say nothing about the slots."""
    few = [(IDS[0], forms.FIRST + timedelta(days=i), i) for i in range(6)]
    assert said(read(text("r.csv", of=few)(tmp_path))) == truth(few)


def test_cells_beyond_the_header_cost_their_row(tmp_path: Path) -> None:
    """An unquoted decimal comma: the row is set aside as it stands, nothing is cut off."""
    file = tmp_path / "r.csv"
    file.write_text(
        "meter,time,kwh\n"
        f"{IDS[0]},2025-03-29T00:00Z,0.5\n\n{IDS[0]},2025-03-29T00:30Z,1,234\n"
        f"{IDS[0]},2025-03-29T01:00Z,2.5,\n"
    )
    found = read(file)
    assert found["wh"].to_list() == [500, None, 2500]
    assert found["wrong"].to_list() == [0, 16, 0]
    assert found["row"].to_list() == [1, 3, 4]
    assert found["raw_energy"][1] == "1 | 234"


AUTUMN = [
    (meter, datetime(2025, 10, 25, 22, tzinfo=UTC) + timedelta(minutes=30 * i), 10 * i + m)
    for m, meter in enumerate(IDS)
    for i in range(50)
]


def test_autumns_two_equal_hours_are_told_apart_by_their_order(tmp_path: Path) -> None:
    file = text("r.csv", NAIVE, of=AUTUMN, zone=PARIS)(tmp_path)
    assert said(read(file, ambiguous="order", **OF_PARIS)) == truth(AUTUMN)
    refused = read(file, **OF_PARIS)["at"].null_count()
    assert refused == 4 * len(IDS)


def test_a_file_of_one_meter_needs_no_column_for_it(tmp_path: Path) -> None:
    of = [row for row in rows() if row[0] == IDS[0]]
    file = text("r.csv", "{iso},{kwh}", "Start,Consumption (kWh)", of=of)(tmp_path)
    assert said(read(file, meter_id=str(IDS[0]))) == truth(of)


def test_a_column_called_version_is_taken(tmp_path: Path) -> None:
    """An empty cell of it is version 0; --version N stands for all of them."""
    file = tmp_path / "r.csv"
    file.write_text(f"meter,time,kwh,Version\n{IDS[0]},1743200000,1,2\n{IDS[0]},1743200000,1,\n")
    assert read(file)["version"].to_list() == [2, 0]
    assert read(file, constant_version=7)["version"].to_list() == [7, 7]


@pytest.mark.parametrize("name", ["r.csv", "r.parquet"])
@pytest.mark.parametrize("room", [0, 1_000_000])
def test_files_that_memory_has_no_room_for_are_read_again(
    name: str, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows either way; what a refused row said is kept, a good one's as it was read."""
    monkeypatch.setattr("wattstorm.files.readings.Memory", lambda: Memory(room))
    frame = forms.frame().with_columns(
        kwh=pl.when(pl.col("meter") == IDS[1]).then(float("nan")).otherwise("kwh")
    )
    path = tmp_path / name
    frame.write_parquet(path) if name.endswith("parquet") else frame.write_csv(
        path, datetime_format="%Y-%m-%dT%H:%M:%SZ"
    )
    source = read_files([path], Wanted(slot_minutes=30, local_zone="Europe/Paris"))
    found = source.frame.collect()
    good = found.filter(pl.col("wh").is_not_null())
    expected = {key: wh for key, wh in truth().items() if key[0] != IDS[1]}
    assert said(good) == expected
    (_, first), (place, second) = origins_of(found, source.files)([0, 1])
    assert place == f"{path}:2"
    assert json.loads(second)[0] == str(IDS[1])
    assert json.loads(second)[2] == "NaN"
    assert json.loads(first)[:2] == [str(IDS[0]), "2025-03-28T23:00:00Z"]
