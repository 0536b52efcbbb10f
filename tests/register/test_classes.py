"""Classes: pairs of tariff and region, dense, numbered once; registers of before keep theirs."""

from __future__ import annotations

import doctest
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import wattstorm.register.classes
from tests.register.cases import built, row
from wattstorm.errors import RegisterError
from wattstorm.metering.aggregates import Scopes, SlotSums
from wattstorm.metering.checks import MAX_CLASSES
from wattstorm.register import files
from wattstorm.register.arrays import MAX_CODES
from wattstorm.register.classes import Classes, of_card
from wattstorm.register.register import Register


def named(register: Register) -> list[tuple[str, str]]:
    """Names of the classes, in their order."""
    classes = register.classes
    pairs = zip(classes.tariff.tolist(), classes.region.tolist(), strict=True)
    return [(register.tariffs[t], register.regions[r]) for t, r in pairs]


def as_of_schema_1(directory: Path) -> None:
    """The card as a wattstorm wrote it whose classes were all pairs of codes."""
    card = json.loads((directory / "card.json").read_text())
    del card["classes"]
    card["schema"] = 1
    card["checksum"] = files._card_checksum(card)
    (directory / "card.json").write_text(json.dumps(card))


def test_the_doctests_are_the_specification() -> None:
    """Numbers, their order, and those of a card that names none."""
    assert doctest.testmod(wattstorm.register.classes).failed == 0


def test_there_are_as_many_classes_as_pairs_that_occur(tmp_path: Path) -> None:
    """Twelve tariffs in 96 regions are 1,152 columns of sums, not 96 squared."""
    pairs = list(itertools.product(range(12), range(96)))
    register = built(tmp_path, [row(k, f"t{t}", region=f"r{r}") for k, (t, r) in enumerate(pairs)])
    assert len(register.classes) == 1_152
    assert len(SlotSums.zeros(len(register.classes)).to_bytes()) < 19_000


def test_an_extension_numbers_on_and_renumbers_nothing(tmp_path: Path) -> None:
    """In the order of the rows: new meters, changes of known ones, rows that say what is known."""
    first = built(tmp_path, [row(1, "a", region="x"), row(2, "b", region="y")])
    assert named(first) == [("a", "x"), ("b", "y")]
    later = built(
        tmp_path,
        [
            row(3, "b", region="y", valid_from="1970-01-01"),
            row(1, "b", region="x", valid_from="2024-01-01"),
            row(4, "c", region="y", valid_from="1970-01-01"),
            row(2, "a", region="z", valid_from="2024-02-01"),
        ],
    )
    assert named(later) == [*named(first), ("b", "x"), ("c", "y"), ("a", "z")]
    assert later.classes.of(np.array([0, 1]), np.array([0, 1])).tolist() == [0, 1]


def test_a_register_of_before_keeps_its_classes_when_it_is_extended(tmp_path: Path) -> None:
    """Sums that were committed under it are read as they were meant, now and by what follows."""
    built(tmp_path, [row(1, "a", region="x"), row(2, "b", region="x"), row(3, "b", region="y")])
    as_of_schema_1(tmp_path / "register")
    old = Register.open(tmp_path / "register")
    assert old.classes.of(np.array([0, 1, 1]), np.array([0, 0, 1])).tolist() == [0, 2, 3]
    sums = SlotSums(np.array([5, 0, 7, 11]), np.array([1, 0, 1, 1]), 0)
    later = built(
        tmp_path, [row(4, "a", region="z"), row(5, "b", region="z"), row(6, "a", region="y")]
    )
    assert later.classes.codes[:4].tolist() == old.classes.codes.tolist()
    assert len(later.classes) == 6
    labels = ["nation", "tariff:a", "tariff:b", "region:x", "region:y"]
    for register, more in ((old, []), (later, ["region:z"])):
        scopes = Scopes(register)
        assert scopes.labels() == labels + more
        assert scopes.roll_up(sums)[0].tolist() == [23, 5, 18, 12, 11, *([0] * len(more))]
    assert Scopes(old).expected(0).tolist() == [3, 1, 2, 2, 1]
    assert Scopes(later).expected(0).tolist() == [6, 3, 3, 2, 2, 2]


def test_a_pair_that_is_not_counted_is_an_error_of_the_register() -> None:
    """No reading is summed into a class that is not there."""
    with pytest.raises(RegisterError, match="does not count as a pair"):
        Classes([0, 256]).of(np.array([0, 1]), np.array([0, 0]))


def test_every_register_that_can_be_built_has_classes_that_the_stream_takes() -> None:
    """The pair of the last tariff and the last region fits into a join entry; an old register's
    square holds no more than all pairs either."""
    names = [str(k) for k in range(MAX_CODES)]
    square = of_card({"tariffs": names, "regions": names[:3]})
    assert len(set(square)) == len(square) == MAX_CODES**2
    assert MAX_CODES**2 - 1 <= MAX_CLASSES
