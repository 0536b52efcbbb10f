"""Which curves of a register are withheld from those who may not see single meters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from wattstorm.metering.disclosure import Rule, Withheld, withheld
from wattstorm.register.arrays import LAST_KEY_DAY
from wattstorm.register.register import Register

_ROWS: Final = 1 << 20


def withheld_labels(register: Register, scopes: Sequence[str], rule: Rule) -> list[str]:
    """Labels as `aggregates.Scopes` has them, of the meters as they are after the last change.

    Who dominates a curve is told by contracted power, as the largest reading of a slot is not
    kept: a meter with more than its share of the power may have more than its share of the
    energy.
    """
    if rule.group_size == 1:
        return []
    meters = register.counts(LAST_KEY_DAY)
    regions = "region" in scopes
    held = withheld(meters, rule, _dominated(register, rule), regions=regions)
    found = ["nation"] if held.nation else []
    if "tariff" in scopes:
        found += [f"tariff:{register.tariffs[i]}" for i in np.flatnonzero(held.tariff)]
    if regions:
        found += [f"region:{register.regions[j]}" for j in np.flatnonzero(held.region)]
    return found


def _dominated(register: Register, rule: Rule) -> Withheld:
    """Totals in which one meter has more than its share of the contracted power."""
    power = [(np.zeros(256, np.int64), np.zeros(256, np.int64)) for _ in range(2)]
    for first in range(0, register.count, _ROWS):
        columns = register.columns(first, min(first + _ROWS, register.count), LAST_KEY_DAY)
        va = columns.power_va.astype(np.int64)
        for (total, most), codes in zip(power, (columns.tariff, columns.region), strict=True):
            total += np.bincount(codes, va, 256).astype(np.int64)
            np.maximum.at(most, codes, va)
    (tariff, most_of_tariff), (region, most_of_region) = power

    def too_much(
        most: npt.NDArray[np.int64], total: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        return np.asarray(most > rule.dominance * total, np.bool_)

    return Withheld(
        bool(most_of_tariff.max() > rule.dominance * tariff.sum()),
        too_much(most_of_tariff, tariff)[: len(register.tariffs)],
        too_much(most_of_region, region)[: len(register.regions)],
    )
