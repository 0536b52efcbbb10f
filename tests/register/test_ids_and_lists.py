"""Ids of any form, and lists of meters with all their mistakes told at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.register.cases import Row, built, row, source
from wattstorm.errors import RegisterError
from wattstorm.files.ids import keys_of
from wattstorm.files.meters import Meaning, build_register
from wattstorm.register.register import Register

IDS = (
    "21000010006414",  # a French PRM
    "01234567890123",  # one with its zero, and the same without: two meters
    "1234567890123",
    "1012345678901",  # a British MPAN
    "NMI4001AB9",  # Australian
    "541448860000000123",  # EAN-18
    "ES0021000000000001JN0F",  # a Spanish CUPS
    "DE0001230000000000000000000012345",  # 33 characters
    "ab-1/2_3",
    "AB-1/2_3",
)


def test_ids_of_any_form_are_found_again_and_shown_as_they_stand(tmp_path: Path) -> None:
    """From text and from numbers; in a later version, too; what is not there is not found."""
    register = built(tmp_path, [row(meter) for meter in IDS[:6]])
    register = built(tmp_path, [row(meter) for meter in IDS[3:]], "more.parquet")
    assert register.version == 2
    assert [register.meter(i) for i in range(register.count)] == list(IDS)
    asked = pl.Series([*IDS[::-1], "X", "0", "00", None, "a b"])
    dense = register.lookup(keys_of(asked).fill_null(2**63).to_numpy())
    assert dense.tolist() == [*range(len(IDS) - 1, -1, -1), -1, -1, -1, -1, -1]
    again = Register.open(tmp_path / "register", 1)
    assert [again.meter(i) for i in range(again.count)] == list(IDS[:6])
    assert built(tmp_path, [row(IDS[7])]).version == 2
    numbers = register.lookup(np.array([21000010006414, 541448860000000123], np.uint64))
    assert numbers.tolist() == [0, 5]


def test_a_text_id_is_named_in_every_refusal(tmp_path: Path) -> None:
    with pytest.raises(RegisterError, match=r"line 4, id NMI4: valid_from .* after .*id NMI4"):
        built(tmp_path, [row("NMI4"), row(1), row("NMI4", power=9000)])


def test_two_ids_of_one_key_are_refused_not_made_one_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the hash were worse than it is."""
    monkeypatch.setattr(
        "wattstorm.files.ids.keys_of",
        lambda texts: pl.Series([2**62] * len(texts), dtype=pl.UInt64),
    )
    with pytest.raises(RegisterError, match="line 3, id B2 cannot be told from id A1"):
        built(tmp_path, [row("A1"), row("B2")])


def test_all_mistakes_of_a_list_are_told_at_once(tmp_path: Path) -> None:
    """Twenty with their lines, the others counted, over files and chunks."""
    rows: list[Row] = [
        row(k, "" if k % 2 else "base", "x" if k == 4 else 6000) for k in range(1, 60)
    ]
    with pytest.raises(RegisterError) as caught:
        built(tmp_path, rows, tariffs=["peak"])
    lines = caught.value.what.splitlines()
    assert lines[0] == "31 cells are refused:"
    assert lines[1].strip() == "meters.csv, line 2, id 1: tariff (empty) names no tariff"
    assert "meters.csv, line 5, id 4: contracted_power_va 'x' is not a whole number" in lines[3]
    assert (len(lines), lines[-1].strip()) == (22, "… and 11 more")
    assert not (tmp_path / "register" / "card.json").exists()


def test_columns_that_nobody_knows_are_named_and_near_misses_refused(tmp_path: Path) -> None:
    said: list[str] = []
    file = source(tmp_path, [row(1, Region="north", notes="x", town="y")])
    register = build_register([file], tmp_path / "register", say=said.append)
    assert register.regions == ("north",)
    assert said == [
        "meters.csv: not used: notes, town",
        "1 rows: 1 new meters, 0 changes, 0 as known",
    ]
    with pytest.raises(RegisterError, match="column 'valid_form'; did you mean valid_from"):
        built(tmp_path, [row(1, valid_form="2020-01-01")])


def test_a_build_says_what_is_new_what_changed_and_what_was_known(tmp_path: Path) -> None:
    said: list[str] = []
    built(tmp_path, [row(1), row(2)])
    rows = [row(1), row(2, power=9000, valid_from="2024-01-01"), row(3)]
    file = source(tmp_path, [{"valid_from": None, **r} for r in rows])
    build_register([file], tmp_path / "register", say=said.append)
    assert said == ["3 rows: 1 new meters, 1 changes, 1 as known"]


def test_kilovolt_amperes_are_not_taken_for_volt_amperes(tmp_path: Path) -> None:
    rows = [row(1, power=6), row(2, power=9), row(3, power="36")]
    with pytest.raises(RegisterError, match=r"500 in 3 of 3 rows, such as 6:.*-unit kVA"):
        built(tmp_path, rows)
    kva = build_register(
        [source(tmp_path, rows)], tmp_path / "register", meaning=Meaning(power_unit="kVA")
    )
    assert kva.columns(0, 3, 20_000).power_va.tolist() == [6000, 9000, 36_000]
    named = [{"external_id": 4, "tariff": "base", "contracted_power_kVA": 4.5}]
    assert built(tmp_path, named).columns(3, 4, 20_000).power_va.tolist() == [4500]
    assert built(tmp_path, [row(5, power=6)], meaning=Meaning(power_unit="VA")).count == 5


def test_a_list_is_read_as_readings_are(tmp_path: Path) -> None:
    """Semicolons, Latin-1, tabs, UTF-16, a workbook with dates."""
    lines = "external_id;tariff;contracted_power_va;region;valid_from\n7;base;6000;Île;2024-01-01\n"
    workbook = tmp_path / "a.xlsx"
    for name, data in {
        "a.csv": lines.encode("latin-1"),
        "b.tsv": lines.replace(";", "\t").encode(),
        "c.txt": lines.replace(";", "\t").encode("utf-16"),
        "d.csv": lines.replace("2024-01-01", "2024-01-01 00:00:00").encode(),
    }.items():
        (tmp_path / name).write_bytes(data)
    pl.read_csv(tmp_path / "d.csv", separator=";", try_parse_dates=True).write_excel(workbook)
    for path in (*sorted(tmp_path.glob("[a-d].*")),):
        register = build_register([path], tmp_path / "register")
        assert (register.version, register.regions, register.count) == (1, ("Île",), 1), path
