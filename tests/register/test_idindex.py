"""The index from external id to dense index against numpy, and against damage."""

from __future__ import annotations

import doctest

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wattstorm.register import idindex


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 10**14 - 1) | st.integers(0, 300), min_size=1, max_size=900),
    st.lists(st.integers(0, 300), max_size=600),
)
def test_the_kernels_find_what_numpy_finds(known: list[int], wanted: list[int]) -> None:
    """Numbering and finding in the table equal sorting and bisecting in numpy."""
    ids = np.array(list(dict.fromkeys(known)), np.uint64)
    dense, numbered, table = idindex.number(np.zeros(0, np.uint64), np.array(known, np.uint64))
    assert numbered.tolist() == ids.tolist()
    assert ids[dense].tolist() == known
    assert len(table) == idindex.places_for(len(ids))
    asked = np.array(wanted + known, np.uint64)
    order = np.argsort(ids)
    at = np.minimum(np.searchsorted(ids[order], asked), len(ids) - 1)
    expected = np.where(ids[order][at] == asked, order[at], -1)
    assert idindex.find(asked, ids, table).tolist() == expected.tolist()


def test_ids_with_equal_tags_are_told_apart() -> None:
    """When a tag leads to another meter's place, the search goes on to the right one."""
    ids = np.arange(100, dtype=np.uint64)
    _, _, table = idindex.number(np.zeros(0, np.uint64), ids)
    used = np.flatnonzero(table)
    # A forged table: the same tags, every place pointing to the meter of another place.
    forged = table.copy()
    forged[used] = (table[used] & np.uint64(0xFFFFFFFF00000000)) | np.roll(
        table[used] & np.uint64(0xFFFFFFFF), 1
    )
    assert (idindex.find(ids, ids, forged) == -1).all()
    # A table of two places with one tag, the wrong meter first or last.
    one = idindex.number(np.zeros(0, np.uint64), np.array([7], np.uint64))[2]
    tag = one[one != 0][0] & np.uint64(0xFFFFFFFF00000000)
    both, asked = np.array([5, 7], np.uint64), np.array([7], np.uint64)
    for places in ([1, 2], [2, 1]):
        assert idindex.find(asked, both, tag | np.array(places, np.uint64)).tolist() == [1]


def test_a_damaged_table_never_reads_outside() -> None:
    """Whatever a full table of random bytes says, finding ends with -1 or a meter of that id."""
    rng = np.random.default_rng(3)
    ids = np.arange(50, dtype=np.uint64)
    for _ in range(50):
        table = rng.integers(1, 2**64, 97, np.uint64)
        found = idindex.find(ids, ids, table)
        assert ((found == -1) | (found == np.arange(50))).all()


def test_the_examples_in_the_docstrings_hold() -> None:
    """The table's length as its docstring prints it."""
    assert doctest.testmod(idindex).failed == 0
