"""Kernels compiled, or loaded, before the first block comes.

On a busy machine that takes seconds. In the time of the first block they would make it slow, and
deaths from outside would hit that very block again and again, until it is taken for poison.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from wattstorm.metering import block as blocks
from wattstorm.metering.block import Block
from wattstorm.metering.daystore import DayStore, Window

_DAY: Final = 48
_WIDE: Final = 100_000
"""Wh that do not fit into 16 bits."""


def warm_up() -> None:
    """Apply each form of block to a day store of one meter, and take it back."""
    store = DayStore(0, 1, _DAY, 2, 1)
    store.open_from(_DAY)
    for block in _forms():
        # Decoded, as out of the log: such arrays cannot be written to, which is another type.
        columns = blocks.decode(blocks.encode(block)).columns
        store.apply(columns, Window(store.low, store.low + store.rows, -1, 0))
        store.rejoin(store.entries ^ 1, store.table_of_row, store.low)
        store.undo()


def _forms() -> list[Block]:
    return [
        made
        for wh in (1, _WIDE)
        for made in (
            blocks.readings(0, [0], _DAY, [wh]),
            blocks.curves(0, [0], _DAY, np.array([[wh, wh]], np.uint16 if wh == 1 else np.int32)),
        )
    ]
