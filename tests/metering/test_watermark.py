"""What moves the watermark, and what is held back: one wrong date closes no history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.register.registers import RULES, small_register
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering.checks import Outcome
from wattstorm.metering.partition import Partition

DAY0 = 19_700 * 48 + 10
WEEK, YEARS = 7 * 48, 10 * 365 * 48
NOW_MS = (DAY0 + 2 * YEARS) * 1_800_000
New = Callable[[int], Partition]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> New:
    """Makes a partition of so many meters that has got as far as DAY0."""

    def make(meters: int) -> Partition:
        register = small_register(tmp_path_factory.mktemp("register"), meters, meters)
        state = Partition(0, register, RULES)
        sent(state, DAY0, range(meters))
        return state

    return make


def sent(state: Partition, slot: int, meters: range, wh: int = 5, width: int = 1) -> set[str]:
    """A block of readings (of curves, where they are wider), kept; what became of them."""
    wanted = np.full((len(meters), width), wh)
    block = blocks.curves(0, list(meters), slot, wanted)
    tally = state.apply(block, state.position + 1, NOW_MS).tally
    state.keep()
    return {Outcome(int(code)).name for code in np.flatnonzero(tally)}


def test_a_row_with_a_wrong_year_closes_nothing(new: New) -> None:
    """Alone in its block, as ingest cuts them: it is refused, sent twice too, and history
    goes on; another wrong date elsewhere does not confirm it."""
    state = new(4)
    for stray in (DAY0 + YEARS, DAY0 + YEARS, DAY0 + YEARS + WEEK, DAY0 + YEARS - WEEK):
        assert sent(state, stray, range(1)) == {"FUTURE"}
    assert state.watermark == {0: DAY0}
    for day in range(1, 10):
        assert sent(state, DAY0 + 48 * day, range(4)) == {"NEW"}


def test_with_the_first_slot_of_a_local_day_the_oldest_one_is_closed(new: New) -> None:
    """Neither a slot before it nor a slot after it."""
    state, days = new(4), RULES.open_around(DAY0)
    assert sent(state, days.tomorrow - 1, range(4)) == {"NEW"}
    assert sent(state, days.low, range(4)) == {"NEW"}
    assert sent(state, days.tomorrow, range(4)) == {"NEW"}
    assert sent(state, days.low + 1, range(4)) == {"TOO_OLD"}


@pytest.mark.parametrize(
    ("slot", "wh", "meters", "reason"),
    [
        (DAY0 + 40, 99_999, range(4), "TOO_HIGH"),
        (DAY0 + 40, -5, range(1, 4), "NEGATIVE"),
        (DAY0 + 40, 5, range(4, 9), "UNKNOWN_METER"),
        (DAY0 + YEARS, 99_999, range(4), "FUTURE"),
        (DAY0 + YEARS, 5, range(4, 9), "UNKNOWN_METER"),
        (DAY0 + 3 * YEARS, 5, range(4), "FUTURE"),
    ],
)
@pytest.mark.parametrize("width", [1, 2])
def test_refused_readings_do_not_move_the_watermark(
    new: New, slot: int, wh: int, meters: range, reason: str, width: int
) -> None:
    """Neither by a slot nor by years, however many there are."""
    state = new(4)
    for later in range(3):
        assert sent(state, slot + later, meters, wh, width) == {reason}
    assert state.watermark == {0: DAY0}


def test_refused_readings_open_no_window(new: New) -> None:
    """Each has its reason though nothing was accepted before; good ones then open it anywhere."""
    state = Partition(0, new(4).register, RULES)
    assert sent(state, DAY0 + YEARS, range(4), 99_999) == {"TOO_HIGH"}
    assert sent(state, DAY0 + YEARS, range(4, 6)) == {"UNKNOWN_METER"}
    assert sent(state, DAY0 + 3 * YEARS, range(2)) == {"FUTURE"}
    assert sent(state, -5, range(2)) == {"TOO_OLD"}
    assert state.watermark == {}
    assert sent(state, DAY0, range(1)) == {"NEW"}


@pytest.mark.parametrize(("meters", "reporting"), [(300, 300), (300, 40), (300, 3), (4, 2)])
def test_a_feed_goes_on_after_a_week_without_a_loss(new: New, meters: int, reporting: int) -> None:
    """A hundredth of the partition's meters in one block are enough, two where it is small."""
    state = new(meters)
    assert sent(state, DAY0 + WEEK, range(reporting)) == {"NEW"}
    assert state.watermark == {0: DAY0 + WEEK}


