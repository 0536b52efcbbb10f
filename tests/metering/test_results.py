"""The row of a scope: written and read in one place, final by coverage or by deadline."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import wattstorm.metering.results
from wattstorm.errors import DataError
from wattstorm.metering.aggregates import SlotSums, added
from wattstorm.metering.results import Finality, SlotResult, SlotRows


def test_a_row_says_what_it_is() -> None:
    """Its doctests are its specification, those of finality too."""
    assert doctest.testmod(wattstorm.metering.results).failed == 0


def test_the_largest_row_is_small_enough_for_a_packed_hash() -> None:
    """Redis packs values of up to 64 bytes; ten thousand TWh of a billion meters fit."""
    row = SlotResult(-(10**16), 10**9, 10**9, 10**9, final=True)
    assert len(row.to_json()) <= 64
    assert SlotResult.from_json(row.to_json().encode()) == row


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "{}",
        "7",
        "[]",
        "[2,1,1,1,1,1]",
        "[1,1,1,1,1]",
        "[1,1,1,1,1,true]",
        "[1,1.5,1,1,1,1]",
    ],
)
def test_what_is_no_row_of_this_schema_is_refused(data: str) -> None:
    """A newer schema too: what it says is not guessed."""
    with pytest.raises(DataError, match="schema 1"):
        SlotResult.from_json(data)


def test_a_scope_that_nothing_is_expected_of_is_covered() -> None:
    """Else it would never be final."""
    assert SlotResult(0, 0, 0, 1, final=True).coverage == 1.0


def test_a_slot_is_final_when_all_of_its_rows_are() -> None:
    """A slot without rows waits for nothing."""
    done, open_ = (SlotResult(1, 1, 1, 3, final=final) for final in (True, False))
    assert SlotRows().final
    assert SlotRows({"nation": done}).final
    assert not SlotRows({"nation": done, "region:north": open_}).final
    assert (SlotRows().revision, SlotRows({"nation": done}).revision) == (0, 3)


def test_the_last_partition_decides_within_the_patience() -> None:
    """Beyond it the foremost one does, whatever the others do."""
    rule = Finality(0.99, deadline_slots=10, patience_slots=100)
    assert rule.passed([500, 450]) == 440
    assert rule.passed([550, 450]) == rule.passed([550, -1]) == 440
    assert rule.passed([551, 450]) == 441
    assert rule.passed([-1, -1]) == rule.passed([]) < 0


def test_sums_are_added_as_one_by_one_whatever_classes_they_have() -> None:
    """Partitions of before and after a register gained tariffs, and some without a reading."""
    rng = np.random.default_rng(1)
    parts = [
        SlotSums(rng.integers(-(2**40), 2**40, n), rng.integers(0, 999, n), k)
        for k, n in enumerate([4, 9, 4, 4, 9, 1])
    ]
    one_by_one = SlotSums.zeros(0)
    for part in parts:
        one_by_one = one_by_one + part
    assert added([None, *(part.to_bytes() for part in parts), None]) == one_by_one
    assert added([None]) == SlotSums.zeros(0)


def test_sums_of_another_schema_are_refused_among_others_of_their_length() -> None:
    good = SlotSums(np.array([5, 7]), np.array([1, 1]), 0).to_bytes()
    with pytest.raises(DataError, match="schema 2"):
        added([good, b"\2" + good[1:]])
