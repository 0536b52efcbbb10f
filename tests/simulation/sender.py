"""A producing process: a real Producer, and what it has still to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation.actors import Incident
from wattstorm.errors import BlocksLost, LogFull, StoreError, StreamError
from wattstorm.metering import block as blocks
from wattstorm.store.log import Log
from wattstorm.store.producer import Producer

if TYPE_CHECKING:
    from tests.simulation.world import World


class Sender:
    """`name`: the producer's; one that comes after another resends its last blocks.

    `at`: the next letter. `sent`: (partition, bytes) of all blocks that it was to send. `lost`,
    `taken`: it said that blocks are missing in the log, or that another process has its name.
    `strayed`: partitions of one that began, or sent them something, while the address led
    elsewhere, and has sent them nothing at home since.
    """

    def __init__(self, world: World, name: str, at: int = 0) -> None:
        self.world, self.name, self.at = world, name, at
        self.letters = [letter for letter in world.town.letters if letter.producer == name]
        """Those of a partition that no register has yet are passed over."""
        self.actor = world.actor(f"producer {name}")
        self.producer: Producer | None = None
        self.lost = self.taken = False
        self.strayed: set[int] = set()
        self.sent: list[tuple[int, bytes]] = []

    def successor(self, world: World, back: int) -> Sender:
        return Sender(world, self.name, max(0, self.at - back % 3))

    @property
    def newest(self) -> int:
        return self.letters[self.at - 1].newest if self.at else 0

    @property
    def done(self) -> bool:
        """Nothing is left to send or to be held until it is safe, or nobody who could."""
        if self.actor.dead or self.taken:
            return True
        if self.at < len(self.letters) or self.actor.busy or self.producer is None:
            return False
        return not (self.producer.lanes.pending or self.producer.lanes.held_bytes)

    def send(self, count: int, incident: Incident | None = None) -> None:
        self.actor.run(lambda: self._send(count), incident)

    def flush(self) -> None:
        self.actor.run(lambda: self._send(0))

    def _send(self, count: int) -> None:
        try:
            producer = self._opened()
            for _ in range(count):
                if self.at < len(self.letters):
                    self.at += 1
                    self._queue(producer, self.letters[self.at - 1])
            appended = {lane.partition for lane in producer.lanes if lane.pending}
            producer.flush()
            if self.world.away is None:
                self.strayed -= appended  # or home had said that it does not know its numbers
            else:
                self.strayed |= {lane.partition for lane in producer.lanes if lane.held}
        except BlocksLost:
            self.lost = True
        except (LogFull, StoreError):
            pass
        except StreamError:
            self.taken = True

    def _queue(self, producer: Producer, letter: Any) -> None:
        if letter.partition >= self.world.newest.register.partitions:
            return
        if isinstance(letter.block, blocks.Block):
            producer.send(letter.block)
        else:
            lane = producer.lanes.of[letter.partition]
            producer.lanes.queue(lane, letter.block, 1)
            producer.flush()

    def _opened(self) -> Producer:
        if self.producer is None:
            world = self.world
            self.producer = Producer(
                Log(world.connection(), world.settings.store.prefix),
                self.name,
                range(world.partitions),
                backlog_bytes=world.rules.backlog * 3,
                depth=1 + self.at % 4,
                hold_s=3.0,
                when_full=world.settings.log.when_full,
            )
            self.strayed = set(range(world.partitions)) if world.away else set()
            self._note(self.producer)
        return self.producer

    def _note(self, producer: Producer) -> None:
        queue = producer.lanes.queue

        def noted(lane: Any, data: bytes, readings: int) -> None:
            self.sent.append((lane.partition, data))
            queue(lane, data, readings)

        producer.lanes.queue = noted  # type: ignore[method-assign]
