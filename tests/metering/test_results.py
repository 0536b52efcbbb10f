"""The row of a scope: written and read in one place, final by coverage or by deadline."""

from __future__ import annotations

import doctest

import pytest

import wattstorm.metering.results
from wattstorm.errors import DataError
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
