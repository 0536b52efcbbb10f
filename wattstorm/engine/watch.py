"""What the supervisor reads from the store and writes to it: lag, the store's card."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress

from wattstorm.errors import EngineError, StoreRefused, UsageError
from wattstorm.metering.aggregates import Scopes
from wattstorm.metering.disclosure import Rule
from wattstorm.metering.rules import Rules
from wattstorm.metering.withheld import withheld_labels
from wattstorm.register.register import Register
from wattstorm.settings import Settings
from wattstorm.store.backlog import recount
from wattstorm.store.connection import Connection
from wattstorm.store.control import Control, Placed, partitions_of
from wattstorm.store.keys import SCORES, SEGMENTS
from wattstorm.store.store import Store
from wattstorm.stream.controls import announce_register, announce_rules

SCHEMA = 1
HOPELESS_S = 10.0
PATIENCE_S = 30.0
"""How long a drain waits for scores that do not move: sums never wait for them."""
_FIXED = ("schema", "slot_minutes", "partition_size")


class Watch:
    """The store as the supervisor of an engine sees it."""

    def __init__(self, connection: Connection, settings: Settings, register: Register) -> None:
        self.connection, self.store = connection, Store(connection, settings.store.prefix)
        self.settings, self.register = settings, register
        self.partitions = range(register.partitions)
        self.log, self.results = self.store.log, self.store.results
        self.card = card_of(settings, register)
        self._hopeful_at = self._scored_at = time.monotonic()
        self._scored: dict[int, int] = {}
        self._may_evict = settings.store.on_eviction == "warn"

    def drained(self) -> bool:
        """Every fence stands at its log's end, and nothing waits to be published; scores, where
        they are on, have come as far, or have not moved for PATIENCE_S.

        EngineError if it will not be: all partitions that are behind stand still since
        HOPELESS_S for a reason that only a person can mend.
        """
        # A register that was extended meanwhile may have brought more partitions.
        held = partitions_of(self.connection, self.results.prefix)
        self.partitions = range(max(len(self.partitions), held))
        # In this order: a commit moves its fence and marks its slots in one step.
        tails = self.log.tails(self.partitions)
        fences = self.store.fences(self.partitions)
        behind = [p for p, tail in enumerate(tails) if fences[p] < tail]
        if behind:
            faults = self.results.faults(behind)
            self._give_up({p: faults.get(p, "") for p in behind})
            return False
        return not self.results.dirty(self.partitions) and not self._scores_come()

    def _scores_come(self) -> bool:
        """Whether scores are behind their log, and still move."""
        if not self.settings.scores.enabled:
            return False
        tails = self.store.log_of(SEGMENTS).tails(self.partitions)
        fences = self.store.fences(self.partitions, SEGMENTS, SCORES)
        now = time.monotonic()
        if fences != self._scored:
            self._scored, self._scored_at = fences, now
        late = any(fences[p] < tail for p, tail in enumerate(tails))
        return late and now - self._scored_at < PATIENCE_S

    def _give_up(self, faults: Mapping[int, str]) -> None:
        now = time.monotonic()
        if not all(faults.values()):
            self._hopeful_at = now
        elif now - self._hopeful_at > HOPELESS_S:
            partition, why = next(iter(faults.items()))
            raise EngineError(
                f"{len(faults)} partitions stand still; partition {partition}: {why}",
                "what they have not added up stays in the log; run again once that is mended",
            )

    def introduce(self) -> None:
        """Write the store's card; UsageError if its data were made under another one.

        Where the log says another register version or other rules, what holds now is appended.
        And count the backlog, which an earlier version did not.
        """
        held = self.results.meta()
        self._compare(held)
        self._compare_versions(held)
        control = Control(self.connection, self.results.prefix)
        announce_register(control, self.register)
        announce_rules(control, Rules.from_settings(self.settings), self.partitions)
        self.results.write_meta(self.card | self._privacy())
        recount(self.connection, self.results.prefix, self.partitions)

    def extend(self) -> list[Placed]:
        """Give this register to a stream, whether it runs or not; where it was appended."""
        held = self.results.meta()
        self._compare(held)
        self._compare_versions(held)
        control = Control(self.connection, self.results.prefix)
        placed = announce_register(control, self.register, everywhere=True)
        self.results.write_meta(self.card | self._privacy())
        return placed

    def introduce_again(self) -> None:
        """Write the card of a store that lost it while the engine runs: emptied, or replaced."""
        if not self.results.meta():
            newest = Register.open(self.register.directory)
            Watch(self.connection, self.settings, newest).introduce()

    def meet(self) -> None:
        """As a producer: compare with the card, and leave it as it is. UsageError as above.

        Only a store that has none is given one, if its user may: the engine's register may be
        newer than the one here.
        """
        held = self.results.meta()
        self._compare(held)
        if held:
            return
        with suppress(StoreRefused):
            self.results.write_meta(self.card | self._privacy())

    def _privacy(self) -> dict[str, str]:
        """What the card says for those who may not see single meters."""
        rule = Rule(self.settings.privacy.group_size, self.settings.privacy.dominance)
        held = withheld_labels(self.register, self.settings.stream.scopes, rule)
        return {"withheld": json.dumps(held), "group_size": str(rule.group_size)}

    def _compare(self, held: Mapping[str, str]) -> None:
        info = self.connection.info
        if info.evicts and not self._may_evict:
            raise UsageError(
                f"the store drops keys at {info.maxmemory:,} bytes (maxmemory-policy "
                f"{info.policy}): readings and sums would vanish in silence",
                "set its maxmemory-policy to noeviction; or store.on_eviction to warn",
            )
        for name in _FIXED:
            if held.get(name, self.card[name]) != self.card[name]:
                raise UsageError(
                    f"the store's data have {name} {held[name]}, this engine has {self.card[name]}",
                    "use another store.prefix, or the settings and the register of that store",
                )

    def _compare_versions(self, held: Mapping[str, str]) -> None:
        """An engine must have what is in force; a producer may know fewer meters."""
        if int(held.get("register", 0)) > self.register.version:
            raise UsageError(
                f"the stream has register version {held['register']}, here is "
                f"{self.register.version} in {self.register.directory}",
                "bring the newer one here, or use another store.prefix",
            )


def card_of(settings: Settings, register: Register) -> dict[str, str]:
    """What the store's data are made for."""
    labels = Scopes(register, settings.stream.scopes).labels()
    return {
        "schema": str(SCHEMA),
        "slot_minutes": str(settings.stream.slot_minutes),
        "time_zone": settings.stream.time_zone,
        "register": str(register.version),
        "partitions": str(register.partitions),
        "partition_size": str(register.partition_size),
        "labels": json.dumps(labels),
    }
