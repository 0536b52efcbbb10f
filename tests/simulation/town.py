"""Eight days of a town of fourteen meters in three partitions, with all that can be wrong in them.

The clocks change in most of its time zones, and its register grows meanwhile (see `registers`),
into a fourth partition too. Values keep away from the limits of the checks: those have tests of
their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from tests.simulation.registers import DAYS, EPOCH, FIRST_DAY, PARTITION, PARTITIONS
from wattstorm.metering import block as blocks

POISON_WH = 31_337
"""A reading of this energy makes its bolt raise, each time."""


@dataclass(frozen=True)
class Letter:
    """One block on its way: who sends it into which partition's log."""

    producer: str
    partition: int
    block: blocks.Block | bytes
    newest: int
    """The newest slot that is over when it is sent."""


class Town:
    """`letters`: blocks in the order of time. The same for the same arguments."""

    def __init__(
        self, seed: int, minutes: int, zone: str, count: int, partitions: int = PARTITIONS
    ) -> None:
        self.rng, self.partitions = random.Random(seed), partitions
        self.minutes, self.zone = minutes, ZoneInfo(zone)
        self.per_day = 1440 // minutes
        self.now = (FIRST_DAY - EPOCH).days * self.per_day + self.rng.randrange(self.per_day)
        self.end = self.now + DAYS * self.per_day
        self._sent: list[tuple[int, int, list[int], list[int], list[int], list[int]]] = []
        pace = max(1, (self.end - self.now) // max(1, count))
        self.letters = [self._letter(pace) for _ in range(count)]

    def last_words(self) -> list[Letter]:
        """One more block a partition: doubles or corrections, which show what is remembered."""
        out = []
        for partition in range(self.partitions):
            mine = [sent for sent in self._sent if sent[0] == partition]
            change = self.rng.randrange(2)
            block = self._again(mine[-1], change) if mine else self._near(partition, 1)
            out.append(Letter("ab"[change], partition, block, self.now))
        return out

    # --- blocks

    def _letter(self, pace: int) -> Letter:
        rng = self.rng
        self.now += rng.choice((0, 0, 0, 0, 1, pace, pace, 4 * pace))
        partition, who = rng.randrange(self.partitions), rng.choice("ab")
        makers: tuple[tuple[int, Callable[[int], blocks.Block | bytes]], ...] = (
            (55, lambda p: self._near(p, rng.choice((1, 1, 2, 6)))),
            (10, lambda p: self._near(p, rng.choice((self.per_day, 4 * self.per_day)))),
            (12, self._local_day),
            (12, self._repeated),
            (4, self._stray),
            (2, self._garbage),
            (1, self._elsewhere),
            (1, self._other_grid),
            (1, self._poison),
            (2, self._unreal),
        )
        weights, functions = zip(*makers, strict=True)
        block = rng.choices(functions, weights)[0](partition)
        return Letter(who, partition, block, self.now)

    def _near(self, partition: int, spread: int) -> blocks.Block:
        n = self.rng.randrange(1, 9)
        slots = [self.now - self.rng.randrange(spread) for _ in range(n)]
        return self._readings(partition, self._meters(partition, n), slots)

    def _readings(self, partition: int, meters: list[int], slots: list[int]) -> blocks.Block:
        rng, n = self.rng, len(meters)
        wh = [self._wh(meter) for meter in meters]
        version = [rng.choice((0, 0, 0, 1, 2)) for _ in range(n)]
        quality = [rng.choice((0, 0, 0, 1, 2)) for _ in range(n)]
        channel = int(rng.random() < 0.2)
        self._sent.append((partition, channel, meters, slots, wh, version))
        slot = slots[0] if len(set(slots)) == 1 else slots
        plain = rng.random() < 0.5
        return blocks.readings(
            partition,
            meters,
            slot,
            wh,
            version=0 if plain else version,
            quality=0 if plain else quality,
            channel=channel,
            slot_minutes=self.minutes,
        )

    def _meters(self, partition: int, n: int) -> list[int]:
        first = partition * PARTITION
        size = PARTITION + (self.rng.random() < 0.05)  # one more than there are
        return [first + self.rng.randrange(size) for _ in range(n)]

    def _wh(self, meter: int) -> int:
        rng = self.rng
        kind = rng.random()
        if kind < 0.85:
            return rng.randrange(0, 1500)
        if kind < 0.9:
            return -rng.randrange(1, 1500)
        if kind < 0.93:
            return 90_000_000
        return rng.randrange(66_000, 400_000) if meter % 5 == 1 else rng.randrange(3)

    def _local_day(self, partition: int) -> blocks.Block:
        """Curves of a day that is over or has begun, or of its morning; some values are missing."""
        rng = self.rng
        back = rng.choice((0, 1, 1, 2))
        start = datetime.fromtimestamp(self.now * self.minutes * 60, self.zone)
        day = start.date() - timedelta(days=back)
        low, high = self._midnight(day), self._midnight(day + timedelta(days=1))
        width = max(1, min(high, self.now + 1, low + rng.choice((3, 12, 60))) - low)
        first = partition * PARTITION
        meters = sorted(rng.sample(range(first, first + PARTITION), rng.randrange(1, 3)))
        wh = [
            [65535 if rng.random() < 0.05 else rng.randrange(1500) for _ in range(width)]
            for _ in meters
        ]
        wh[0][-1] = 7
        return blocks.curves(
            partition,
            meters,
            low,
            np.array(wh, np.uint16),
            channel=int(rng.random() < 0.2),
            version=rng.choice((0, 0, 1)),
            slot_minutes=self.minutes,
        )

    def _midnight(self, day: date) -> int:
        midnight = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        return int(midnight.timestamp()) // (self.minutes * 60)

    def _repeated(self, partition: int) -> blocks.Block:
        mine = [sent for sent in self._sent[-12:] if sent[0] == partition]
        if not mine:
            return self._near(partition, 2)
        return self._again(self.rng.choice(mine), self.rng.choice((0, 1, 1, 2)))

    def _again(self, sent: object, change: int) -> blocks.Block:
        """The same readings: as they were, as corrections, or in conflict with themselves."""
        partition, channel, meters, slots, wh, version = sent  # type: ignore[misc]
        if change == 1:
            version = [v + 1 for v in version]
        if change:
            wh = [max(0, w // 2 + self.rng.randrange(-400, 400)) for w in wh]
            wh = [self._wh(0) % 1500 if w > 10_000_000 else w for w in wh]
        return blocks.readings(
            partition,
            meters,
            slots,
            wh,
            version=version,
            channel=channel,
            slot_minutes=self.minutes,
        )

    def _stray(self, partition: int) -> blocks.Block:
        """A clock far ahead: alone, or one among a hundred and twenty."""
        rng = self.rng
        ahead = self.now + rng.choice((1, 3, self.per_day, 3 * self.per_day, 9 * self.per_day))
        if rng.random() < 0.5:
            return self._readings(partition, self._meters(partition, 1), [ahead])
        slots = [self.now - k % 12 for k in range(119)] + [ahead]
        first = partition * PARTITION
        return self._readings(partition, [first + k % 4 for k in range(120)], slots)

    def _garbage(self, partition: int) -> bytes:
        data = bytearray(blocks.encode(self._near(partition, 1)))
        cut = self.rng.randrange(3)
        if cut == 0:
            return self.rng.randbytes(self.rng.randrange(1, 90))
        if cut == 1:
            return bytes(data[: self.rng.randrange(1, len(data))])
        data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)
        return bytes(data)

    def _elsewhere(self, partition: int) -> bytes:
        """A block of another partition in this one's log."""
        return blocks.encode(self._near((partition + 1) % self.partitions, 1))

    def _other_grid(self, partition: int) -> blocks.Block:
        first = partition * PARTITION
        return blocks.readings(partition, [first], self.now * 2, [5], slot_minutes=15)

    def _poison(self, partition: int) -> blocks.Block:
        first = partition * PARTITION
        return blocks.readings(
            partition, [first, first + 1], self.now, [POISON_WH, 5], slot_minutes=self.minutes
        )

    def _unreal(self, partition: int) -> blocks.Block:
        """Nothing of it is taken, and its slots lie ahead: that must not move the stream."""
        first = partition * PARTITION
        slot = self.now + self.rng.choice((0, 2, 2 * self.per_day))
        wrong = self.rng.choice(((first + 2, -5), (first + 2, 90_000_000), (first + 7, 5)))
        return blocks.readings(partition, [wrong[0]], slot, [wrong[1]], slot_minutes=self.minutes)
