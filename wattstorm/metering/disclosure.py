"""Which curves are withheld so that no difference of published ones shows a few meters.

Published are totals of a table of classes, tariffs by regions: the nation, each tariff, each
region. A total of few meters is withheld; but what is withheld may follow from the others
(nation less all other tariffs), and so may groups that are no curve at all (a tariff less a
region that is all in it). Statistical offices call the first step primary, the second
complementary suppression (Hundepool et al., Statistical Disclosure Control, 2012, chapter 4).

The table is a network (Gusfield 1988, "A graph theoretic approach to statistical data
security"): its arcs are the totals, the nation from `sink` to `source`, a tariff from source to
its node, a class from its tariff's node to its region's, a region from its node to the sink; and
what flows into a node flows out of it. What is published is taken out. Exactly those groups can
be worked out that are all arcs between a set of nodes and the rest, all pointing out of it: the
incidence matrix is totally unimodular, so a sum of whole groups is a union of such cuts. So a
table is safe if every such cut is big enough, and a cut that is not wants one more arc across it
withheld.

It speaks of one table at one time. Who sees two revisions of a slot sees their difference.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import UsageError

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_FOREVER: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Rule:
    """A group may be shown if it has `group_size` meters and none has more than `dominance` of
    its energy. 15/15 is what energy regulators of several states of the USA ask (California
    Public Utilities Commission, decision 14-05-016)."""

    group_size: int = 15
    dominance: float = 0.15

    def __post_init__(self) -> None:
        if self.group_size < 1 or not 0 < self.dominance <= 1:
            raise UsageError(
                f"a rule of {self.group_size} meters and a share of {self.dominance}",
                "at least 1 meter, and a share above 0 and up to 1",
            )


@dataclass(frozen=True, slots=True)
class Withheld:
    """nation: bool; tariff: bool[tariffs]; region: bool[regions]."""

    nation: bool
    tariff: Flags
    region: Flags


@dataclass(slots=True)
class _Arc:
    """One total. size: meters in it, fewer than asked where one dominates; cost: meters lost
    to readers with it."""

    tail: int
    head: int
    size: int
    cost: int
    known: bool


def withheld(
    meters: Counts, rule: Rule, dominated: Withheld | None = None, *, regions: bool = True
) -> Withheld:
    """What may not be shown of a table.

    meters: int64[tariffs, regions], of each class; dominated: totals in which one meter has more
    than its share, as far as that is known; regions: whether curves of regions are shown at all.

    >>> withheld(np.array([[40], [30], [3]]), Rule(15)).tariff.tolist()
    [False, True, True]
    """
    return _Table(meters, rule, dominated, regions).settled()


class _Table:
    def __init__(
        self, meters: Counts, rule: Rule, dominated: Withheld | None, regions: bool
    ) -> None:
        self.enough = rule.group_size
        self.shape = t, r = meters.shape
        self.source, self.sink = t + r, t + r + 1
        by_tariff, by_region = meters.sum(axis=1).tolist(), meters.sum(axis=0).tolist()
        if dominated is None:
            dominated = Withheld(False, np.zeros(t, np.bool_), np.zeros(r, np.bool_))
        self.nation = self._total(self.sink, self.source, int(meters.sum()), dominated.nation)
        self.tariffs = [
            self._total(self.source, i, n, bool(dominated.tariff[i]))
            for i, n in enumerate(by_tariff)
        ]
        self.regions = [
            self._total(t + j, self.sink, n, bool(dominated.region[j]), shown=regions)
            for j, n in enumerate(by_region)
        ]
        classes = [
            _Arc(int(i), t + int(j), int(meters[i, j]), 0, known=False)
            for i, j in zip(*np.nonzero(meters), strict=True)
        ]
        self.totals = [self.nation, *self.tariffs, *self.regions]
        self.arcs = [*self.totals, *classes]

    def _total(self, tail: int, head: int, n: int, dominated: bool, shown: bool = True) -> _Arc:
        """A total of nobody is zero, as everybody knows."""
        size = min(n, self.enough - 1) if dominated else n
        return _Arc(tail, head, size, n, known=shown and (n == 0 or size >= self.enough))

    def settled(self) -> Withheld:
        while (beyond := self._small_cut()) is not None:
            across = [
                arc
                for arc in self.totals
                if arc.known and (arc.tail in beyond) != (arc.head in beyond)
            ]
            # A total of nobody adds nothing, and is known all the same.
            across = [arc for arc in across if arc.cost] or across
            least = min(across, key=lambda arc: arc.cost)
            least.known = False
        return Withheld(
            not self.nation.known,
            np.array([not arc.known for arc in self.tariffs], np.bool_),
            np.array([not arc.known for arc in self.regions], np.bool_),
        )

    def _small_cut(self) -> set[int] | None:
        """Nodes out of which unknown arcs lead, none into them, all together too small a group."""
        unknown = [arc for arc in self.arcs if not arc.known and arc.size]
        for arc in unknown:
            if arc.size < self.enough:  # a cut with a big arc is big
                beyond = self._cut(unknown, arc)
                if beyond is not None:
                    return beyond
        return None

    def _cut(self, unknown: list[_Arc], through: _Arc) -> set[int] | None:
        """The smallest such cut with this arc in it, by its nodes; None if it is big enough.

        A largest flow is a smallest cut (Ford, Fulkerson 1956); against an arc it may be as
        large as it likes, so that no arc of the smallest cut points inwards.
        """
        room: dict[int, dict[int, int]] = {}
        for arc in unknown:
            ahead, back = room.setdefault(arc.tail, {}), room.setdefault(arc.head, {})
            ahead[arc.head] = ahead.get(arc.head, 0) + arc.size
            back[arc.tail] = _FOREVER
        flow = 0
        while flow < self.enough:
            came = _paths(room, through.tail, through.head)
            if through.head not in came:
                return set(came)
            path, node = [], through.head
            while node != through.tail:
                path.append((came[node], node))
                node = came[node]
            step = min(room[a][b] for a, b in path)
            for a, b in path:
                room[a][b] -= step
                room[b][a] += step
            flow += step
        return None


def _paths(room: dict[int, dict[int, int]], start: int, end: int) -> dict[int, int]:
    """Node → the one before it, of all that can be reached (until `end` is), breadth first."""
    came, waiting = {start: start}, deque([start])
    while waiting and end not in came:
        node = waiting.popleft()
        for other, left in room[node].items():
            if left > 0 and other not in came:
                came[other] = node
                waiting.append(other)
    return came
