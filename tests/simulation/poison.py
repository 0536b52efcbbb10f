"""A block that fails its bolt each time, in a batch and in a replay."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tests.simulation.town import POISON_WH
from wattstorm.metering.partition import Partition


def poisoned(apply: Callable[..., Any]) -> Callable[..., Any]:
    """`Partition.apply`, but poison raises, half way."""

    @functools.wraps(apply)
    def applied(self: Partition, block: Any, *arguments: Any) -> Any:
        done = apply(self, block, *arguments)
        if block.wh.size <= 2 and (block.wh == POISON_WH).any():
            raise ArithmeticError("this block always fails its bolt")
        return done

    return applied