def test_too_few_meters_are_believed_when_another_block_agrees(new: New) -> None:
    """At most the first block after the gap is lost, whoever sends the second."""
    for second in (range(1), range(7, 8)):
        state = new(300)
        assert sent(state, DAY0 + WEEK, range(1), width=48) == {"FUTURE"}
        assert sent(state, DAY0 + WEEK + 48 * (second == range(1)), second) == {"NEW"}
        assert state.lows()[0] > DAY0


def test_a_partition_of_one_meter_goes_on_after_a_gap(new: New) -> None:
    """A curve says it twice; of single readings the first is held back."""
    state = new(1)
    assert sent(state, DAY0 + WEEK, range(1), width=48) == {"NEW"}
    assert sent(state, DAY0 + 3 * WEEK, range(1)) == {"FUTURE"}
    assert sent(state, DAY0 + 3 * WEEK, range(1)) == {"FUTURE"}
    assert sent(state, DAY0 + 3 * WEEK + 1, range(1)) == {"NEW"}


def test_within_the_next_local_day_any_accepted_reading_moves_it(new: New) -> None:
    """The last slot of tomorrow does; the first of the day after is a jump."""
    state = new(300)
    tomorrow = RULES.open_around(DAY0).stop - 1
    assert sent(state, tomorrow + 1, range(1)) == {"FUTURE"}
    assert sent(state, tomorrow, range(1)) == {"NEW"}
    assert state.watermark == {0: tomorrow}


def test_of_two_concentrators_the_one_ahead_does_not_shut_out_the_other(new: New) -> None:
    """One meter's blocks a year ahead, among those of a stream that goes on day after day:
    each claim is forgotten when the stream enters its next day."""
    state = new(300)
    for day in range(1, 9):
        assert sent(state, DAY0 + YEARS + 48 * day, range(1)) == {"FUTURE"}
        assert sent(state, DAY0 + 48 * day, range(1, 300)) == {"NEW"}


def test_a_block_half_of_today_and_half_far_ahead_moves_it_through_today(new: New) -> None:
    """What is held back does not hold the rest."""
    state = new(300)
    slots = np.repeat([DAY0 + 5, DAY0 + YEARS], 20)
    block = blocks.readings(0, np.r_[np.arange(20), np.full(20, 7)], slots, np.full(40, 5))
    tally = state.apply(block, 2, NOW_MS).tally
    assert (tally[Outcome.NEW], tally[Outcome.FUTURE]) == (20, 20)
    assert state.watermark == {0: DAY0 + 5}


def test_what_was_held_back_is_undone_saved_and_restored(new: New) -> None:
    """A claim is part of the state: what follows is the same with and without a stop."""
    state = new(300)
    sent(state, DAY0 + 1, range(300))
    state.apply(blocks.readings(0, [1], DAY0 + WEEK, [5]), 3, NOW_MS)
    state.undo()
    assert sent(state, DAY0 + WEEK + 1, range(2, 3)) == {"FUTURE"}
    arrays, header = state.snapshot()
    for again in (state, Partition.restore(0, state.register, RULES, arrays, header)):
        assert again.snapshot()[1] == header
        assert sent(again, DAY0 + WEEK + 1, range(3, 4)) == {"NEW"}


def test_garbage_over_a_century_costs_few_tables(tmp_path: Path) -> None:
    """A register that changes each day, a block with a reading in each of a thousand days:
    it is held back without a join for each of them."""
    days = np.arange("2012-01-01", "2015-01-01", dtype="datetime64[D]")
    source = tmp_path / "meters.csv"
    rows = "".join(f"{77 + i % 5},t{i % 3},6000,{day}\n" for i, day in enumerate(days))
    source.write_text("external_id,tariff,contracted_power_va,valid_from\n" + rows)
    register = build_register([source], tmp_path / "register", partition_size=1000)
    state = Partition(0, register, RULES)
    first = int(days[6].astype(int)) * 48
    sent(state, first, range(5))
    slots = first + 48 * np.arange(10, 1010)
    block = blocks.readings(0, np.arange(1000) % 5, slots, np.full(1000, 99_999))
    tally = state.apply(block, 2, NOW_MS).tally
    assert tally[Outcome.FUTURE] == 1000
    assert len(state._joins._tables) < 20
