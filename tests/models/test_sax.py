"""SAX words: equal to pyts and tslearn, and to what the papers say."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import sax, sax_numpy
from models.alphabet import gaussian_breakpoints, learned_breakpoints
from wattstorm.errors import UsageError

Floats = npt.NDArray[np.float64]


def some_curves(n: int, slots: int, seed: int = 0) -> Floats:
    """Skewed loads with spikes, a few constant and nearly constant curves among them."""
    rng = np.random.default_rng(seed)
    x = rng.gamma(0.7, 400, (n, slots)).round(3)
    x[:: max(1, n // 9)] = rng.integers(0, 900, (len(x[:: max(1, n // 9)]), 1))
    return x


def off_ties(x: Floats, segments: int, alphabet: int) -> npt.NDArray[np.bool_]:
    """bool[n], curves none of whose segments lies on a breakpoint (to 1e-9)."""
    scale = sax_numpy.curve_scale(x)
    z = (sax.paa(x, segments) - scale[:, :1]) / scale[:, 1:]
    near = np.abs(z[:, :, None] - gaussian_breakpoints(alphabet)).min(axis=2)
    return np.asarray((near > 1e-9).all(axis=1))


@pytest.mark.parametrize("segments", [2, 4, 8, 12, 16])
@pytest.mark.parametrize("alphabet", [2, 3, 5, 8, 15])
def test_symbols_are_those_of_pyts_and_tslearn(segments: int, alphabet: int) -> None:
    """Symbol for symbol off breakpoint ties, for whole numbers too."""
    from pyts.approximation import PiecewiseAggregateApproximation, SymbolicAggregateApproximation
    from pyts.preprocessing import StandardScaler
    from tslearn.piecewise import SymbolicAggregateApproximation as Tslearn
    from tslearn.preprocessing import TimeSeriesScalerMeanVariance

    for x in (some_curves(600, 48), some_curves(600, 48).round(0)):
        good = off_ties(x, segments, alphabet)
        assert good.sum() > 500
        mine = [sax.symbols(sax.words(x, segments, alphabet), segments)]
        if (x == x.round(0)).all():
            whole = x.astype(np.uint16)
            mine.append(sax.symbols(sax.words(whole, segments, alphabet), segments))
        means = PiecewiseAggregateApproximation(window_size=None, output_size=segments).transform(
            StandardScaler().transform(x)
        )
        theirs = SymbolicAggregateApproximation(alphabet, "normal", alphabet="ordinal")
        pyts = theirs.transform(means)
        scaled = TimeSeriesScalerMeanVariance().fit_transform(x)
        tslearn = Tslearn(n_segments=segments, alphabet_size_avg=alphabet).fit_transform(scaled)
        for own in mine:
            assert np.array_equal(own[good], pyts[good])
            assert np.array_equal(own[good], tslearn[good, :, 0])


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 16),
    st.integers(2, 15),
    st.integers(0, 10**6),
    st.sampled_from([0.0, 0.1, 0.9]),
)
def test_compiled_and_numpy_words_are_equal(
    slots: int, segments: int, alphabet: int, seed: int, gaps: float
) -> None:
    """Any length, shorter than the segments too, with gaps, off ties."""
    x = some_curves(70, slots, seed)
    x[np.random.default_rng(seed).random(x.shape) < gaps] = np.nan
    scale = sax_numpy.curve_scale(x)
    z = (sax.paa(x, segments) - scale[:, :1]) / scale[:, 1:]
    near = np.abs(z[:, :, None] - gaussian_breakpoints(alphabet)).min(axis=2)
    good = (np.isnan(near) | (near > 1e-9)).all(axis=1)
    a = sax.words(x, segments, alphabet)
    assert np.array_equal(a[good], sax.words(x, segments, alphabet, kernel=sax_numpy)[good])
    if not gaps and slots % segments == 0:
        whole = x.round(0)
        good = off_ties(whole, segments, alphabet)
        fast = sax.words(whole.astype(np.uint16), segments, alphabet)
        assert np.array_equal(fast[good], sax.words(whole, segments, alphabet)[good])


def test_a_constant_curve_is_all_middle_and_a_gap_has_no_symbol() -> None:
    x = np.full((1, 48), 700.0)
    for form in (x, x.astype(np.uint16), x * 0, (x * 0).astype(np.uint16)):
        assert sax.spelt(sax.words(form, 4, 8)[0], 4) == "eeee"
    x[0, :12] = np.nan
    assert sax.spelt(sax.words(x, 4, 8)[0], 4) == ".eee"
    assert sax.spelt(sax.words(np.full((1, 48), np.nan), 4, 8)[0], 4) == "...."


def test_the_fast_way_holds_the_highest_sums() -> None:
    """All of 65,535 but one: a sum that float32 just holds."""
    x = np.full((3, 256), 65_535, np.uint16)
    x[1, 0], x[2, 128:] = 0, 65_534
    assert np.array_equal(sax.words(x, 16), sax.words(x.astype(np.float64), 16))


def test_fractional_segments_share_a_slot_by_its_parts() -> None:
    got = sax.paa([[1.0, 2.0, 3.0, 4.0, 5.0]], 2)
    assert np.allclose(got, [[(1 + 2 + 1.5) / 2.5, (1.5 + 4 + 5) / 2.5]])
    assert np.allclose(sax.paa([[1.0, 3.0]], 4), [[1, 1, 3, 3]])


def test_mindist_is_tslearns_and_never_above_the_distance_of_curves() -> None:
    from tslearn.piecewise import SymbolicAggregateApproximation as Tslearn

    x = np.random.default_rng(3).gamma(1, 300, (60, 48))
    z = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    w, edges = sax.words(x, 8, 8), gaussian_breakpoints(8)
    got = sax.mindist(w[:, None], w[None], 48, 8, edges)
    real = np.sqrt(((z[:, None] - z[None]) ** 2).sum(axis=2))
    assert (got <= real + 1e-9).all()
    assert got.max() > 3
    model = Tslearn(n_segments=8, alphabet_size_avg=8).fit(z)
    theirs: Any = model.distance_sax(*(s[:, None].astype(int) for s in sax.symbols(w[:2], 8)))
    assert np.isclose(got[0, 1], theirs)


def test_words_read_from_left_to_right_and_pack_back() -> None:
    day = np.arange(48, dtype=np.float64)[None]
    word = sax.words(day, 8, 8)
    assert sax.spelt(word[0], 8) == "abcdefgh"
    assert hex(word[0]) == "0x1234567"
    assert np.array_equal(sax.packed(sax.symbols(word, 8)), word)


def test_learned_breakpoints_make_symbols_equally_frequent() -> None:
    x = np.random.default_rng(1).gamma(0.5, 400, (4000, 48))
    z = (sax.paa(x, 8) - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    w = sax.words(x, 8, 8, breakpoints=learned_breakpoints(z, 8))
    share = np.bincount(sax.symbols(w, 8).ravel()) / (4000 * 8)
    assert np.allclose(share, 1 / 8, atol=0.01)
    gaussian = np.bincount(sax.symbols(sax.words(x, 8, 8), 8).ravel()) / (4000 * 8)
    assert np.abs(gaussian - 1 / 8).max() > 0.05


def test_what_cannot_be_meant_is_refused_with_a_remedy() -> None:
    x = np.ones((2, 48))
    for call in (
        lambda: sax.words(x, 17),
        lambda: sax.words(x, 0),
        lambda: sax.words(x, 8, 16),
        lambda: sax.words(x[0]),
        lambda: sax.words(np.ones((2, 0))),
        lambda: sax.words(x, 8, 4, breakpoints=[0.0]),
        lambda: sax.words(x, 8, 3, breakpoints=[1.0, 0.0]),
        lambda: learned_breakpoints([np.nan], 4),
    ):
        with pytest.raises(UsageError, match=";"):
            call()
