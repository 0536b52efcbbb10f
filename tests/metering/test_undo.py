"""A batch whose commit failed leaves no trace: what follows it is as if it had never been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.register.registers import RULES, small_register
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering.aggregates import Scopes
from wattstorm.metering.block import Block
from wattstorm.metering.partition import Partition
from wattstorm.metering.slots import date_of_day_number
from wattstorm.register.register import Register

DAY = 19_700
DAY0 = DAY * 48
NOW_MS = (DAY0 + 9 * 48) * 1_800_000


@pytest.fixture
def changing(tmp_path: Path) -> Register:
    """Two meters of tariff a; the first has tariff b from the second day on."""
    source = tmp_path / "meters.csv"
    second = date_of_day_number(DAY + 1)
    source.write_text(
        "external_id,tariff,contracted_power_va,valid_from\n"
        f"77,a,6000,2010-01-01\n77,b,6000,{second}\n78,a,6000,2010-01-01\n"
    )
    return build_register([source], tmp_path / "register", partition_size=2)


def reading(meter: int, slot: int, wh: int) -> Block:
    return blocks.readings(0, [meter], slot, [wh])


def four_days_later(state: Partition, slot: int) -> None:
    """A reading a day, until the row of the slot is given away."""
    for day in (1, 2, 3, 4):
        state.apply(reading(0, slot + day * 48, 7), state.position + 1, NOW_MS)
    assert state.lows()[0] > slot


def by_tariff(state: Partition, slot: int) -> dict[str, int]:
    """Wh of a slot that changed, by scope."""
    scopes = Scopes(state.register, ["nation", "tariff"])
    wh, _ = scopes.roll_up(state.changes()[0, slot])
    return dict(zip(scopes.labels(), wh.tolist(), strict=True))


def test_an_undo_over_a_closed_day_subtracts_from_the_tariff_it_added_to(
    changing: Register,
) -> None:
    """A batch adds to the first day and closes it; taken back and sent again it adds the same."""
    slot = DAY0 + 20
    state = Partition(0, changing, RULES)
    state.apply(reading(1, slot, 10), 1, NOW_MS)
    state.keep()
    for _ in range(2):
        state.apply(reading(0, slot, 100), 2, NOW_MS)
        four_days_later(state, slot)
        assert by_tariff(state, slot) == {"nation": 110, "tariff:a": 110, "tariff:b": 0}
        assert by_tariff(state, slot + 4 * 48) == {"nation": 7, "tariff:a": 0, "tariff:b": 7}
        state.undo()
        assert state.changes() == {}
    state.apply(blocks.readings(0, [1], slot, [11], version=1), 2, NOW_MS)
    assert by_tariff(state, slot) == {"nation": 11, "tariff:a": 11, "tariff:b": 0}


def test_a_day_that_an_undo_reopens_is_joined_as_before(changing: Register) -> None:
    """Readings that come after the undo find the tariff of the reopened day."""
    slot = DAY0 + 20
    state = Partition(0, changing, RULES)
    state.apply(reading(1, slot, 10), 1, NOW_MS)
    state.keep()
    four_days_later(state, slot)
    state.undo()
    state.apply(reading(0, slot, 100), 2, NOW_MS)
    assert by_tariff(state, slot) == {"nation": 110, "tariff:a": 110, "tariff:b": 0}


def test_the_table_beside_keeps_what_an_undo_needs(tmp_path: Path) -> None:
    """Corrected values of a day that an undone batch closed are still corrected by their
    difference, though the batch made the table of such values grow."""
    many = np.arange(1000)
    state = Partition(0, small_register(tmp_path, 1000, 1000), RULES)
    state.apply(blocks.readings(0, many[:300], DAY0, np.full(300, 10), version=1), 1, NOW_MS)
    state.keep()
    later = blocks.readings(0, many, DAY0 + 4 * 48, np.full(1000, 20), version=1)
    state.apply(later, 2, NOW_MS)
    state.undo()
    corrected = blocks.readings(0, many[:300], DAY0, np.full(300, 15), version=2)
    state.apply(corrected, 2, NOW_MS)
    sums = state.changes()[0, DAY0]
    assert (sums.wh.sum(), sums.readings.sum()) == (300 * 15, 300)


def test_an_undo_of_the_first_reading_leaves_no_window(changing: Register) -> None:
    """What comes after it, however old, is the first reading again."""
    state = Partition(0, changing, RULES)
    state.apply(reading(0, DAY0 + 5 * 48, 7), 1, NOW_MS)
    state.undo()
    assert state.lows() == {}
    state.apply(reading(0, DAY0, 5), 1, NOW_MS)
    assert by_tariff(state, DAY0)["tariff:a"] == 5


def test_an_undo_of_the_first_window_of_a_kept_channel_leaves_none(changing: Register) -> None:
    """Only readings in the future had come, and were kept; a batch opened the window and failed.
    More of the future comes before it is sent again."""
    state = Partition(0, changing, RULES)
    future = NOW_MS // 1_800_000 + 48
    state.apply(reading(0, future, 7), 1, NOW_MS)
    state.keep()
    state.apply(reading(0, DAY0 + 5, 7), 2, NOW_MS)
    state.undo()
    assert state.apply(reading(0, future, 7), 2, NOW_MS).rejected
    state.keep()
    state.apply(reading(0, DAY0 + 5, 7), 3, NOW_MS)
    assert by_tariff(state, DAY0 + 5)["nation"] == 7


def test_an_undo_takes_back_every_channel(changing: Register) -> None:
    """A batch of import and export: sent again, both are new again."""
    state = Partition(0, changing, RULES)
    for channel in (0, 1):
        state.apply(blocks.readings(0, [1], DAY0 + 5, [7], channel=channel), 1, NOW_MS)
    state.keep()
    for _ in range(2):
        for channel in (0, 1):
            made = blocks.readings(0, [0], DAY0 + 5, [7], channel=channel)
            state.apply(made, 2, NOW_MS)
            assert state.changes()[channel, DAY0 + 5].readings.sum() == 2
        state.undo()
        assert state.changes() == {}


def test_an_undone_correction_leaves_value_and_revision_as_they_were(changing: Register) -> None:
    """Of a value that was corrected before, beside a late reading: what is sent again does the
    same again."""
    slot, state = DAY0 + 5, Partition(0, changing, RULES)

    def correct(wh: int, version: int) -> tuple[int, int, int]:
        made = blocks.readings(0, [0], slot, [wh], version=version)
        state.apply(made, state.position + 1, NOW_MS)
        state.apply(reading(1, slot, 5), state.position + 1, NOW_MS)
        sums = state.changes()[0, slot]
        return int(sums.wh.sum()), int(sums.readings.sum()), sums.revision

    state.apply(blocks.readings(0, [0], slot, [100], version=1), 1, NOW_MS)
    for position, later in enumerate((30, 60, 90), 2):
        state.apply(reading(0, slot + later, 7), position, NOW_MS)
    state.keep()
    before = state.held(0, slot, 0)
    for wh in (700, 800):
        assert correct(wh, 2) == (wh + 5, 2, 2)
        state.undo()
        assert state.held(0, slot, 0) == before
