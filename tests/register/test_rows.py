"""What source files may look like, and every refusal with its row."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.register.cases import built, everything, row, source
from wattstorm.errors import RegisterError, WattstormError
from wattstorm.files.meters import build_register
from wattstorm.register.register import Register


def test_defaults_fill_what_a_file_leaves_out(tmp_path: Path) -> None:
    """Without region, producer and valid_from: 'all', no producer, valid for ever."""
    register = built(tmp_path, [row(7)])
    assert register.regions == ("all",)
    assert everything(register, [0]) == [[7], [("base", "all", 6000, False)]]
    assert everything(register, [-1])[1] == [None]
    assert [register.epoch_on(day) for day in (-1, 0, 30_000)] == [0, 1, 1]


def test_the_types_of_a_file_do_not_matter(tmp_path: Path) -> None:
    """Text, categories, whole floats, stamps and flags in any usual spelling: one register."""
    base = row(12, "base", 6000, region="north", producer=True, valid_from=date(2020, 2, 29))
    spellings: list[tuple[str, pl.DataFrame]] = [
        ("a.parquet", pl.DataFrame([base])),
        ("b.parquet", pl.DataFrame([{**base, "external_id": "12"}])),
        ("c.parquet", pl.DataFrame([{**base, "valid_from": datetime(2020, 2, 29)}])),
        ("d.parquet", pl.DataFrame([{**base, "contracted_power_va": 6000.0, "producer": 1}])),
        ("e.parquet", pl.DataFrame([base]).cast({"tariff": pl.Categorical})),
        ("f.csv", pl.DataFrame([{**base, "external_id": " 12 ", "producer": "YES"}])),
        ("g.csv", pl.DataFrame([{**base, "contracted_power_va": "6000.0"}])),
    ]
    for name, frame in spellings:
        path = tmp_path / name
        frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
        register = build_register([path], tmp_path / "register")
        assert register.version == 1, name
        assert everything(register, [18_320, 18_321]) == [
            [12],
            [None],
            [("base", "north", 6000, True)],
        ], name


def test_several_files_are_one_build(tmp_path: Path) -> None:
    """Dense indices go on from file to file; a refusal counts rows within its own file."""
    a = source(tmp_path, [row(5), row(3)], "a.csv")
    b = source(tmp_path, [row(9), row(3, valid_from="2020-01-01", power=9000)], "b.parquet")
    register = build_register([a, b], tmp_path / "register")
    assert register.external_ids(0, 3).tolist() == [5, 3, 9]
    c = source(tmp_path, [row(1), row(3)], "c.csv")
    with pytest.raises(RegisterError, match=r"c\.csv, line 3, id 3: .* after a\.csv, line 3, id 3"):
        build_register([a, b, c], tmp_path / "other")


def test_rows_are_counted_across_the_chunks_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file read in pieces of ten rows names row 25 by the line that it stands on."""
    monkeypatch.setattr("wattstorm.files.meters.CHUNK_ROWS", 10)
    rows = [row(k, f"t{k // 10}") for k in range(1, 31)]
    assert built(tmp_path, rows).count == 30
    rows[24]["contracted_power_va"] = -1
    with pytest.raises(RegisterError, match=r"line 26, id 25: contracted_power_va '-1'"):
        build_register([source(tmp_path, rows)], tmp_path / "other")


# ---------------------------------------------------------------- refusals

REFUSED = {
    "a blank inside": (row("21 4"), "external_id '21 4' is no id of 1 to 40 letters"),
    "41 letters": (row("x" * 41), "external_id 'x*' is no id of 1 to 40 letters"),
    "an accent": (row("é"), "external_id 'é' is no id"),
    "no id": (row(None), r"external_id \(empty\) is no id"),
    "empty tariff": (row(8, " "), r"tariff \(empty\) names no tariff"),
    "no tariff": (row(8, None), r"tariff \(empty\) names no tariff"),
    "negative power": (row(8, power=-6000), "contracted_power_va '-6000' is not a whole number"),
    "half a VA": (row(8, power=0.5), "contracted_power_va '0.5' is not a whole number of VA"),
    "power above 32 bits": (row(8, power=2**32), "'4294967296' is not a whole .* to 4294967295"),
    "no power": (row(8, power=None), r"contracted_power_va \(empty\) is not"),
    "power that is no number": (row(8, power="nan"), "contracted_power_va 'nan' is not"),
    "no such day": (row(8, valid_from="2023-02-29"), "valid_from '2023-02-29' is no date"),
    "other date format": (row(8, valid_from="01/02/2023"), "'01/02/2023' is no date.*YYYY-MM-DD"),
    "before 1970": (row(8, valid_from="1969-12-31"), "no date from 1970-01-01 to 2099-12-31"),
    "after 2099": (row(8, valid_from="2100-01-01"), "no date from 1970-01-01 to 2099-12-31"),
    "unclear flag": (row(8, producer="maybe"), "producer 'maybe' is neither true nor false"),
}


