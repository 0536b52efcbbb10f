"""The window of open days in any time zone, from the first reading on, at the ends of time."""

from __future__ import annotations

import numpy as np
import pytest

from tests.metering.registers import GRID, register_rows
from wattstorm.metering import block as blocks
from wattstorm.metering.checks import Outcome
from wattstorm.metering.partition import Partition, Rules
from wattstorm.metering.register import Register
from wattstorm.metering.slots import LocalCalendar

ZONES = ["UTC", "America/New_York", "Asia/Tokyo", "Europe/Paris", "Africa/Monrovia"]
DAY0 = 19_700 * 48
NOW_MS = (DAY0 + 9 * 48) * 1_800_000


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    """Ten meters, known since ever."""
    directory = tmp_path_factory.mktemp("register")
    register_rows(10).drop("valid_from").write_csv(directory / "meters.csv")
    return Register.build([directory / "meters.csv"], directory / "register", partition_size=10)


def rules_in(zone: str, open_days: int = 3) -> Rules:
    return Rules(GRID, LocalCalendar(GRID, zone), open_days)


def outcome(state: Partition, slot: int, now_ms: int = NOW_MS) -> Outcome:
    """What becomes of one reading, tentatively."""
    block = blocks.readings(0, [1], slot, [5])
    return Outcome(int(np.flatnonzero(state.apply(block, state.position + 1, now_ms).tally)[0]))


@pytest.mark.parametrize("zone", ZONES)
def test_a_channel_that_saw_only_the_future_is_undone_saved_and_restored(
    zone: str, register: Register
) -> None:
    """One meter with a wrong clock on a channel of its own, and nothing else there yet."""
    rules = rules_in(zone)
    state = Partition(0, register, rules)
    future = blocks.readings(0, [1], NOW_MS // 1_800_000 + 1000, [5], channel=1)
    assert state.apply(future, 1, NOW_MS).tally[Outcome.FUTURE] == 1
    state.keep()
    assert outcome(state, DAY0) is Outcome.NEW
    state.undo()
    state = Partition.restore(0, register, rules, *state.snapshot())
    assert (state.position, state.lows()) == (1, {})
    assert outcome(state, DAY0) is Outcome.NEW
    state.keep()
    assert set(state.lows()) == {0}


@pytest.mark.parametrize("zone", ZONES)
def test_slots_at_the_ends_of_time_never_raise(zone: str, register: Register) -> None:
    """The first and last local days that a calendar knows are taken, nothing outside them."""
    rules = rules_in(zone)
    known = rules.calendar.known
    after_all = (known.stop + 1000) * 1_800_000
    for slot in (-(2**31), -5, 0, 1, 9, 10, 60, 35_000, known.stop - 1, known.stop, 2**31 - 1):
        state = Partition(0, register, rules)
        taken = outcome(state, slot, after_all) is Outcome.NEW
        assert taken == (slot in known), slot
        state.undo()
        state.apply(blocks.curves(0, [1], min(slot, 2**31 - 48), [[5] * 48]), 1, after_all)
        state.keep()
        days = rules.calendar.dates_of([s for _, s in state.changes()])
        state = Partition.restore(0, register, rules, *state.snapshot())
        assert outcome(state, slot, after_all) is not Outcome.NEW
        assert (days >= 0).all()
