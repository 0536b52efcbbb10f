"""The window of open days in any time zone, from the first reading on, at the ends of time."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from tests.register.registers import GRID, register_rows
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering import kernels, kernels_numpy
from wattstorm.metering.checks import Outcome
from wattstorm.metering.partition import Partition, Rules
from wattstorm.metering.slots import LocalCalendar
from wattstorm.register.register import Register

OPEN_DAYS = {
    "Europe/Paris": [date(2024, 3, 31), date(2024, 6, 12), date(2024, 10, 27)],
    "Australia/Sydney": [date(2024, 4, 7), date(2024, 6, 12), date(2024, 10, 6)],
    "America/New_York": [date(2024, 3, 10), date(2024, 6, 12), date(2024, 11, 3)],
    "Europe/London": [date(2024, 3, 31), date(2024, 10, 27), date(2024, 10, 29)],
    "Asia/Tokyo": [date(2024, 6, 12)],
    "UTC": [date(2024, 6, 12)],
    "Pacific/Kiritimati": [date(2024, 6, 12)],
}
"""Days with clock changes and without."""
ZONES = ["UTC", "America/New_York", "Asia/Tokyo", "Europe/Paris", "Africa/Monrovia"]
DAY0 = 19_700 * 48
NOW_MS = (DAY0 + 9 * 48) * 1_800_000


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    """Ten meters, known since ever."""
    directory = tmp_path_factory.mktemp("register")
    register_rows(10).drop("valid_from").write_csv(directory / "meters.csv")
    return build_register([directory / "meters.csv"], directory / "register", partition_size=10)


def rules_in(zone: str, open_days: int = 3) -> Rules:
    return Rules(GRID, LocalCalendar(GRID, zone), open_days)


def outcomes(state: Partition, block: blocks.Block, now_ms: int) -> dict[Outcome, int]:
    """What becomes of a block's readings, tentatively."""
    tally = state.apply(block, state.position + 1, now_ms).tally
    return {Outcome(int(code)): int(tally[code]) for code in np.flatnonzero(tally)}


def outcome(state: Partition, slot: int, now_ms: int = NOW_MS) -> Outcome:
    """What becomes of one reading, tentatively."""
    return next(iter(outcomes(state, blocks.readings(0, [1], slot, [5]), now_ms)))


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


@pytest.mark.parametrize("open_days", [1, 3, 31])
@pytest.mark.parametrize("kernel", [kernels, kernels_numpy])
@pytest.mark.parametrize("zone", OPEN_DAYS)
def test_open_days_are_local_days(
    zone: str, kernel: Any, open_days: int, register: Register
) -> None:
    """Today and the days before it are taken whole, 46 to 50 slots of each; nothing before."""
    rules = rules_in(zone, open_days)
    for today in OPEN_DAYS[zone]:
        day = [rules.calendar.day_slots(today - timedelta(k)) for k in range(open_days + 1)]
        now_ms = (day[0].stop + 2) * 1_800_000
        state = Partition(0, register, rules, kernel)
        for first in (day[0].start, day[0].stop - 1):  # in the first and the last slot of today
            state.apply(blocks.readings(0, [0], first, [5]), 1, now_ms)
            assert state.lows() == {0: day[open_days - 1].start}
            for at, meter in ((0, 1), (open_days - 1, 2)):
                curve = blocks.curves(0, [meter], day[at].start, np.full((1, len(day[at])), 5))
                assert outcomes(state, curve, now_ms) == {Outcome.NEW: len(day[at])}
                state.undo()
                state.apply(blocks.readings(0, [0], first, [5]), 1, now_ms)
            assert outcome(state, day[open_days].stop - 1, now_ms) is Outcome.TOO_OLD
            saved = Partition.restore(0, register, rules, *state.snapshot())
            assert saved.lows() == state.lows()
            state.undo()


@pytest.mark.parametrize("zone", OPEN_DAYS)
def test_the_open_days_follow_the_local_midnight(zone: str, register: Register) -> None:
    """The last slot of a day leaves the window, the first of the next one moves it on; what
    was summed of a day that is closed stays as it was."""
    rules = rules_in(zone)
    for today in OPEN_DAYS[zone]:
        days = [rules.calendar.day_slots(today + timedelta(k)) for k in range(-2, 6)]
        state, now_ms = Partition(0, register, rules), (days[-1].stop + 2) * 1_800_000
        latest: dict[int, int] = {}
        for slot in range(days[0].start, days[-1].stop):
            state.apply(blocks.readings(0, [1], slot, [7]), state.position + 1, now_ms)
            latest |= {s: int(sums.wh.sum()) for (_, s), sums in state.changes().items()}
            state.keep()
            here = next(i for i, day in enumerate(days) if slot in day)
            assert here < 2 or state.lows() == {0: days[here - 2].start}
        assert latest == dict.fromkeys(range(days[0].start, days[-1].stop), 7)


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
