"""A producer: numbers blocks, appends them in pipelines, and keeps each until it is safe.

A power cut may take the newest second of a store's log with it. So what was
appended is held until it is on the store's disk (or, where the store cannot
tell, for `hold_s`), and what the store lost is sent again, in order, under
the same numbers. Memory is bounded: `depth` blocks that are not taken yet, and
`hold_bytes` of those that are held; at that bound `send` waits.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final

from wattstorm.errors import (
    BlocksLost,
    LogFull,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnreachable,
    StreamError,
)
from wattstorm.metering.block import Block, encode
from wattstorm.store.backlog import UNTRIMMED, Backlog, Bound, read
from wattstorm.store.lanes import Lane, Lanes, Safety
from wattstorm.store.log import Append, Head, Log

DEPTH: Final = 16
SEND_BYTES: Final = 4 << 20
"""Bytes of one pipeline, so that a slow store still answers within its time limit."""
FORGOTTEN_S: Final = 86_400.0
"""After so long without a block the store may rightly have forgotten a producer's number."""


@dataclass
class ProducerCounts:
    """sent: taken by the store, each once; resent: taken again after the store had lost them."""

    sent_blocks: int = 0
    sent_readings: int = 0
    resent_blocks: int = 0
    shed_blocks: int = 0
    shed_readings: int = 0
    lost_blocks: int = 0
    waited_s: float = 0.0


