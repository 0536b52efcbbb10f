"""Slots and local days over every change of clocks from 2020 to 2035."""

from __future__ import annotations

import doctest
import pickle
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattstorm.errors import SlotError
from wattstorm.metering import slots as module
from wattstorm.metering.slots import LocalCalendar, SlotGrid, date_of_day_number, day_number

ZONES = ("Europe/Paris", "Europe/London", "Australia/Sydney", "Australia/Lord_Howe", "UTC")
HALF_HOURS = {
    "Europe/Paris": {46, 48, 50},
    "Europe/London": {46, 48, 50},
    "Australia/Sydney": {46, 48, 50},
    "Australia/Lord_Howe": {47, 48, 49},
    "UTC": {48},
}
FIRST, END = date(2020, 1, 1), date(2036, 1, 1)
DAYS = [FIRST + timedelta(n) for n in range((END - FIRST).days)]
FITTING = [(z, m) for z in ZONES for m in (10, 15, 30, 60) if (z, m) != ("Australia/Lord_Howe", 60)]
CALENDARS = {(z, m): LocalCalendar(SlotGrid(m), z) for z, m in FITTING}

grids = st.sampled_from((10, 15, 30, 60)).map(SlotGrid)
calendars = st.sampled_from(FITTING).map(CALENDARS.__getitem__)
stamps = st.integers(-(2**63), 2**63 - 1)
days = st.dates(FIRST, END - timedelta(1))


def test_the_examples_in_the_docstrings_hold() -> None:
    """Every printed example of the module gives what it says."""
    result = doctest.testmod(module)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.parametrize("minutes", [0, 1, 5, 20, 45, 120, -30])
def test_a_grid_of_other_minutes_is_refused(minutes: int) -> None:
    """The message names the value and the lengths that exist."""
    with pytest.raises(SlotError, match=f"{minutes} minutes; slots have 10, 15, 30 or 60"):
        SlotGrid(minutes)


@given(grids, st.lists(stamps | st.integers(0, 2**32).map(lambda n: n * 600), max_size=50))
def test_slots_of_stamps_equal_plain_integer_arithmetic(grid: SlotGrid, seconds: list[int]) -> None:
    """Whatever the stamp, also beyond int32: the slot Python's own division gives, or 0."""
    slots, on_grid = grid.slot_of(np.array(seconds, np.int64))
    assert slots.dtype == np.int32
    assert on_grid.dtype == np.bool_
    for second, slot, on in zip(seconds, slots.tolist(), on_grid.tolist(), strict=True):
        expected, over = divmod(second, grid.seconds)
        fits = -(2**31) <= expected < 2**31
        assert slot == (expected if fits else 0)
        assert on == (fits and over == 0)


