"""Words on the household's scale, and how common they are among peers."""

from __future__ import annotations

import numpy as np

from models import sax_numpy
from models.household import HouseholdScale
from models.motifs import Motifs
from models.sax import packed, spelt, symbols

RNG = np.random.default_rng(5)


def some_homes(days: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Ten homes of very different level."""
    level = np.repeat(np.geomspace(20, 2000, 10), days)
    shape = 1 + 0.8 * np.sin(np.arange(48) / 48 * 2 * np.pi)
    x = level[:, None] * shape * RNG.gamma(4, 0.25, (10 * days, 48))
    return x, np.repeat(np.arange(10), days)


def test_level_shows_in_household_words_and_not_in_textbook_ones() -> None:
    x, home = some_homes()
    scale = HouseholdScale.learn(x, home, 8)
    low, usual, high = (
        symbols(scale.words(x[:1] * f, [0], 8), 8).astype(int).sum() for f in (0.1, 1, 3)
    )
    assert low < usual - 8
    assert high > usual + 8
    assert spelt(scale.words(x[:1] * 0, [0], 8)[0], 8) == "a" * 8


def test_homes_of_any_level_spell_alike() -> None:
    x, home = some_homes()
    for learned in (True, False):
        scale = HouseholdScale.learn(x, home, 8, learned=learned)
        w = symbols(scale.words(x, home, 8), 8)
        means = [w[home == h].mean() for h in range(10)]
        assert np.ptp(means) < 0.2
        assert np.array_equal(w, symbols(scale.words(x, home, 8, kernel=sax_numpy), 8))


def test_a_home_without_readings_has_a_scale() -> None:
    x, home = some_homes()
    x[home == 3] = np.nan
    x[home == 4] = 0
    scale = HouseholdScale.learn(x, home, 8)
    assert np.isfinite(scale.base).all()
    assert spelt(scale.words(x[home == 3][:1], [3], 8)[0], 8) == "." * 8


def test_motifs_count_words_by_cohort_and_add_up_from_parts() -> None:
    w = packed(RNG.integers(0, 3, (3000, 4)))
    cohort = RNG.integers(0, 5, 3000)
    whole = Motifs.count_of(w, cohort)
    assert whole.count.sum() == 3000
    some = (w == whole.word[0]) & (cohort == whole.cohort[0])
    assert whole.top(0)[0][1] == some.sum() == whole.count[whole.cohort == 0].max()
    share = whole.share(w, cohort)
    peers = w[cohort == cohort[0]]
    assert np.isclose(share[0], (peers == w[0]).mean())
    assert whole.share(packed([[9, 9, 9, 9]]), [0]).tolist() == [0.0]
    assert whole.share(w[:1], [77]).tolist() == [0.0]
    parts = [Motifs.count_of(w[i::3], cohort[i::3]) for i in range(3)]
    for order in ((0, 1, 2), (2, 0, 1)):
        a, b, c = (parts[i] for i in order)
        both = a + b + c
        for name in ("cohort", "word", "count", "days"):
            assert np.array_equal(getattr(both, name), getattr(whole, name)), name