class Producer:
    """Sends blocks of some partitions under one name, which only one process may use at a time.

    backlog_bytes: what may wait uncommitted, over all partitions of the log, of which there are
    `of` (those of this producer, if not said). when_full: at that bound "block" (wait; LogFull
    after `full_timeout_s`, 0: for ever) or "shed" (drop and count). After an error blocks stay
    pending: `flush` tries them again.
    """

    def __init__(
        self,
        log: Log,
        name: str,
        partitions: Sequence[int],
        *,
        backlog_bytes: int,
        of: int | None = None,
        when_full: str = "block",
        full_timeout_s: float = 0.0,
        hold_s: float = 3.0,
        hold_bytes: int | None = None,
        depth: int = DEPTH,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.log, self.name = log, name
        self.bound = Bound.of(backlog_bytes, len(partitions) if of is None else of)
        self.shed = when_full == "shed"
        self.full_timeout_s, self.depth = full_timeout_s, depth
        self.hold_bytes = backlog_bytes if hold_bytes is None else hold_bytes
        self.should_stop = should_stop
        self.counts = ProducerCounts()
        self._losses: list[str] = []
        self._unsure = self._refused_full = False
        self._session, lasts = _begin_session(log, name, partitions)
        self.lanes = Lanes(lasts)
        self._safety = Safety(log, name, self.lanes, hold_s)

    def send(self, block: Block) -> None:
        """Queue a block under its next number; `depth` queued blocks are sent together."""
        lane = self.lanes.of[block.partition]
        data = encode(replace(block, producer=self.name, number=lane.next))
        self.lanes.queue(lane, data, int(block.wh.size))
        if self.lanes.pending >= self.depth or self.lanes.pending_bytes >= SEND_BYTES:
            self.flush()

    def flush(self) -> None:
        """Return when every queued block is taken, or shed and counted.

        LogFull: nobody made room in time. BlocksLost: the store went back further than
        what is held; all that is held was sent again. Any StoreError that waiting does not mend.
        """
        self._send_pending()
        self._attempt(self._look, time.monotonic())
        self._send_pending()
        while self.lanes.held_bytes > self.hold_bytes and not self.should_stop():
            self._wait(0.005)
            self._attempt(self._look, time.monotonic())
            self._send_pending()
        losses, self._losses = self._losses, []
        if losses:
            raise BlocksLost(
                f"the store went back further than producer {self.name!r} holds blocks: "
                + "; ".join(losses),
                "send that data again; what came after it was sent again already",
            )

    def close(self) -> None:
        """`flush`, then wait until nothing that was sent can be lost any more."""
        self.flush()
        while self.lanes.held_bytes and not self.should_stop():
            time.sleep(0.01)
            self.flush()
        self._safety.reset()

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        self._safety.reset()

    # ------------------------------------------------------------ sending

    def _send_pending(self) -> None:
        since, pause = time.monotonic(), 0.001
        while self.lanes.pending or self._unsure:
            before = self.lanes.pending
            self._attempt(self._send_round, since)
            if self.lanes.pending < before:
                since, pause = time.monotonic(), 0.001
            elif self.lanes.pending or self._unsure:
                self._check_patience(since)
                self._wait(pause)
                pause = min(2 * pause, 0.02)

    def _attempt(self, work: Callable[[], None], since: float) -> None:
        """`work`, once it is known what the store has; a store that is away is waited for."""
        try:
            if self._unsure:
                self._resync()
            work()
        except StoreFull:
            self._unsure = self._refused_full = True
        except (StoreUnreachable, StoreReadOnly) as error:
            self._unsure = True
            self._wait_until_up(error, since)

    def _send_round(self) -> None:
        """One pipeline."""
        chosen = self.lanes.choose(self.depth, SEND_BYTES)
        answers = self.log.append_many(
            [Append(lane.partition, self.name, b.number, b.data, b.readings) for lane, b in chosen],
            bound=self.bound,
            shed=self.shed,
            session=self._session,
        )
        stuck: set[int] = set()
        for (lane, _), answer in zip(chosen, answers, strict=True):
            if answer.status == "taken":
                raise self._name_taken()
            if lane.partition in stuck:
                continue
            if answer.status in ("full", "gap", "unclaimed"):
                # Those behind it in the lane met a gap for its sake.
                stuck.add(lane.partition)
                lane.full = answer.status == "full"
                self._unsure |= not lane.full
            else:
                self._taken(lane, shed=answer.status == "shed")

    def _taken(self, lane: Lane, *, shed: bool = False) -> None:
        held = self.lanes.take(lane)
        if shed:
            self.counts.shed_blocks += 1
            self.counts.shed_readings += held.readings
        elif held.lost:
            self.counts.resent_blocks += 1
        else:
            self.counts.sent_blocks += 1
            self.counts.sent_readings += held.readings
        held.lost = False

    # ------------------------------------------------------------ what does the store have?

    def _look(self) -> None:
        if not self._safety.look():
            self._unsure = True

    def _resync(self) -> None:
        """Ask; what it took counts as taken, what it lost is pending again."""
        self._safety.reset()
        claims = self.log.claim(self.name, list(self.lanes.of), self._session)
        for lane, (mine, last, session) in zip(self.lanes, claims, strict=True):
            if not mine:
                raise self._name_taken()
            if session not in ("", self._session) and last > lane.begun:
                raise self._elsewhere(lane, last)
            while lane.pending and lane.pending[0].number <= last:
                self._taken(lane)
            if last < lane.last:
                self._go_back(lane, last)
        if self._refused_full and self.shed:
            self._shed_pending()
        self._unsure = self._refused_full = False

    def _go_back(self, lane: Lane, last: int) -> None:
        idle = time.monotonic() - lane.used_at
        first = self.lanes.go_back(lane, last)
        if first == last + 1:
            return
        self.log.claim(self.name, [lane.partition], self._session, first - 1)
        if last or idle < FORGOTTEN_S:
            self.counts.lost_blocks += first - 1 - last
            self._losses.append(f"partition {lane.partition}: numbers {last + 1} to {first - 1}")

    def _shed_pending(self) -> None:
        """The store's memory was full and it said so of these blocks: their numbers are free."""
        for lane in self.lanes:
            while lane.pending and not lane.pending[-1].lost:
                held = self.lanes.drop_newest(lane)
                self.counts.shed_blocks += 1
                self.counts.shed_readings += held.readings

    def _name_taken(self) -> StreamError:
        return StreamError(
            f"another process sends as producer {self.name!r} since",
            "give each process its own name; the blocks still pending here were not taken",
        )

    def _elsewhere(self, lane: Lane, last: int) -> StreamError:
        return StreamError(
            f"producer {self.name!r} began with another store than the one that its address leads "
            f"to now: partition {lane.partition} has numbers up to {last} here, from before it",
            "start it again; what it sent meanwhile, and what is still pending, is not in this one",
        )

    # ------------------------------------------------------------ waiting

    def _wait(self, seconds: float) -> None:
        time.sleep(seconds)
        self.counts.waited_s += seconds

    def _check_patience(self, since: float) -> None:
        waited = time.monotonic() - since
        if self.should_stop() or (self.full_timeout_s and waited >= self.full_timeout_s):
            stuck = [lane for lane in self.lanes if lane.pending]
            names = [lane.partition for lane in stuck]
            sizes = [len(lane.pending[0].data) for lane in stuck]
            heads = self.log.statuses(names)
            backlog = read(self.log.connection, self.log.prefix)
            why, remedy = _why_full(heads, sizes, backlog, self.bound, memory=self._refused_full)
            raise LogFull(
                f"{self.lanes.pending} blocks wait since {waited:.1f} s, partitions {names}: {why}",
                f"{remedy}; raise log.backlog_mb, or set log.when_full to shed",
            )

    def _wait_until_up(self, error: StoreError, since: float) -> None:
        left = None
        if self.full_timeout_s:
            left = max(0.0, since + self.full_timeout_s - time.monotonic())
        before = time.monotonic()
        up = self.log.connection.wait_until_up(left, self.should_stop)
        self.counts.waited_s += time.monotonic() - before
        if not up:
            raise error


def _begin_session(log: Log, name: str, partitions: Sequence[int]) -> tuple[str, dict[int, int]]:
    """(a session that is later than all before it, partition → last number).

    The store's clock first: of two processes the one started later keeps the name. But
    where the clock was ahead and is set right, later is one µs after the latest.
    """
    begun = log.connection.server_time_us()
    while True:
        session = f"{begun:016d}-{secrets.token_hex(4)}"
        claims = log.claim(name, partitions, session)
        later = [claim.session for claim in claims if not claim.taken]
        if not later:
            lasts = {p: claim.last_number for p, claim in zip(partitions, claims, strict=True)}
            return session, lasts
        begun = int(max(later).partition("-")[0]) + 1


def _why_full(
    heads: Sequence[Head], sizes: Sequence[int], backlog: Backlog, bound: Bound, *, memory: bool
) -> tuple[str, str]:
    """(what holds the producer up, what to do) from the heads of the partitions that wait, the
    bytes of the block that waits in each, and all partitions': the conditions of `append.lua`."""
    waiting, kept = backlog
    if memory:
        return (
            "the store's memory is full",
            f"raise its maxmemory, or see what fills it ({waiting} bytes wait uncommitted in the "
            f"log, {kept} are not yet trimmed)",
        )
    waits = [head.appended - head.committed for head in heads]
    if any(
        n and n + size > bound.own and waiting + size > bound.pool
        for n, size in zip(waits, sizes, strict=True)
    ):
        return f"{waiting} bytes wait uncommitted, of {bound.pool}", "is the stream running?"
    return (
        f"all but {waiting} bytes are committed, but {kept} are not yet trimmed, of "
        f"{UNTRIMMED * bound.pool}",
        "can the stream write its snapshots? its log says so",
    )
