"""How common a word is among peers: counts of words by cohort (a tariff, a power class).

Whole words of 12 × 8 are nearly all distinct (96 % of real days), so they are poor keys: use
few segments and symbols to describe a cohort (4 × 3, as Miller's DayFilter has it).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.sax import Words


@dataclass(frozen=True)
class Motifs:
    """Words that occur, by cohort, most frequent first within a cohort.

    cohort: int32[n]; word: uint64[n]; count: int64[n]; days: int64[cohorts], days in all.
    """

    cohort: npt.NDArray[np.int32]
    word: Words
    count: npt.NDArray[np.int64]
    days: npt.NDArray[np.int64]

    @classmethod
    def count_of(cls, words: npt.ArrayLike, cohort: npt.ArrayLike) -> Motifs:
        """The table of words uint64[n] of cohorts int[n], numbered from 0."""
        spelled, group = np.asarray(words, np.uint64), np.asarray(cohort, np.int32)
        order = np.lexsort((spelled, group))
        spelled, group = spelled[order], group[order]
        new = np.ones(len(order), bool)
        new[1:] = (spelled[1:] != spelled[:-1]) | (group[1:] != group[:-1])
        first = np.flatnonzero(new)
        count = np.diff(np.append(first, len(order)))
        table = (group[first], spelled[first], count)
        by = np.lexsort((table[1], -count, table[0]))
        return cls(table[0][by], table[1][by], count[by], np.bincount(group))

    def __add__(self, other: Motifs) -> Motifs:
        """Both tables as one; the same whatever the order of parts."""
        cohorts = max(len(self.days), len(other.days))
        days = np.zeros(cohorts, np.int64)
        days[: len(self.days)] += self.days
        days[: len(other.days)] += other.days
        group = np.concatenate([self.cohort, other.cohort])
        word = np.concatenate([self.word, other.word])
        weight = np.concatenate([self.count, other.count])
        order = np.lexsort((word, group))
        group, word, weight = group[order], word[order], weight[order]
        new = np.ones(len(order), bool)
        new[1:] = (word[1:] != word[:-1]) | (group[1:] != group[:-1])
        count = np.add.reduceat(weight, np.flatnonzero(new)) if len(order) else weight
        group, word = group[new], word[new]
        by = np.lexsort((word, -count, group))
        return Motifs(group[by], word[by], count[by], days)

    def share(self, words: npt.ArrayLike, cohort: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """float64[n], the share of the cohort's days that have each word; 0 if none has."""
        asked, group = np.asarray(words, np.uint64), np.asarray(cohort, np.int64)
        order = np.lexsort((self.word, self.cohort))
        key = np.rec.fromarrays([self.cohort[order].astype(np.int64), self.word[order]])
        at = np.searchsorted(key, np.rec.fromarrays([group, asked]))
        inside = np.minimum(at, max(len(key) - 1, 0))
        if not len(key):
            return np.zeros(len(asked))
        row = order[inside]
        hit = (at < len(key)) & (self.word[row] == asked) & (self.cohort[row] == group)
        known = group < len(self.days)
        days = self.days[np.where(known, group, 0)]
        return np.where(hit & known, self.count[row] / np.maximum(days, 1), 0.0)

    def top(self, cohort: int, most: int = 10) -> list[tuple[int, int]]:
        """(word, days) of the commonest words of a cohort."""
        rows = np.flatnonzero(self.cohort == cohort)[:most]
        return [(int(self.word[i]), int(self.count[i])) for i in rows]
