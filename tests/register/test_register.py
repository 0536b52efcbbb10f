"""The meter register against a plain dictionary: versions, extensions, scale."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.register.cases import built, everything, row
from wattstorm.errors import RegisterError
from wattstorm.files.meters import build_register
from wattstorm.register.arrays import date_of
from wattstorm.register.register import Register

LAST_DAY = 47_481  # 2099-12-31


# ---------------------------------------------------------------- the model


class Model:
    """What a register should say, with dictionaries: id → {day: entry}."""

    def __init__(self) -> None:
        self.entries: dict[int, dict[int, tuple[str, str, int, bool]]] = {}

    def takes(self, rows: list[tuple[int, int, tuple[str, str, int, bool]]]) -> bool:
        """Apply the rows, or change nothing and say False."""
        new = {meter: dict(days) for meter, days in self.entries.items()}
        seen = set()
        for meter, day, entry in rows:
            if (meter, day) in seen:
                return False
            seen.add((meter, day))
            settled = self.entries.get(meter, {})
            if settled and day <= max(settled):
                if self.on(meter, day) != entry:
                    return False
            else:
                new.setdefault(meter, {})[day] = entry
        self.entries = new
        return True

    def on(self, meter: int, day: int) -> tuple[str, str, int, bool] | None:
        due = [d for d in self.entries.get(meter, {}) if d <= day]
        return self.entries[meter][max(due)] if due else None

    def said(self, days: list[int]) -> list[Any]:
        return [list(self.entries), *([self.on(m, d) for m in self.entries] for d in days)]


meters = st.integers(0, 12) | st.integers(10**14 - 3, 10**14 - 1)
entries = st.tuples(
    st.sampled_from(["base", "peak", "tempo"]),
    st.sampled_from(["north", "south"]),
    st.sampled_from([0, 6000, 2**32 - 1]),
    st.booleans(),
)
days = st.integers(0, 9) | st.sampled_from([20_000, LAST_DAY])
builds = st.lists(
    st.lists(st.tuples(meters, days, entries), min_size=1, max_size=12), min_size=1, max_size=5
)
PROBES = [-1, *range(11), 19_999, 20_000, LAST_DAY - 1, LAST_DAY, LAST_DAY + 10_000]


@settings(max_examples=150)
@given(builds, st.sampled_from([".csv", ".parquet"]))
def test_a_register_says_what_a_dictionary_says(
    parts: list[list[tuple[int, int, tuple[str, str, int, bool]]]], kind: str
) -> None:
    """Any builds, accepted or refused: same ids, same order, same entries on every day."""
    model, register = Model(), None
    with tempfile.TemporaryDirectory() as folder:
        for number, rows in enumerate(parts):
            cells = [
                row(meter, tariff, power, region=region, producer=producer, valid_from=date_of(day))
                for meter, day, (tariff, region, power, producer) in rows
            ]
            if not model.takes(rows):
                with pytest.raises(RegisterError, match=r"(line|row) \d"):
                    built(Path(folder), cells, f"{number}{kind}")
                continue
            before = register
            register = built(Path(folder), cells, f"{number}{kind}")
            if before is not None:
                assert register.tariffs[: len(before.tariffs)] == before.tariffs
                assert register.regions[: len(before.regions)] == before.regions
                assert register.partition_size == before.partition_size
            assert everything(register, PROBES) == model.said(PROBES)
            check_lookup_counts_and_epochs(register, model)
            register.verify()


def check_lookup_counts_and_epochs(register: Register, model: Model) -> None:
    asked = [*range(16), *range(10**14 - 5, 10**14 + 3), 2**64 - 1]
    place = {meter: i for i, meter in enumerate(model.entries)}
    found = register.lookup(np.array(asked, np.uint64))
    assert found.dtype == np.int32
    assert found.tolist() == [place.get(meter, -1) for meter in asked]
    said: dict[int, Any] = {}
    for day in PROBES:
        on = Counter(e[:2] for m in model.entries if (e := model.on(m, day)))
        assert register.counts(day).tolist() == [
            [on[t, r] for r in register.regions] for t in register.tariffs
        ]
        columns = everything(register, [day])
        assert said.setdefault(register.epoch_on(day), columns) == columns


# ---------------------------------------------------------------- partitions and extension


def test_partitions_are_fixed_by_the_first_build(tmp_path: Path) -> None:
    """An eighth of the first build by default; later builds keep it and add partitions."""
    register = built(tmp_path, [row(k) for k in range(17)])
    assert (register.partition_size, register.partitions) == (3, 6)
    register = built(tmp_path, [row(k) for k in range(100)])
    assert (register.partition_size, register.partitions, register.count) == (3, 34, 100)
    with pytest.raises(RegisterError, match="partition_size 9, but the register was built with 3"):
        built(tmp_path, [row(1)], partition_size=9)
    with pytest.raises(RegisterError, match="partition_size 0; a partition holds one meter"):
        built(tmp_path, [row(1)], partition_size=0)


def test_an_extension_renumbers_nothing_and_leaves_readers_alone(tmp_path: Path) -> None:
    """Old indices and codes stay; a register opened before still says what it said."""
    old = built(tmp_path, [row(10, "base"), row(20, "peak")])
    said, inodes = everything(old, [0, 18_262]), file_ids(tmp_path)
    new = built(
        tmp_path, [row(5, "tempo"), row(10, "peak", valid_from="2020-01-01"), row(20, "peak")]
    )
    assert new.external_ids(0, 3).tolist() == [10, 20, 5]
    assert new.tariffs == ("base", "peak", "tempo")
    assert [t for t, *_ in everything(new, [18_261])[1]] == ["base", "peak", "tempo"]
    assert [t for t, *_ in everything(new, [18_262])[1]] == ["peak", "peak", "tempo"]
    assert (old.version, new.version) == (1, 2)
    assert everything(old, [0, 18_262]) == said
    assert old.lookup(np.array([5, 20])).tolist() == [-1, 1]
    assert inodes < file_ids(tmp_path)


def file_ids(folder: Path) -> set[int]:
    return {path.stat().st_ino for path in (folder / "register").glob("version-*/ids.npy")}


def test_rows_that_say_nothing_new_write_nothing(tmp_path: Path) -> None:
    """The same file again: same version, same files."""
    rows = [row(10), row(20), row(10, "peak", valid_from="2020-01-01")]
    first, before = built(tmp_path, rows), file_ids(tmp_path)
    again = built(tmp_path, rows[::-1])
    assert again.version == first.version == 1
    assert file_ids(tmp_path) == before


def test_a_change_of_tariff_shares_the_files_it_does_not_touch(tmp_path: Path) -> None:
    """Ids and index of the new version are the old version's files."""
    built(tmp_path, [row(10), row(20)])
    before = file_ids(tmp_path)
    register = built(tmp_path, [row(10, "peak", valid_from="2020-01-01")])
    assert register.version == 2
    assert file_ids(tmp_path) == before
    register.verify()