@given(grids, st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_a_slot_comes_back_from_its_start(grid: SlotGrid, numbers: list[int]) -> None:
    """start_of and slot_of undo each other, scalar and vector forms agree."""
    slots = np.array(numbers, np.int32)
    starts = grid.start_of(slots)
    back, on_grid = grid.slot_of(starts)
    assert starts.dtype == np.int64
    assert np.array_equal(back, slots)
    assert on_grid.all()
    assert [grid.slot_at(s) for s in starts.tolist()] == numbers
    assert [grid.start_at(n) for n in numbers] == starts.tolist()


@given(grids, st.integers(-20_000, 50_000))
def test_a_utc_day_has_its_slots_and_no_other(grid: SlotGrid, day: int) -> None:
    """The first and the last slot of a day lie in it, their neighbours do not."""
    first = grid.first_slot_of_utc_day(day)
    edge = np.array([first - 1, first, first + grid.per_day - 1, first + grid.per_day], np.int32)
    assert grid.utc_day_of(edge).tolist() == [day - 1, day, day, day + 1]
    assert grid.per_day * grid.seconds == 86_400


def test_a_stamp_off_the_grid_is_refused_by_the_scalar_form() -> None:
    """It has no mask to answer with, so it raises and says by how much."""
    with pytest.raises(SlotError, match="1801 lies 1 s into a slot of 30 minutes"):
        SlotGrid(30).slot_at(1801)


def test_stamps_that_are_no_whole_numbers_are_refused() -> None:
    """Floats and 64-bit unsigned numbers would be rounded or wrapped in silence."""
    for bad in (np.array([1800.5]), np.array([1], np.uint64)):
        with pytest.raises(SlotError, match=f"type {bad.dtype}"):
            SlotGrid(30).slot_of(bad)


@pytest.mark.parametrize(("zone", "minutes"), FITTING)
def test_local_days_tile_the_slots_of_sixteen_years(zone: str, minutes: int) -> None:
    """All days 2020 to 2035: each begins where the one before ended, with a known count."""
    calendar = LocalCalendar(SlotGrid(minutes), zone)
    ranges = [calendar.day_slots(day) for day in DAYS]
    assert all(a.stop == b.start for a, b in pairwise(ranges))
    counts = {len(r) * minutes / 30 for r in ranges}
    assert counts == HALF_HOURS[zone]


@pytest.mark.parametrize("zone", ZONES)
def test_short_and_long_days_are_those_on_which_the_offset_changes(zone: str) -> None:
    """Counted from the offsets of midnights; two changes a year where clocks change."""
    calendar = CALENDARS[zone, 30]
    tz = module.load_zone(zone)
    changes = 0
    for day in DAYS:
        ends = (datetime(d.year, d.month, d.day, tzinfo=tz) for d in (day, day + timedelta(1)))
        before, after = (d.utcoffset() or timedelta() for d in ends)
        assert len(calendar.day_slots(day)) == 48 - (after - before) // timedelta(minutes=30)
        changes += before != after
    assert changes == (0 if zone == "UTC" else 32)


@pytest.mark.parametrize(("zone", "minutes"), FITTING)
def test_every_slot_of_sixteen_years_finds_its_local_day(zone: str, minutes: int) -> None:
    """The vector form agrees with the days' ranges on each slot, and does not depend on order."""
    calendar = LocalCalendar(SlotGrid(minutes), zone)
    ranges = [calendar.day_slots(day) for day in DAYS]
    slots = np.arange(ranges[0].start, ranges[-1].stop, dtype=np.int32)
    expected = np.repeat(
        np.array([day_number(d) for d in DAYS], np.int32), [len(r) for r in ranges]
    )
    order = np.random.default_rng(7).permutation(slots.size)
    shuffled = calendar.dates_of(slots[order])
    assert shuffled.dtype == np.int32
    assert np.array_equal(shuffled, expected[order])
    assert np.array_equal(calendar.dates_of(slots), expected)


@pytest.mark.parametrize("zone", ZONES)
def test_labels_of_half_hours_are_unique_and_lead_back(zone: str) -> None:
    """Sixteen years: 280,512 labels, no two equal, each parsed back to its slot and day."""
    calendar = CALENDARS[zone, 30]
    seen: set[str] = set()
    count = 0
    for day in DAYS:
        prefix = day.isoformat()
        for slot in calendar.day_slots(day):
            label = calendar.label(slot)
            assert label.startswith(prefix)
            assert datetime.fromisoformat(label).timestamp() == slot * 1800
            seen.add(label)
            count += 1
    assert len(seen) == count > 280_000


@given(calendars, days, st.integers(0, 200))
def test_a_slot_of_a_day_is_of_that_day(calendar: LocalCalendar, day: date, pick: int) -> None:
    """Scalar, vector and label agree with the range, for any zone, grid and day."""
    slots = calendar.day_slots(day)
    slot = slots[pick % len(slots)]
    assert calendar.date_of(slot) == day
    assert calendar.dates_of(np.array([slot], np.int32)).tolist() == [day_number(day)]
    assert calendar.label(slot).startswith(day.isoformat())
    assert date_of_day_number(day_number(day)) == day


@given(calendars, st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=30))
def test_days_are_those_that_the_zone_itself_tells(
    calendar: LocalCalendar, seconds: list[int]
) -> None:
    """Any time of 1970 to 2096, asked in any order: the date that a local clock would show."""
    fresh = LocalCalendar(calendar.grid, calendar.time_zone)
    zone = module.load_zone(calendar.time_zone)
    for second in seconds:
        slot = second // calendar.grid.seconds
        start = datetime.fromtimestamp(slot * calendar.grid.seconds, UTC).astimezone(zone)
        assert fresh.date_of(slot) == start.date()
        assert fresh.dates_of(np.array([slot])).tolist() == [day_number(start.date())]


