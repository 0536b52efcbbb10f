"""Where batches come from: references to ranges of the log, in order, never their content.

The spout plans from the fence: of each partition it owns, the positions after
the fence, at most `batch.max_blocks` at a time and `batch.pending` in flight.
A failed batch takes the later ones of its partition with it: all are planned
again from wherever the fence stands then, under a new attempt number. So are
batches of which nothing was heard for a while, long before Storm gives them up:
their bolt may have died with its worker. One that was only slow finds them at
or below its fence and ignores them.

Where all is committed but the log not yet trimmed, the last position is emitted
again now and then (a knock): it changes nothing, but a partition that lost its
task gets one, and only a task saves and trims. Else a log at its bound would
take nothing more, and with nothing more to emit nobody would ever empty it.

How many partitions there are, the store's card says: a register that grows adds some while
the stream runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, ClassVar

from streamparse import Spout

from wattstorm.errors import StoreError
from wattstorm.store.control import partitions_of
from wattstorm.store.keys import READINGS, SUMS
from wattstorm.stream.outfit import Outfit
from wattstorm.tuples import BATCH_FIELDS, BatchRef, CheckedEmits

WAIT_MS, QUIET_WAIT_MS = 5, 50
"""How long to wait in the store for the next entry: while batches are under way, whose acks wait
meanwhile, and while none is. An entry ends the wait, so neither adds to anybody's latency."""
PART_FULL = 2
"""Batches that are not full are sent up to so many in flight: the one that is worked at and the
one behind it. What comes meanwhile goes together into the next: one commit instead of many."""
POLL_S, FULL_POLL_S = 0.002, 0.02
"""Pause between two looks at the log while it cannot be waited for; and while nothing but a batch
that is full could be sent of any partition, if no ack comes before."""
CHECK_S = 1.0
"""How often the fence of a partition at rest is asked: the store may have gone back."""
KNOCK_S = 5.0
"""How often a partition at rest is knocked at, as long as its log holds entries."""
BACKOFF_S = (0.05, 2.0)
"""First and longest pause after a failure."""
PATIENCE_S = (5.0, 80.0)
"""How long nothing need be heard of a partition's batches until they are planned again; it
doubles each time, so that a bolt that replays a long log is not flooded."""


@dataclass
class _Plan:
    """What is in flight of one partition."""

    next: int | None = None
    attempt: int = 0
    pending: dict[str, BatchRef] = field(default_factory=dict)
    retry_at: float = 0.0
    backoff: float = BACKOFF_S[0]
    heard_at: float = 0.0
    patience: float = PATIENCE_S[0]
    knock_at: float = 0.0

    def restart(self) -> None:
        """Plan from the fence again; nothing that is in flight counts."""
        self.pending.clear()
        self.next = None
        self.knock_at = 0.0


