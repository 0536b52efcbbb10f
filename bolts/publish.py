"""Partial sums of all partitions → one result a slot and scope.

What it writes is a pure function of the partials, stamped with the fences it
saw; an older stamp never overwrites a newer one, and one of a history that the
store has lost overwrites nothing. What wants publishing stands in the store (the
dirty slots), so this bolt may die, repeat itself or wake up late: tuples only
tell it not to wait for the next tick.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

from streamparse import Bolt

from wattstorm.errors import FewerPartitions, RegisterError, StoreError
from wattstorm.metering.aggregates import added
from wattstorm.metering.results import SlotRows, slot_rows
from wattstorm.store.closing import Folding
from wattstorm.store.control import partitions_of
from wattstorm.store.results import Partials, ResultStore, Slot
from wattstorm.stream.governing import Governing
from wattstorm.stream.outfit import Outfit
from wattstorm.tuples import SLOTS_FIELDS, CheckedEmits

SLOTS_AT_ONCE = 96
REST, CHEAP_S = 39.0, 0.005
"""A publication that took CHEAP_S + t seconds of CPU time is followed by a rest of REST * t at
least: where a whole day's slots change all the time, as with nightly curves, reading every
partition's sums again and again would take the cores from summing."""
READ_AGAIN = 3
"""How often sums are read again at once that turned out to be of a lost history."""


class PublishBolt(CheckedEmits, Bolt):
    """Publishes the dirty slots of the partitions it is told of; on a tick, of all."""

    auto_ack = False
    outputs = SLOTS_FIELDS

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        self.outfit = Outfit.of(conf, context, self.component_name)
        self.settings, self.connection = self.outfit.settings, self.outfit.connection
        self.governing = Governing(self.outfit.versions, self.outfit.rules)
        self.per_day = self.outfit.rules.grid.per_day
        self.results = ResultStore(
            self.connection,
            self.settings.store.prefix,
            expire_days=self.settings.results.expire_days,
            per_day=self.per_day,
            log_bytes=self.settings.results.log_mb * 1_000_000,
        )
        self.folding = Folding(self.results, self.per_day)
        self.partitions = range(self.governing.register.partitions)
        self.told: set[int] = set()
        self.rest_until = 0.0
        self.down = self.kept = False

    def process(self, tup: Any) -> None:
        self.told.add(int(tup.values[0]))
        self.grow(max(self.told) + 1)
        self.ack(tup)
        if time.monotonic() >= self.rest_until:
            self.flush(sorted(self.told))

    def process_tick(self, tup: Any) -> None:
        self.ack(tup)
        self.flush(list(self.partitions), deadlines=True)

    def flush(self, partitions: list[int], *, deadlines: bool = False) -> None:
        """Publish what is dirty; what cannot be published now stays dirty."""
        begun = time.thread_time()
        try:
            self.outfit.tell()
            self.keep()
            if deadlines:
                self.grow(partitions_of(self.connection, self.results.prefix))
                partitions = list(self.partitions)
            slots = self.results.dirty(partitions)
            self.outfit.instruments.level("dirty_slots", len(slots))
            if deadlines:
                seen = self.results.fences(self.partitions)
                self.governing.hear(seen.registers, seen.rules)
                passed = self.governing.finality.passed(seen.marks)
                slots |= self.results.provisional(passed)
            ordered = sorted(slots)
            for at in range(0, len(ordered), SLOTS_AT_ONCE):
                with self.outfit.instruments.timed("publish"):
                    self.publish(ordered[at : at + SLOTS_AT_ONCE])
                self.outfit.instruments.count("slots", len(ordered[at : at + SLOTS_AT_ONCE]))
            if deadlines:
                self.folding.fold(self.partitions, seen)
            if ordered:
                self.emit((len(ordered),), anchors=[])
            self.told.clear()
            self.down = False
        except (StoreError, RegisterError, FewerPartitions) as error:
            # Of more partitions the next tick knows; this one may have slept while they came.
            if not self.down:
                self.logger.error("results wait: %s", error)
            self.down = True
        rest = REST * (time.thread_time() - begun - CHEAP_S)
        self.rest_until = time.monotonic() + max(self.settings.results.publish_ms / 1000, rest)

    def grow(self, partitions: int) -> None:
        """A register that was extended meanwhile may have brought more."""
        self.partitions = range(max(len(self.partitions), partitions))

    def keep(self) -> None:
        """Once: results that were to expire stay, if the settings say so now."""
        if not (self.kept or self.settings.results.expire_days):
            self.results.keep_for_ever(self.governing.scopes.labels(), self.partitions)
        self.kept = True

    def publish(self, slots: list[Slot]) -> None:
        """Write the rows of these slots; those that cannot be written yet stay dirty."""
        per_day = self.per_day
        for _ in range(READ_AGAIN):
            partials = self.results.read_partials(slots, self.partitions)
            self.governing.hear(partials.fences.registers, partials.fences.rules)
            rows = self.rows(slots, partials)
            moved = False
            for day in sorted({slot // per_day for _, slot in slots}):
                of_day = {key: row for key, row in rows.items() if key[1] // per_day == day}
                written = self.results.write(day, of_day, self.partitions, partials.fences)
                moved |= written.moved
            if not moved:
                return

    def stop(self) -> None:
        """A clean stop: what was committed is published."""
        self.flush(list(self.partitions), deadlines=True)

    def rows(self, slots: Collection[Slot], partials: Partials) -> dict[Slot, SlotRows]:
        """The slots' results in each scope, out of what all partitions say of them."""
        governing = self.governing
        passed = governing.finality.passed(partials.fences.marks)
        days = governing.rules.calendar.dates_of([slot for _, slot in slots]).tolist()
        rows = {}
        for key, day in zip(slots, days, strict=True):
            parts = [*partials.sums[key], partials.closed.get(key)]
            if not any(parts):  # its results have expired before its deadline, its sums with them
                rows[key] = SlotRows()
                continue
            late = key[1] <= passed
            rows[key] = slot_rows(
                added(parts), governing.scopes, day, governing.finality, late=late
            )
        return rows
