"""No sum or difference of published totals shows a few meters: tried by an attacker who knows
linear algebra and nothing of the networks that the rule is made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from wattstorm.errors import UsageError
from wattstorm.metering.disclosure import Counts, Rule, Withheld, withheld

PRIME = 2_147_483_629


def published(meters: Counts, held: Withheld, *, regions: bool = True) -> Counts:
    """The published totals as sums of classes: int64[totals, tariffs × regions]."""
    t, r = meters.shape
    rows = [] if held.nation else [np.ones((t, r), np.int64)]
    for i in np.flatnonzero(~held.tariff):
        rows.append(np.zeros((t, r), np.int64))
        rows[-1][i] = 1
    for j in np.flatnonzero(~held.region) if regions else []:
        rows.append(np.zeros((t, r), np.int64))
        rows[-1][:, j] = 1
    return np.array(rows, np.int64).reshape(len(rows), t * r)


def echelon(rows: Counts) -> list[tuple[int, Counts]]:
    """(pivot, row) of the reduced rows modulo a prime so large that small numbers do not meet."""
    done: list[tuple[int, Counts]] = []
    for row in rows:
        left = remainder(row, done)
        if left.any():
            pivot = int(np.flatnonzero(left)[0])
            done.append((pivot, left * pow(int(left[pivot]), -1, PRIME) % PRIME))
    return done


def remainder(row: Counts, done: list[tuple[int, Counts]]) -> Counts:
    left = row % PRIME
    for pivot, base in done:
        left = (left - left[pivot] * base) % PRIME
    return left


def small_groups(sizes: list[int], enough: int, at: int = 0, room: int = 0) -> Iterator[list[int]]:
    """Every set of classes that has some meters, and together fewer than `enough`."""
    for k in range(at, len(sizes)):
        if sizes[k] > 0 and room + sizes[k] < enough:
            yield [k]
            for more in small_groups(sizes, enough, k + 1, room + sizes[k]):
                yield [k, *more]


def shown(meters: Counts, held: Withheld, rule: Rule, *, regions: bool = True) -> list[list[int]]:
    """The small groups that follow from what is published; empty classes are known to be so."""
    sizes = meters.ravel().tolist()
    rows = published(meters, held, regions=regions)
    known = echelon(np.concatenate([rows, np.diag((meters.ravel() == 0).astype(np.int64))]))
    found = []
    for group in small_groups(sizes, rule.group_size):
        row = np.zeros(len(sizes), np.int64)
        row[group] = 1
        if not remainder(row, known).any():
            found.append(group)
    return found


def a_table(rng: np.random.Generator) -> Counts:
    """Many small and empty classes, as the smallest tariffs of small regions are."""
    shape = rng.integers(1, 5), rng.integers(1, 6)
    scale = rng.choice([0, 1, 2, 4, 9, 14, 15, 40, 1000], shape, p=[0.3] + [0.0875] * 8)
    return np.asarray(scale + (scale > 0) * rng.integers(0, 4, shape), np.int64)


@pytest.mark.parametrize("regions", [True, False], ids=["regions", "tariffs only"])
def test_nothing_small_follows_from_ten_thousand_tables(regions: bool) -> None:
    """And withholding is needed: without it most of them show some small group."""
    rng, rule, nothing, open_before = np.random.default_rng(3), Rule(8), 0, 0
    for _ in range(5_000):
        meters = a_table(rng)
        held = withheld(meters, rule, regions=regions)
        assert shown(meters, held, rule, regions=regions) == [], meters
        t, r = meters.shape
        none = Withheld(False, np.zeros(t, np.bool_), np.zeros(r, np.bool_))
        open_before += bool(shown(meters, none, rule, regions=regions))
        nothing += bool(held.nation and meters.sum() >= rule.group_size)
    assert open_before > 1_000
    assert nothing < 500, "the nation is withheld only where nothing else helps"


def test_a_tariff_that_has_few_meters_takes_the_smallest_other_with_it() -> None:
    held = withheld(np.array([[400, 300], [200, 100], [2, 1]]), Rule(15))
    assert held.tariff.tolist() == [False, True, True]
    assert not held.nation
    assert not held.region.any()


def test_the_difference_of_a_tariff_and_a_region_inside_it_is_seen() -> None:
    """All of region 0 has tariff 0, which has three meters more elsewhere: T0 - R0 are these."""
    meters = np.array([[500, 3], [0, 700]])
    held = withheld(meters, Rule(15))
    assert held.tariff.any() or held.region.any()
    assert shown(meters, held, Rule(15)) == []


def test_big_tables_are_shown_whole_and_at_once() -> None:
    held = withheld(np.full((12, 96), 30_000), Rule(15))
    assert not held.nation
    assert not held.tariff.any()
    assert not held.region.any()


def test_a_total_that_one_meter_dominates_does_not_follow_from_the_others() -> None:
    meters = np.array([[400, 300], [200, 100], [90, 80]])
    mill = Withheld(False, np.array([False, True, False]), np.zeros(2, np.bool_))
    held = withheld(meters, Rule(15), mill)
    assert held.tariff.tolist() == [False, True, True]


def test_a_nation_of_few_is_not_shown_at_all() -> None:
    held = withheld(np.array([[4, 3], [2, 1]]), Rule(15))
    assert held.nation
    assert held.tariff.all()
    assert held.region.all()


def test_a_rule_without_a_group_is_refused() -> None:
    with pytest.raises(UsageError, match="0 meters"):
        Rule(0)