@pytest.mark.parametrize("bad", REFUSED)
def test_a_bad_cell_is_refused_with_its_row(tmp_path: Path, bad: str) -> None:
    """The message names file, row, id, value, limit and remedy; nothing is written."""
    cells, message = REFUSED[bad]
    good = {"region": "all", "producer": "false", "valid_from": "1970-01-01"}
    rows = [{**good, **{k: str(v) for k, v in row(1).items()}}]
    rows.append({**good, **{k: None if v is None else str(v) for k, v in cells.items()}})
    with pytest.raises(RegisterError, match=rf"meters\.csv, line 3, id .*{message}") as caught:
        built(tmp_path, rows)
    assert caught.value.remedy
    with pytest.raises(RegisterError, match="holds no register"):
        Register.open(tmp_path / "register")


TYPED_REFUSED = {
    "number above 18 digits": (row(10**18), "external_id 1000000000000000000 is no id"),
    "negative power": (row(8, power=-1), "contracted_power_va -1 is not a whole number"),
    "infinite power": (row(8, power=float("inf")), "contracted_power_va inf is not"),
    "ids as floats": (row(8.0), "column external_id is Float64; store it as whole numbers"),
    "days as numbers": (row(8, valid_from=20), "column valid_from is Int64; store it as dates"),
    "tariff as flag": (row(8, True), "column tariff is Boolean; store it as text"),
    "power as flag": (row(8, power=True), "column contracted_power_va is Boolean"),
    "producer as float": (row(8, producer=0.5), "column producer is Float64"),
}


@pytest.mark.parametrize("bad", TYPED_REFUSED)
def test_a_bad_typed_cell_is_refused_too(tmp_path: Path, bad: str) -> None:
    """Parquet brings its own types: values are checked, unusable types named."""
    cells, message = TYPED_REFUSED[bad]
    with pytest.raises(RegisterError, match=message):
        built(tmp_path, [cells], "meters.parquet")


@pytest.mark.parametrize("power", [6000, 9000])
def test_the_same_id_twice_from_one_day_is_refused(tmp_path: Path, power: int) -> None:
    """Equal or not, the later row is named with the earlier one."""
    with pytest.raises(
        RegisterError,
        match=r"line 4, id 1: valid_from 1970-01-01 a second time, after meters\.csv, line 2, id 1",
    ):
        built(tmp_path, [row(1), row(2), row(1, power=power), row(2)])


def test_a_tariff_outside_the_list_is_refused(tmp_path: Path) -> None:
    """With a list of tariffs only its names pass, known ones included."""
    assert built(tmp_path, [row(1), row(2, "peak")], tariffs=["peak", "base"]).count == 2
    message = r"line 3, id 4: tariff 'tempo' is none of base, peak; correct the row, or add"
    with pytest.raises(RegisterError, match=message):
        built(tmp_path, [row(3), row(4, "tempo")], tariffs=["base", "peak"])
    with pytest.raises(RegisterError, match="tariff 'peak' is none of base"):
        built(tmp_path, [row(3), row(4, "peak")], tariffs=["base"])


@pytest.mark.parametrize("column", ["tariff", "region"])
def test_more_names_than_the_stream_takes_are_refused(tmp_path: Path, column: str) -> None:
    """127 tariffs or regions pass, the 128th is named with its row, also in an extension."""
    rows = [{**row(k, region="all"), column: f"name_{k}"} for k in range(127)]
    register = built(tmp_path, rows)
    assert len(register.counts(0)) == len(register.tariffs)
    assert everything(register, [0])[1][-1] is not None
    message = f"line 2, id 300: 'name_300' would be {column} number 128, a register holds 127"
    with pytest.raises(RegisterError, match=message):
        built(tmp_path, [{**row(300, region="all"), column: "name_300"}])


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    """Missing, cut short, of another kind, without a column, empty, or none at all."""
    whole = source(tmp_path, [row(1)], "whole.parquet")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])
    (tmp_path / "meters.xlsx").write_text("x")
    (tmp_path / "meters.docx").write_text("x")
    (tmp_path / "bars.csv").write_text("external_id~tariff~contracted_power_va\n1~a~3\n")
    (tmp_path / "ragged.csv").write_text("external_id,tariff,contracted_power_va\n1,a,3,4,5\n")
    (tmp_path / "nothing.csv").write_text("external_id,tariff,contracted_power_va\n")
    for name, message in {
        "absent.csv": r"absent\.csv is not there",
        "cut.parquet": r"cut\.parquet cannot be read: ",
        "meters.xlsx": r"meters\.xlsx cannot be read: ",
        "meters.docx": "is of no kind that is read",
        "bars.csv": "has no column external_id, tariff, contracted_power_va, only",
        "ragged.csv": r"ragged\.csv, line 2, id 1: more cells than the header names, '4'.*quote",
        "nothing.csv": r"no rows in .*nothing\.csv; a register needs a meter",
    }.items():
        with pytest.raises(WattstormError, match=message):
            build_register([tmp_path / name], tmp_path / "register")
    with pytest.raises(RegisterError, match="no source file"):
        build_register([], tmp_path / "register")
