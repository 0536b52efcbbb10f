"""Storm's side of a consumer: batches come as tuples, and are acknowledged or fail back.

What a batch goes through is `wattstorm.stream.consumer`'s, and what it does to the state is the
state's. A subclass names the log and the consumer, and makes the state.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from pystorm.exceptions import StormWentAwayError
from streamparse import Bolt

from wattstorm.errors import StoreError
from wattstorm.metering.warm import warm_up
from wattstorm.store.commit import AS_LONG_AS_NEEDED
from wattstorm.store.keys import READINGS
from wattstorm.store.log import Log
from wattstorm.stream.consumer import Consumer
from wattstorm.stream.outfit import Outfit
from wattstorm.stream.state import Scalars, State
from wattstorm.tuples import CHANGED_FIELDS, BatchRef, CheckedEmits

LOCK_S = 0.0005
"""How long another thread (a snapshot's) may hold Python's lock while the stream waits for it;
Python's own 5 ms are as long as a batch takes from the log to the sums."""


class MinibatchBolt(CheckedEmits, Bolt):
    """See the module. consumer_class: so that a test can put its own."""

    auto_ack = False
    auto_fail = True
    outputs = CHANGED_FIELDS

    log_name: ClassVar[str] = READINGS
    consumer_name: ClassVar[str]
    consumer_class: ClassVar[type[Consumer]] = Consumer

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        sys.setswitchinterval(LOCK_S)
        self.outfit = Outfit.of(conf, context, self.component_name)
        self.settings, self.versions = self.outfit.settings, self.outfit.versions
        self.consumer = self.consumer_class(
            Log(self.outfit.connection, self.settings.store.prefix, name=self.log_name),
            self.consumer_name,
            self.make_state,
            settings=self.settings,
            connection=self.outfit.connection,
            partitions=self.outfit.register.partitions,
            tasks=self.outfit.tasks,
            hold=self.hold(),
            first=self.first_scalars,
            announce=self.announce,
            failed=self.say_failed,
            logger=self.logger,
            instruments=self.outfit.instruments,
        )
        self.consumer.let_through = (StormWentAwayError,)
        self.quiet_until: dict[int, float] = {}
        self.at_work: Any = None
        warm_up()

    def make_state(self, partition: int, scalars: Scalars) -> State:
        """A new state of a partition, at position 0. scalars: what its fence holds."""
        raise NotImplementedError

    def hold(self) -> int:
        """How long the log is kept for it: see `stream.consumer`."""
        return AS_LONG_AS_NEEDED

    def first_scalars(self) -> Mapping[str, str]:
        """What is in force from position 0 on in a partition that nobody had before."""
        return {}

    def process(self, tup: Any) -> None:
        batch = BatchRef(*tup.values)
        self.at_work = tup
        done = self.consumer.process(batch.partition, batch.first, batch.last)
        (self.ack if done else self.fail)(tup)
        self.at_work = None
        if done:
            self.consumer.save_if_due(batch.partition)

    def announce(self, partition: int, position: int) -> None:
        """A bell for who publishes, which is heard at most once in `results.publish_ms`: so
        twice as often will do.

        Anchored to nothing: what to publish stands in the store, and no batch waits for it.
        """
        now = self.consumer.now()
        if now >= self.quiet_until.get(partition, 0.0):
            self.quiet_until[partition] = now + self.settings.results.publish_ms / 2000
            self.emit((partition, position), anchors=[])

    def say_failed(self, error: Exception) -> None:
        """Storm's page of errors; its "sync" is no more than a sign of life to a bolt."""
        self.raise_exception(error, self.at_work)

    def process_tick(self, tup: Any) -> None:
        self.consumer.tick()
        with suppress(StoreError):  # the partitions say so
            self.outfit.tell()
        self.ack(tup)

    def stop(self) -> None:
        self.consumer.stop()