class ReadingsSpout(CheckedEmits, Spout):
    """Emits (partition, first, last, attempt) for the partitions p with p % tasks == its index."""

    outputs = BATCH_FIELDS
    log_name: ClassVar[str] = READINGS
    consumer_name: ClassVar[str] = SUMS

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        self.outfit = outfit = Outfit.of(conf, context, self.component_name)
        batch = outfit.settings.batch
        self._max_blocks, self._pending = batch.max_blocks, batch.pending
        self._log = outfit.store.log_of(self.log_name)
        self._plans: dict[int, _Plan] = {}
        self._grow(outfit.register.partitions)
        self._poll_at, self._down = 0.0, False
        self._check_at = 0.0

    def next_tuple(self) -> None:
        """Emit what the log holds beyond what is in flight; nothing if it holds nothing."""
        now, outfit = time.monotonic(), self.outfit
        if now < self._poll_at:
            return
        ready = [
            p
            for p, plan in self._plans.items()
            if len(plan.pending) < self._pending and now >= plan.retry_at
        ]
        try:
            outfit.tell()
            if now >= self._check_at:
                self._check_at = now + CHECK_S
                self._check_fences(now)
                self._grow(partitions_of(outfit.connection, outfit.store.prefix))
            emitted = bool(ready) and self._emit_ready(ready)
            found = None if emitted else self._wait()
            for partition, position in (found or {}).items():
                # At once, by what was waited for: neither Storm's nap nor another question.
                self._send_up_to(partition, position)
        except StoreError as error:
            if not self._down:
                self.logger.error("the store does not answer, the spout waits: %s", error)
            self._down, self._poll_at = True, now + BACKOFF_S[1] / 4
            return
        self._down = False
        if emitted or found is not None:
            return
        full = all(len(self._plans[p].pending) >= PART_FULL for p in ready)
        self._poll_at = now + (FULL_POLL_S if full else POLL_S)

    def _grow(self, partitions: int) -> None:
        for p in range(self.outfit.index, partitions, self.outfit.tasks):
            self._plans.setdefault(p, _Plan())

    def _wait(self) -> dict[int, int] | None:
        """Wait until a log holds more, for some ms: partition → its next position, where there is
        one. None at once if more could not be sent."""
        positions: dict[int, int] = {}
        for partition, plan in self._plans.items():
            if plan.next is None or len(plan.pending) >= min(self._pending, PART_FULL):
                return None
            positions[partition] = plan.next - 1
        busy = any(plan.pending for plan in self._plans.values())
        if not positions:
            return None
        return self._log.wait_beyond(positions, WAIT_MS if busy else QUIET_WAIT_MS)

    def _check_fences(self, now: float) -> None:
        """Plan anew what nothing is heard of, and what is in the sums no longer: the store
        went back after it was acknowledged."""
        resting = []
        planned = {p: plan for p, plan in self._plans.items() if plan.next is not None}
        fences = self._fences([p for p, plan in planned.items() if not plan.pending])
        for partition, plan in planned.items():
            if plan.pending:
                if now - plan.heard_at > plan.patience:
                    self.logger.warning(
                        "partition %d: nothing heard of %d batches for %.0f s, planned again: %s",
                        partition,
                        len(plan.pending),
                        now - plan.heard_at,
                        ", ".join(plan.pending),
                    )
                    plan.patience = min(2 * plan.patience, PATIENCE_S[1])
                    plan.restart()
            elif plan.next is not None and fences[partition] < plan.next - 1:
                plan.restart()
            elif fences[partition] and now >= plan.knock_at:
                resting.append(partition)
        self._knock(resting, now)

    def _knock(self, partitions: list[int], now: float) -> None:
        """Give each partition whose log holds nothing but what is committed to a bolt."""
        for partition, head in zip(partitions, self._log.statuses(partitions), strict=True):
            plan = self._plans[partition]
            if plan.next == head.tail + 1 > head.first:
                plan.knock_at = now + KNOCK_S
                self._send(plan, BatchRef(partition, head.tail, head.tail, plan.attempt))

    def _fences(self, partitions: list[int]) -> dict[int, int]:
        return self.outfit.store.fences(partitions, self.log_name, self.consumer_name)

    def _send(self, plan: _Plan, batch: BatchRef) -> None:
        if not plan.pending:
            plan.heard_at = time.monotonic()
        plan.pending[batch.tuple_id] = batch
        self.outfit.instruments.count("batches")
        self.outfit.instruments.count("blocks", batch.last - batch.first + 1)
        self.emit(batch, tup_id=batch.tuple_id)

    def _emit_ready(self, partitions: list[int]) -> bool:
        emitted = False
        fences = self._fences([p for p in partitions if self._plans[p].next is None])
        for partition, tail in zip(partitions, self._log.tails(partitions), strict=True):
            plan = self._plans[partition]
            if plan.next is None:
                plan.next = fences[partition] + 1
                plan.attempt += 1
            if tail < plan.next - 1 and not plan.pending:
                plan.next = None  # the store went back: plan again from its fence
                continue
            emitted |= self._send_up_to(partition, tail)
        return emitted

    def _send_up_to(self, partition: int, tail: int) -> bool:
        """Batches of what is not in flight yet, as many as may be; whether there were any."""
        plan, emitted = self._plans[partition], False
        while plan.next is not None and len(plan.pending) < self._pending and plan.next <= tail:
            last = min(tail, plan.next + self._max_blocks - 1)
            if last - plan.next + 1 < self._max_blocks and len(plan.pending) >= PART_FULL:
                break
            self._send(plan, BatchRef(partition, plan.next, last, plan.attempt))
            plan.next = last + 1
            emitted = True
        return emitted

    def ack(self, tup_id: str) -> None:
        plan = self._plans[BatchRef.from_id(tup_id).partition]
        if plan.pending.pop(tup_id, None) is None:
            return  # of an older attempt
        plan.backoff, plan.patience = BACKOFF_S[0], PATIENCE_S[0]
        plan.heard_at = time.monotonic()
        self._poll_at = 0.0  # there is room for another

    def fail(self, tup_id: str) -> None:
        """Plan the partition again from its fence, after a pause that grows."""
        plan = self._plans[BatchRef.from_id(tup_id).partition]
        if plan.pending.pop(tup_id, None) is None:
            return  # of an older attempt: already planned again
        plan.restart()
        plan.retry_at = time.monotonic() + plan.backoff
        plan.backoff = min(2 * plan.backoff, BACKOFF_S[1])
