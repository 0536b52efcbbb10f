"""The compiled kernels and their numpy form are one function."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wattstorm.metering import block as blocks
from wattstorm.metering import kernels, kernels_numpy
from wattstorm.metering.block import Columns, rank_of
from wattstorm.metering.checks import ACCEPTED, COUNTERS, DOUBLES, OUTCOMES, join_entries
from wattstorm.metering.daystore import DayStore, Window
from wattstorm.metering.kernels import apply_readings, undo_readings
from wattstorm.metering.warm import warm_up

SIZE, FIRST, LOW = 12, 100, 48 * 1000


def a_store(kernel: Any) -> DayStore:
    store = DayStore(FIRST, SIZE, per_day=48, days=3, classes=4, kernel=kernel)
    store.open_from(LOW)
    meters = np.arange(SIZE)
    store.entries = np.stack(
        [
            join_entries(meters % 4, meters % 3 == 0, 500 * meters * meters, meters != 5),
            join_entries((meters + 1) % 4, meters % 3 == 0, 500 * meters * meters, meters != 6),
        ]
    )
    store.table_of_row[48:] = 1
    return store


@st.composite
def blocks_of_readings(draw: st.DrawFn) -> Columns:
    n = draw(st.integers(1, 60))
    near = st.integers(LOW - 3, LOW + 150)
    slot = draw(st.lists(st.one_of(near, st.integers(0, 2**31 - 1)), min_size=n, max_size=n))
    wide = draw(st.booleans())
    value = st.integers(-70_000, 70_000) if wide else st.integers(0, 65_535)
    few = st.sampled_from([0, 1, 5, 400, 65_533, 65_534, 65_535])
    wh = draw(st.lists(st.one_of(few, value), min_size=n, max_size=n))
    version = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    constant = draw(st.booleans())
    return Columns(
        np.array(
            draw(st.lists(st.integers(FIRST - 2, FIRST + SIZE + 1), min_size=n, max_size=n)),
            np.uint32,
        ),
        np.array(slot[:1] if constant else slot, np.int32),
        np.array(wh, np.int32 if wide else np.uint16),
        rank_of(version[:1] if constant else version, 0).astype(np.int32),
    )


def state(store: DayStore) -> list[Any]:
    """All that a reader of the store could see."""
    held = {
        (s, m): store.held(s, m)
        for s in range(LOW, LOW + store.rows)
        for m in range(FIRST, FIRST + SIZE)
        if store.cells[store.row_of(s), m - FIRST]
    }
    return [held, store.sum_wh.tolist(), store.sum_n.tolist(), store.revisions.tolist()]


@settings(max_examples=150)
@given(st.lists(blocks_of_readings(), min_size=1, max_size=5))
def test_compiled_and_numpy_kernels_give_equal_results(stream: list[Columns]) -> None:
    """Same outcomes, counts, sums and held values for any readings, valid or not."""
    window = Window(LOW, LOW + 140, LOW + 1, LOW + 60)
    compiled, plain = a_store(kernels), a_store(kernels_numpy)
    for columns in stream:
        a, a_days = compiled.apply(columns, window)
        b, b_days = plain.apply(columns, window)
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a_days, b_days)
        assert a_days[:, :OUTCOMES].sum() == len(columns.meter)
        assert a_days.shape == (4, COUNTERS)
        for few in (0, len(columns.meter) // 2):
            more = compiled.accepts_more(columns, LOW + 50, few)
            assert more == plain.accepts_more(columns, LOW + 50, few)
            single = columns._replace(slot=np.array([LOW + 50], np.int32))
            fresh = a_store(kernels_numpy).apply(single, window)[0]
            assert more == (np.isin(fresh, [*ACCEPTED, *DOUBLES]).sum() > few)
    assert state(compiled) == state(plain)
    assert compiled.changes() == plain.changes()


@settings(max_examples=100)
@given(
    st.lists(blocks_of_readings(), min_size=1, max_size=4),
    st.lists(blocks_of_readings(), min_size=1, max_size=4),
    st.sampled_from([kernels, kernels_numpy]),
)
def test_undo_takes_back_everything_since_keep(
    kept: list[Columns], undone: list[Columns], kernel: Any
) -> None:
    """A batch whose commit failed leaves no trace: its replay meets no double of itself."""
    window = Window(LOW, LOW + 140, -1, LOW + 60)
    store = a_store(kernel)
    for columns in kept:
        store.apply(columns, window)
    store.keep()
    before = state(store)
    first = [store.apply(columns, window)[0].tolist() for columns in undone]
    store.undo()
    assert state(store) == before
    assert store.changes() == {}
    again = [store.apply(columns, window)[0].tolist() for columns in undone]
    assert again == first


def one_reading() -> Columns:
    """77 Wh of one meter in the sixth slot, version 3."""
    values = (FIRST + 3, np.uint32), (LOW + 5, np.int32), (77, np.uint16), (3, np.int32)
    return Columns(*(np.array([x], t) for x, t in values))


def test_undo_reopens_a_day_that_the_batch_closed() -> None:
    """Rows given to a new day within an uncommitted batch come back with their values."""
    store = a_store(kernels)
    old = one_reading()
    store.apply(old, Window(LOW, LOW + 140, -1, 0))
    store.keep()
    before = state(store)
    store.open_from(LOW + 48)
    new = old._replace(slot=np.array([LOW + 5 + 144], np.int32), wh=np.array([9], np.uint16))
    store.apply(new, Window(LOW + 48, LOW + 190, -1, 0))
    assert store.held(LOW + 149, FIRST + 3) == (9, 3)
    store.undo()
    assert state(store) == before


def test_a_slot_that_changed_and_closed_in_one_batch_is_still_reported() -> None:
    """Its last sums are among the changes, under its own slot."""
    store = a_store(kernels)
    one = one_reading()
    store.apply(one, Window(LOW, LOW + 140, -1, 0))
    store.open_from(LOW + 48)
    changes = store.changes()
    assert list(changes) == [LOW + 5]
    assert changes[LOW + 5].wh.sum() == 77


def test_the_table_beside_grows_and_forgets_closed_days() -> None:
    """Thousands of corrected values are held exactly; a closed day's are dropped."""
    store = DayStore(0, 5000, 48, 2, 1)
    store.open_from(LOW)
    store.entries = join_entries(
        np.zeros(5000), np.zeros(5000, bool), np.full(5000, 10**6), np.ones(5000, bool)
    )[None]
    meters = np.arange(5000, dtype=np.uint32)
    wh = np.arange(5000, dtype=np.int32) + 66_000
    rank = rank_of(7, 0).reshape(1).astype(np.int32)
    for day in range(4):
        store.open_from(LOW + 48 * day)
        slot = np.array([LOW + 48 * day + 1], np.int32)
        store.apply(Columns(meters, slot, wh, rank), Window(0, 2**31 - 1, -1, 0))
        store.keep()
        assert store.held(int(slot[0]), 4321) == (70_321, 31)
    assert len(store.keys) <= 1 << 16


def test_after_warming_up_no_block_of_any_form_compiles_a_kernel() -> None:
    """Readings and curves, 16 and 32 bits, one slot and many: a first block is like any other."""
    warm_up()
    known = {kernel: len(kernel.signatures) for kernel in (apply_readings, undo_readings)}
    store = DayStore(0, 3, 48, 2, 4)
    store.open_from(48)
    for wh in (5, 100_000):
        narrow = np.uint16 if wh == 5 else np.int32
        for made in (
            blocks.readings(0, [0, 1], 50, [wh, wh]),
            blocks.readings(0, [0, 1], [50, 51], [wh, wh], version=[1, 2], quality=[1, 2]),
            blocks.curves(0, [0, 2], 48, np.full((2, 40), wh, narrow), version=[1, 2]),
        ):
            columns = blocks.decode(blocks.encode(made)).columns
            store.apply(columns, Window(48, 144, -1, 0))
            store.undo()
    assert {kernel: len(kernel.signatures) for kernel in known} == known
