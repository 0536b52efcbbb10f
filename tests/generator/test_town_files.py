"""Files of a town: curves that shards and days cannot change, a register that fits the homes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from generator.town.layers import Layer, Layers
from generator.town.outputs import days_from, write_numpy, write_parquet
from generator.town.register import SHARES, TARIFFS, Shares, external_ids, rows, write_register
from generator.town.town import Town, share_of
from wattstorm.errors import UsageError
from wattstorm.files.meters import build_register
from wattstorm.files.readings import Wanted, read_files

TOWN = Town(seed=11)
CHANGE = days_from(date(2025, 3, 29), date(2025, 3, 31))


def test_a_day_without_an_hour_lacks_its_energy_and_nothing_else() -> None:
    homes = np.arange(500)
    day = TOWN.local_day(homes, date(2025, 3, 30))
    clock = TOWN.generator.curves(homes, [date(2025, 3, 30)])[:, 0]
    assert day.shape == (500, 46)
    assert np.array_equal(np.delete(clock, [4, 5], axis=1), day)
    assert day.sum() == clock.sum(dtype=np.int64) - clock[:, 4:6].sum(dtype=np.int64)


def test_the_hour_that_comes_twice_is_repeated() -> None:
    homes = np.arange(500)
    day = TOWN.local_day(homes, date(2025, 10, 26))
    clock = TOWN.generator.curves(homes, [date(2025, 10, 26)])[:, 0]
    assert day.shape == (500, 50)
    assert np.array_equal(day[:, 4:6], day[:, 6:8])
    assert day.sum() == clock.sum(dtype=np.int64) + clock[:, 4:6].sum(dtype=np.int64)


@pytest.mark.parametrize("parts", [2, 7])
def test_shards_of_parquet_hold_the_rows_of_the_whole(tmp_path: Path, parts: int) -> None:
    write_parquet(TOWN, range(100), CHANGE, tmp_path / "whole.parquet")
    files = []
    for i in range(1, parts + 1):
        files.append(tmp_path / f"{i}.parquet")
        write_parquet(TOWN, range(*share_of(100, i, parts)), CHANGE, files[-1])
    whole = pl.read_parquet(tmp_path / "whole.parquet")
    assert whole.height == 100 * (48 + 46 + 48)
    assert whole["ts_utc"].is_sorted()
    assert pl.concat([pl.read_parquet(f) for f in files]).sort("ts_utc", "meter").equals(whole)


def test_shards_of_numpy_one_after_the_other_are_the_whole(tmp_path: Path) -> None:
    days = days_from(date(2025, 1, 1), date(2025, 1, 9))
    write_numpy(TOWN, range(40, 140), days, tmp_path / "whole.npy")
    for i in (3, 1, 2):
        first, stop = share_of(100, i, 3)
        write_numpy(TOWN, range(40 + first, 40 + stop), days, tmp_path / f"{i}.npy")
    whole = np.load(tmp_path / "whole.npy", mmap_mode="r")
    parts = [np.load(tmp_path / f"{i}.npy") for i in (1, 2, 3)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(whole, TOWN.generator.curves(np.arange(40, 140), days))


def test_any_day_can_be_written_alone(tmp_path: Path) -> None:
    write_parquet(TOWN, range(30), CHANGE, tmp_path / "all.parquet")
    write_parquet(TOWN, range(30), CHANGE[1:2], tmp_path / "one.parquet")
    one = pl.read_parquet(tmp_path / "one.parquet")
    some = pl.read_parquet(tmp_path / "all.parquet").slice(48 * 30, one.height)
    assert some.equals(one)


def test_ingest_reads_the_files_without_sorting(tmp_path: Path) -> None:
    for name in ("c.parquet", "c.csv"):
        write_parquet(TOWN, range(20), CHANGE, tmp_path / name, lambda m: external_ids(11, m))
        source = read_files([tmp_path / name], Wanted())
        assert (source.rows, source.sorted) == (20 * 142, False)
        frame = source.frame.collect()
        assert frame["wh"].sum() == sum(
            int(TOWN.local_day(np.arange(20), day).sum(dtype=np.int64)) for day in CHANGE
        )


def test_a_failed_file_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.xlsx"):
        write_parquet(TOWN, range(5), CHANGE, tmp_path / "c.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_ids_are_fourteen_digits_with_a_key_and_never_twice() -> None:
    ids = external_ids(4, np.arange(300_000))
    assert np.unique(ids).size == ids.size
    assert ((ids >= 10**13) & (ids < 10**14)).all()
    twelve, key = np.divmod(ids, 100)
    assert (key == 97 - twelve % 97).all()
    far = np.array([5, 9_999_999_999, 1_234_567_890])
    assert np.unique(external_ids(4, far) // 100 % 10**10).size == 3


def test_the_register_depends_on_seed_and_meter_alone(tmp_path: Path) -> None:
    whole = rows(TOWN, np.arange(3000))
    parts = [rows(TOWN, part) for part in np.array_split(np.arange(3000), 7)]
    assert pl.concat(parts).equals(whole)
    assert not rows(Town(seed=12), np.arange(3000)).equals(whole)
    write_register(TOWN, 1000, tmp_path / "part.csv", first=500)
    assert pl.read_csv(tmp_path / "part.csv")["external_id"].equals(
        whole["external_id"].slice(500, 1000)
    )


def test_twelve_tariffs_in_the_shares_that_are_stated() -> None:
    found = rows(TOWN, np.arange(60_000))
    assert set(found["tariff"].unique()) == set(TARIFFS)
    option = found["tariff"].str.split("_").list.first()
    for name, share in zip(("base", "offpeak", "tempo", "weekend"), SHARES, strict=True):
        assert (option == name).mean() == pytest.approx(share, abs=0.01)
    only = rows(TOWN, np.arange(2000), Shares((0, 0, 1, 0)))
    assert set(only["tariff"].unique()) <= {"tempo_9", "tempo_12"}
    with pytest.raises(UsageError, match="add up to 1"):
        Shares((0.5, 0.5, 0.5, 0))


@pytest.mark.parametrize("layers", [None, Layers(off_peak=0.4, car=0.3, solar=0.3)])
@pytest.mark.parametrize("engine", ["block", "chain"])
def test_contracted_power_holds_every_slot(engine: str, layers: Layers | None) -> None:
    town, homes = Town(seed=5, engine=engine, layers=layers), np.arange(4000)
    power = rows(town, homes)["contracted_power_va"].to_numpy()
    for day in (date(2025, 1, 14), date(2025, 3, 30), date(2025, 7, 5), date(2025, 12, 25)):
        peak = np.abs(town.local_day(homes, day).astype(np.int64)).max(axis=1)
        assert (peak * 2 <= power).all()


def test_producers_and_off_peak_homes_are_those_of_the_layers() -> None:
    layers, homes = Layers(off_peak=0.4, solar=0.1), np.arange(5000)
    town = Town(seed=5, layers=layers)
    found, flags = rows(town, homes), layers.flags(5, homes)
    assert np.array_equal(found["producer"].to_numpy(), (flags & Layer.SOLAR) != 0)
    off = found["tariff"].str.starts_with("offpeak").to_numpy()
    assert np.array_equal(off, (flags & Layer.OFF_PEAK) != 0)
    assert (town.local_day(homes, date(2025, 7, 1)) < 0).any()


def test_neighbours_are_in_one_region() -> None:
    regions = rows(TOWN, np.arange(5000))["region"].to_numpy().reshape(-1, 500)
    assert (regions == regions[:, :1]).all()


def test_the_register_can_be_built(tmp_path: Path) -> None:
    write_register(TOWN, 2000, tmp_path / "town.parquet")
    built = build_register([tmp_path / "town.parquet"], tmp_path / "register")
    assert np.array_equal(built.lookup(external_ids(11, np.arange(2000))), np.arange(2000))
