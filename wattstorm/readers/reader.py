"""What every noun of the client begins with: a store, its card, its calendar."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

from wattstorm.errors import UsageError
from wattstorm.metering.block import Channel
from wattstorm.metering.results import SlotResult
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.setting_values import closest
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection
from wattstorm.store.curves import CurveStore
from wattstorm.store.store import Store

_CARD_S: Final = 5.0


class Reader:
    """One store under one prefix. A noun (curves, health) is a subclass, and `Results` is all of
    them. Safe to share between threads."""

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self.connection, self.settings = connection, settings
        self._all = Store(connection, settings.store.prefix)
        self._curves = CurveStore(connection, settings.store.prefix)
        self._known: dict[str, str] = {}
        self._known_until = 0.0

    @property
    def labels(self) -> list[str]:
        """Scopes that have curves: "nation", "tariff:base_6", "region:north"."""
        return list(json.loads(self._card.get("labels", "[]")))

    def shown(self, rows: Mapping[str, SlotResult]) -> dict[str, SlotResult]:
        """Of one slot's rows, by label, those that this client may see."""
        return dict(rows)

    @cached_property
    def calendar(self) -> LocalCalendar:
        """The local days of the store's data, whatever the settings here say."""
        stream = self.settings.stream
        minutes = int(self._card.get("slot_minutes", stream.slot_minutes))
        return LocalCalendar(SlotGrid(minutes), self._card.get("time_zone", stream.time_zone))

    @property
    def partitions(self) -> range:
        return range(int(self._card.get("partitions", 0)))

    @property
    def _card(self) -> dict[str, str]:
        """The store's card, as it was a moment ago: a register that grows changes it."""
        if not self._known or time.monotonic() > self._known_until:
            self._learn(self._all.results.meta())
        return self._known

    def _learn(self, card: dict[str, str]) -> None:
        self._known, self._known_until = card, time.monotonic() + _CARD_S

    def _check_labels(self, labels: Sequence[str]) -> None:
        """UsageError for one that the store has not, by a card that is fresh."""
        if set(labels) <= set(self.labels):
            return
        self._learn({})  # a register that grew may have brought it
        known = self.labels
        for label in labels if known else ():
            if label not in known:
                raise _no_curve(label, known)


def channel_number(name: str) -> int:
    """
    >>> channel_number("export")
    1
    """
    try:
        return int(Channel[name.upper()])
    except KeyError:
        known = [channel.name.lower() for channel in Channel]
        raise UsageError(f"channel {name!r}", f"it may be {' or '.join(known)}") from None


def _no_curve(label: str, known: Sequence[str]) -> UsageError:
    kind, _, name = label.partition(":")
    names = [each.partition(":")[2] for each in known if each.startswith(f"{kind}:")]
    hint = closest(name, names)
    others = f"known are {', '.join(names)}" if names else f"known are {', '.join(known)}"
    return UsageError(f"the store has no curve {label!r}", hint or others)