def test_the_settled_past_cannot_change(tmp_path: Path) -> None:
    """Another value on a known day, between known days, or before the first: refused."""
    rows = [row(1, valid_from="2020-01-01"), row(1, "peak", valid_from="2022-01-01")]
    built(tmp_path, rows)
    for day, has in {
        "2020-01-01": "has tariff 'base', region 'all', 6000 VA, no producer",
        "2021-06-01": "has tariff 'base'",
        "2022-01-01": "has tariff 'peak'",
        "2019-12-31": "knows the meter only from 2020-01-01 on",
    }.items():
        with pytest.raises(RegisterError, match=rf"line 3, id 1: valid_from {day} .*{has}.*2022"):
            built(tmp_path, [row(2), row(1, "tempo", valid_from=day)])
    assert built(tmp_path, [row(1, "base", valid_from="2021-06-01")]).version == 1


def test_a_repeated_entry_settles_its_day(tmp_path: Path) -> None:
    """A yearly dump that repeats an entry adds no change, but its day is settled from then on."""
    built(tmp_path, [row(1)])
    register = built(tmp_path, [row(1, valid_from="2020-01-01")])
    assert (register.card["changes"], register.version) == (0, 2)
    with pytest.raises(RegisterError, match="date the change after 2020-01-01"):
        built(tmp_path, [row(1, "peak", valid_from="2020-01-01")])
    assert built(tmp_path, [row(1, "peak", valid_from="2020-01-02")]).card["changes"] == 1


def test_slices_and_ids_out_of_range_are_named(tmp_path: Path) -> None:
    """A slice beyond the register or ids of another type are errors, not empty answers."""
    register = built(tmp_path, [row(1), row(2)])
    for first, stop in [(-1, 1), (0, 3), (2, 1)]:
        with pytest.raises(RegisterError, match=f"{first} to {stop} of a register of 2 meters"):
            register.columns(first, stop, 0)
        with pytest.raises(RegisterError, match="ask for 0 <= first <= stop <= count"):
            register.external_ids(first, stop)
    with pytest.raises(TypeError, match="float64; convert"):
        register.lookup(np.array([1.0]))
    assert register.lookup(np.array([], np.uint64)).tolist() == []
    assert register.lookup(np.array([-1, 2], np.int64)).tolist() == [-1, 1]
    assert len(register.columns(1, 1, 0).tariff) == 0


# ---------------------------------------------------------------- scale


def test_two_hundred_thousand_meters_extended_by_half(tmp_path: Path) -> None:
    """Random ids, a tenth changing tariff, then 100,000 more: all as polars says."""
    rng = np.random.default_rng(5)
    ids = rng.choice(10**9, 300_000, replace=False).astype(np.uint64) * np.uint64(97_001)
    tariff = rng.integers(0, 12, len(ids))
    frame = pl.DataFrame(
        {
            "external_id": ids,
            "tariff": tariff.astype(str),
            "region": (tariff % 5).astype(str),
            "contracted_power_va": tariff * 1000,
        }
    ).with_columns(pl.lit(date(2015, 1, 1)).alias("valid_from"))
    changed = frame[::10].with_columns(
        pl.lit("new").alias("tariff"), pl.lit(date(2020, 1, 1)).alias("valid_from")
    )
    frame[:200_000].write_parquet(tmp_path / "a.parquet")
    pl.concat([changed, frame[150_000:]]).write_parquet(tmp_path / "b.parquet")
    build_register([tmp_path / "a.parquet"], tmp_path / "register")
    register = build_register([tmp_path / "b.parquet"], tmp_path / "register")
    assert (register.count, register.partition_size) == (300_000, 25_000)
    dense = register.lookup(ids)
    np.testing.assert_array_equal(dense[:200_000], np.arange(200_000))
    np.testing.assert_array_equal(register.external_ids(0, 300_000)[dense], ids)
    assert (register.lookup(ids + np.uint64(1)) == -1).all()
    on = register.columns(100_000, 300_000, 18_262)
    expected = np.where(np.arange(len(ids)) % 10 == 0, "new", tariff.astype(str))
    names = np.array(register.tariffs)[on.tariff]
    at = dense >= 100_000
    np.testing.assert_array_equal(names[dense[at] - 100_000], expected[at])
    counts = register.counts(18_262)
    assert counts.sum() == 300_000
    assert counts[register.tariffs.index("new")].sum() == 30_000
    assert register.counts(16_000).sum() == 0