def test_the_repeated_hour_stays_two_in_its_labels() -> None:
    """Paris, 27 October 2024: 02:00 and 02:30 come twice, told apart by their offset."""
    calendar = CALENDARS["Europe/Paris", 30]
    labels = [calendar.label(s) for s in calendar.day_slots(date(2024, 10, 27))]
    assert labels[4:8] == [
        "2024-10-27T02:00+02:00",
        "2024-10-27T02:30+02:00",
        "2024-10-27T02:00+01:00",
        "2024-10-27T02:30+01:00",
    ]


def test_an_hour_grid_does_not_fit_lord_howe() -> None:
    """Its midnights lie half an hour off in winter: the error says which slots would do."""
    with pytest.raises(
        SlotError,
        match=r"60 minutes do not fit Australia/Lord_Howe.*30 minutes into a slot; "
        r"take slots of 10 or 15 or 30 minutes",
    ):
        LocalCalendar(SlotGrid(60), "Australia/Lord_Howe")


def test_a_zone_of_quarter_hours_takes_quarter_hours_only() -> None:
    """Kathmandu is 5:45 ahead: refused at 30 minutes, 96 slots a day at 15."""
    with pytest.raises(SlotError, match="take slots of 15 minutes"):
        LocalCalendar(SlotGrid(30), "Asia/Kathmandu")
    calendar = LocalCalendar(SlotGrid(15), "Asia/Kathmandu")
    assert len(calendar.day_slots(date(2024, 6, 1))) == 96


@pytest.mark.parametrize("name", ["", "Paris", "../etc/passwd", "Europe", "/Europe/Paris", "é"])
def test_an_unknown_zone_is_refused_by_name(name: str) -> None:
    """Also what would climb out of the tz database's folder, or is a folder in it."""
    with pytest.raises(SlotError, match="unknown time zone"):
        LocalCalendar(SlotGrid(30), name)


def test_a_day_that_a_zone_skipped_has_no_slots() -> None:
    """Samoa left out 30 December 2011; the days about it still tile."""
    apia = LocalCalendar(SlotGrid(30), "Pacific/Apia")
    before, skipped, after = (apia.day_slots(date(2011, 12, 29) + timedelta(n)) for n in range(3))
    assert len(skipped) == 0
    assert before.stop == after.start
    assert apia.dates_of(np.array([after.start - 1, after.start])).tolist() == [
        day_number(date(2011, 12, 29)),
        day_number(date(2011, 12, 31)),
    ]


@pytest.mark.parametrize("slot", [-(2**31), -1, 2**31 - 1])
def test_a_slot_outside_the_known_years_is_refused(slot: int) -> None:
    """No table grows for a stamp in the wrong unit; vector and scalar forms say the same."""
    calendar = CALENDARS["UTC", 30]
    with pytest.raises(SlotError, match="outside the local days 1970-01-01 to 2099-12-31"):
        calendar.date_of(slot)
    with pytest.raises(SlotError, match="outside the local days"):
        calendar.dates_of(np.array([0, slot]))


def test_no_slots_have_no_days() -> None:
    """An empty batch is no special case for the caller."""
    assert CALENDARS["UTC", 30].dates_of(np.empty(0, np.int32)).size == 0
    slots, on_grid = SlotGrid(30).slot_of([])
    assert slots.size == on_grid.size == 0


def test_a_calendar_travels_to_another_process() -> None:
    """Pickled, it is made anew from its grid and zone and gives the same days."""
    calendar = CALENDARS["Europe/Paris", 30]
    copy = pickle.loads(pickle.dumps(calendar))
    assert repr(copy) == repr(calendar)
    assert copy.day_slots(date(2024, 3, 31)) == calendar.day_slots(date(2024, 3, 31))
