"""A partition of homes that are easy to know, some of which go wrong, day by day in its log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.models.score_days import some_days
from tests.stream.town import DAY0, Town
from wattstorm.metering import block as blocks
from wattstorm.store.connection import Connection
from wattstorm.store.keys import ALARMS, SCORES, SEGMENTS
from wattstorm.store.log import Log
from wattstorm.stream.consumer import Consumer
from wattstorm.stream.scores import Scores

HOMES, DAYS, WRONG = 14, 27, 24
DEAD, MOVED, TREBLE = 2, 5, 9
"""Homes whose day WRONG is dead, turned by six hours, three times as high."""


def days_of_homes() -> np.ndarray:
    """int64[homes, days, 48] Wh, of UTC days from DAY0 on."""
    wh = some_days(HOMES, DAYS, seed=3) / 2
    wh[DEAD, WRONG] = 0
    wh[MOVED, WRONG] = np.roll(wh[MOVED, WRONG], 12)
    wh[TREBLE, WRONG] *= 3
    return np.rint(wh).astype(np.int64)


def in_order(wh: np.ndarray, seed: int | None = None, size: int = 400) -> list[bytes]:
    """Its readings as blocks: by day and slot; or, with a seed, each up to ten hours late, in any
    order, some of them twice, some corrected."""
    home, day, slot = (a.ravel() for a in np.indices(wh.shape))
    rows = np.column_stack([home, DAY0 + 48 * day + slot, wh.ravel(), np.zeros(wh.size, np.int64)])
    order = np.argsort(rows[:, 1], kind="stable")
    if seed is not None:
        rng = np.random.default_rng(seed)
        first = rows[rng.random(len(rows)) < 0.05]
        rows = np.concatenate([rows, first])
        wrong = first[::2].copy()
        rows[:, 3] = 1  # what is right has the higher version
        wrong[:, 2] = rng.integers(0, 900, len(wrong))
        rows = np.concatenate([rows, wrong])
        order = np.argsort(rows[:, 1] + rng.uniform(0, 20, len(rows)), kind="stable")
    rows = rows[order]
    return [
        blocks.encode(blocks.readings(0, part[:, 0], part[:, 1], part[:, 2], version=part[:, 3]))
        for part in (rows[at : at + size] for at in range(0, len(rows), size))
    ]


def consumer(
    town: Town, connection: Connection, kind: type[Consumer] = Consumer, **how: Any
) -> Consumer:
    """The scores' consumer in this process, without Storm."""
    settings = town.settings
    return kind(
        Log(connection, settings.store.prefix, name=SEGMENTS),
        SCORES,
        lambda number, _: Scores(number, settings.scores, lambda: town.register, 1 << 20),
        settings=settings,
        connection=connection,
        partitions=town.register.partitions,
        **{"hold": 1 << 30, **how},
    )


def lasting(state: Scores) -> dict[str, bytes]:
    """All that closed days left."""
    return {name: array.tobytes() for name, array in state.book.arrays().items()}


def raised(connection: Connection, prefix: str, partitions: Sequence[int] = (0,)) -> list[bytes]:
    """The alarms, as they stand in their log."""
    log = Log(connection, prefix, name=ALARMS)
    tails = log.tails(partitions)
    found = zip(partitions, tails, strict=True)
    return [entry.data for p, tail in found if tail for entry in log.read(p, 1, tail)]
