"""The noun "changes": what is published, as it happens, and what was revised."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from wattstorm.errors import LogGap, StoreUnreachable, UsageError
from wattstorm.metering.block import Channel
from wattstorm.metering.results import SlotChange
from wattstorm.readers.change import Change, Revision
from wattstorm.readers.reader import Reader, channel_number
from wattstorm.store.keys import SLOTS
from wattstorm.store.log import Entry, Log

AT_ONCE: Final = 256
"""Entries read in one go; one has a row a scope, so that a go stays below a MB."""
_WAIT_MS: Final = 500
_SLOT_KIND: Final = "slot"
_BEGINNING: Final = re.compile(rb'\{"schema":\d+,"channel":(\d+),"slot":(\d+),')


@dataclass
class _Place:
    """Behind which entry a follower stands. chain: that entry's, "" where it is not known."""

    position: int
    chain: str = ""
    gap: bool = False

    @classmethod
    def of(cls, after: str) -> _Place:
        position, _, chain = after.partition("-")
        if not (position.isdigit() and len(position) < 20 and chain.isalnum()):
            raise UsageError(f"{after!r} as the place of a change", "give the id of a change")
        return cls(int(position), chain)


class Changes(Reader):
    """Reads the log of slots, which its bytes bound (`results.log_mb`): the oldest entries go."""

    def follow(
        self,
        after: str | None = None,
        *,
        idle_s: float | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Change]:
        """Every change of every slot, once, in order, as it happens.

        after: id of the change behind which to begin, "" for the oldest that is held; None: only
        what comes from now on. It ends when nothing came for idle_s, or when should_stop says so
        (asked twice a second); None: never. While the store is away it waits, and goes on.
        """
        place = None
        waited = 0.0
        while not should_stop():
            try:
                if place is None:
                    place = self._begin(after)
                entries = self._beyond(place)
            except StoreUnreachable:
                self.connection.wait_until_up(None, should_stop)
                continue
            waited = 0.0 if entries else waited + _WAIT_MS / 1000
            if idle_s is not None and waited > idle_s:
                return
            yield from self._told(entries, place)

    async def follow_async(
        self, after: str | None = None, *, idle_s: float | None = None
    ) -> AsyncIterator[Change]:
        """`follow` for asyncio: each wait is in a thread, so that the loop goes on.

        async with contextlib.aclosing(results.follow_async()) as changes: async for …
        """
        ended = False
        changes = self.follow(after, idle_s=idle_s, should_stop=lambda: ended)
        try:
            while (change := await asyncio.to_thread(next, changes, None)) is not None:
                yield change
        finally:
            ended = True

    def changes(self, after: str = "", limit: int = AT_ONCE) -> list[Change]:
        """The next changes that the log holds behind `after` ("": from the oldest on), at most
        `limit` entries of it; [] at its end."""
        place = self._begin(after)
        return list(self._told(self._there(place, min(limit, AT_ONCE)), place))

    def revisions(
        self, label: str, first: date, last: date | None = None, channel: str = "import"
    ) -> list[Revision]:
        """What was said of a scope's slots of these local days, and when, in that order; of what
        the log still holds. The whole log is read: 64 MB take a second."""
        self._check_labels([label])
        number = channel_number(channel)
        begin = self.calendar.day_slots(first).start
        slots = range(begin, self.calendar.day_slots(last or first).stop)
        found: list[Revision] = []
        said: dict[int, int] = {}
        place = self._begin("")
        while entries := self._there(place, AT_ONCE):
            place.position, place.chain = entries[-1].position, ""
            for entry in entries:
                of, slot = _named(entry)
                if of != number or slot not in slots:
                    continue  # most are not parsed
                change = self._change(entry, gap=False)
                if row := change.rows.get(label):
                    found.append(Revision.of(change, row, said.get(slot)))
                    said[slot] = row.wh
        return found

    # ------------------------------------------------------------ inside

    @property
    def _slots_log(self) -> Log:
        return Log(self.connection, self._all.prefix, name=SLOTS)

    def _begin(self, after: str | None) -> _Place:
        if after is None:
            return _Place(self._slots_log.tails([0])[0])
        if not after:
            return _Place(self._slots_log.status(0).first - 1)
        return _Place.of(after)

    def _beyond(self, place: _Place) -> list[Entry]:
        """What is there behind the place; where nothing is, after a wait."""
        if not (entries := self._there(place, AT_ONCE)):
            self._slots_log.wait_beyond({0: place.position}, _WAIT_MS)
        return entries

    def _there(self, place: _Place, limit: int) -> list[Entry]:
        """Entries behind the place, at most `limit`; the place is moved over what is lost."""
        log = self._slots_log
        for _ in range(3):
            head = log.status(0)
            if head.tail < place.position:  # the store went back
                place.position, place.chain, place.gap = head.tail, "", True
            if head.first > place.position + 1:
                place.position, place.chain, place.gap = head.first - 1, "", True
            if head.tail == place.position:
                return []
            # With the last one that was seen, to know that it is the same history still.
            known = bool(place.chain) and place.position >= head.first
            begin = place.position if known else place.position + 1
            try:
                entries = log.read(0, begin, min(head.tail, begin + limit))
            except LogGap:
                continue  # trimmed meanwhile
            if known and entries[0].chain.decode() != place.chain:
                place.gap = True
            return entries[1 if known else 0 :][:limit]
        return []

    def _told(self, entries: list[Entry], place: _Place) -> Iterator[Change]:
        for entry in entries:
            place.position, place.chain = entry.position, entry.chain.decode()
            if entry.kind != _SLOT_KIND:
                continue
            gap, place.gap = place.gap, False
            yield self._change(entry, gap)

    def _change(self, entry: Entry, gap: bool) -> Change:
        change = SlotChange.from_json(entry.data)
        return Change(
            f"{entry.position}-{entry.chain.decode()}",
            _utc(entry.arrived_ms / 1000),
            Channel(change.channel).name.lower(),
            change.slot,
            _utc(self.calendar.grid.start_at(change.slot)),
            change.revision,
            change.final,
            change.rows,
            gap,
        )


def _named(entry: Entry) -> tuple[int, int]:
    """(channel, slot) of an entry, read off its beginning; (-1, -1): it is of no slot."""
    found = _BEGINNING.match(entry.data) if entry.kind == _SLOT_KIND else None
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def _utc(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
