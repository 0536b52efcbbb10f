"""What a producer keeps in memory: blocks not yet taken, and blocks taken but maybe not on disk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wattstorm.store.durable import DurableProbe
from wattstorm.store.log import Log

LOOK_S: Final = 0.05
"""Between two questions to the store about its disk."""


@dataclass(slots=True)
class Held:
    """One encoded block; `lost`: the store had taken it and went back."""

    number: int
    data: bytes
    readings: int
    taken_at: float = 0.0
    lost: bool = False


@dataclass(slots=True)
class Lane:
    """One partition, in order of numbers: `held` ends at `last`, `pending` begins after it.

    begun: the store's last number when the producer began."""

    partition: int
    last: int = 0
    begun: int = 0
    pending: deque[Held] = field(default_factory=deque)
    held: deque[Held] = field(default_factory=deque)
    full: bool = False
    used_at: float = field(default_factory=time.monotonic)

    @property
    def next(self) -> int:
        return self.last + len(self.pending) + 1


class Lanes:
    """All lanes of a producer, and how much they hold together."""

    def __init__(self, lasts: Mapping[int, int]) -> None:
        self.of = {partition: Lane(partition, last, last) for partition, last in lasts.items()}
        self.pending = self.pending_bytes = self.held_bytes = 0

    def __iter__(self) -> Iterator[Lane]:
        return iter(self.of.values())

    def queue(self, lane: Lane, data: bytes, readings: int) -> None:
        lane.pending.append(Held(lane.next, data, readings))
        self.pending += 1
        self.pending_bytes += len(data)

    def choose(self, depth: int, size: int) -> list[tuple[Lane, Held]]:
        """Blocks for one pipeline; of a partition that was full only its first."""
        chosen: list[tuple[Lane, Held]] = []
        for lane in self.of.values():
            for held in lane.pending:
                chosen.append((lane, held))
                size -= len(held.data)
                if len(chosen) >= depth or size <= 0:
                    return chosen
                if lane.full:
                    break
        return chosen

    def take(self, lane: Lane) -> Held:
        """The lane's first pending block is in the store."""
        held = lane.pending.popleft()
        lane.full = False
        lane.last = held.number
        lane.used_at = held.taken_at = time.monotonic()
        lane.held.append(held)
        self.pending -= 1
        self.pending_bytes -= len(held.data)
        self.held_bytes += len(held.data)
        return held

    def drop_newest(self, lane: Lane) -> Held:
        """Give up the lane's last pending block; its number is free again."""
        held = lane.pending.pop()
        self.pending -= 1
        self.pending_bytes -= len(held.data)
        return held

    def go_back(self, lane: Lane, last: int) -> int:
        """The store has only numbers up to `last`; the first number that can be sent again."""
        newest, lane.last = lane.last, last
        while lane.held and lane.held[-1].number > last:
            held = lane.held.pop()
            held.lost = True
            lane.pending.appendleft(held)
            self.pending += 1
            self.pending_bytes += len(held.data)
            self.held_bytes -= len(held.data)
        first = lane.pending[0].number if lane.pending else newest + 1
        lane.last = first - 1
        return first

    def forget(self, lane: Lane, safe: Callable[[Held], bool]) -> None:
        """Let go of the oldest held blocks while they are safe."""
        while lane.held and safe(lane.held[0]):
            self.held_bytes -= len(lane.held.popleft().data)


class Safety:
    """Lets go of held blocks when nothing can lose them: on the store's disk, else old enough.

    `look` is False when the store went back meanwhile: then nothing is let go of.
    """

    def __init__(self, log: Log, name: str, lanes: Lanes, hold_s: float) -> None:
        self.log, self.name, self.lanes, self.hold_s = log, name, lanes, hold_s
        self._tells = log.connection.durable_supported
        self._probe: DurableProbe | None = None
        self._marks: dict[int, int] = {}
        self._looked_at = 0.0

    def look(self) -> bool:
        now = time.monotonic()
        if now < self._looked_at + LOOK_S:
            return True
        self._looked_at = now
        return self._ask_disk() if self._tells else self._go_by_age(now - self.hold_s)

    def reset(self) -> None:
        """Begin anew: after the store was away, an answer of before says nothing."""
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _ask_disk(self) -> bool:
        if self._probe is None:
            if self.lanes.held_bytes == 0:
                return True
            self._marks = {lane.partition: lane.last for lane in self.lanes}
            self._probe = self.log.connection.durable_probe()
            # The probe speaks of one run of the server: is it the one that took the blocks?
            return not self._gone_back(list(self._marks))
        if self._probe.reached():
            for lane in self.lanes:
                mark = self._marks[lane.partition]
                self.lanes.forget(lane, lambda held, mark=mark: held.number <= mark)  # type: ignore[misc]
            self.reset()
        return True

    def _go_by_age(self, limit: float) -> bool:
        old = [lane for lane in self.lanes if lane.held and lane.held[0].taken_at <= limit]
        if old and self._gone_back([lane.partition for lane in old]):
            return False
        for lane in old:
            self.lanes.forget(lane, lambda held: held.taken_at <= limit)
        return True

    def _gone_back(self, partitions: Sequence[int]) -> bool:
        lasts = self.log.last_numbers(self.name, partitions)
        mine = [self.lanes.of[p].last for p in partitions]
        return any(n < last for n, last in zip(lasts, mine, strict=True))
