"""Slots that close in, forecasts out: the consumer `forecasts` of the log of slots.

The log has one partition, so one task sees all curves in one order. What is to be forecast stands
in the log; tuples are bells that say there is more. R, pygam and statsmodels are never imported.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from streamparse import Bolt

from wattstorm.errors import StoreError
from wattstorm.store.control import RULES, slots_control
from wattstorm.store.keys import FORECASTS
from wattstorm.stream.consumer import Consumer
from wattstorm.stream.forecast_log import SlotsLog
from wattstorm.stream.forecast_rules import ForecastRules
from wattstorm.stream.forecasts import Forecasts, first_of
from wattstorm.stream.outfit import Outfit
from wattstorm.stream.state import Scalars
from wattstorm.tuples import CheckedEmits

AT_ONCE_S = 0.5
"""How long it works without looking up; the rest waits for the next bell, at most a second."""
STOP_S = 5.0
"""How long a clean stop may take over what is published already."""


class ForecastBolt(CheckedEmits, Bolt):
    """See the module. consumer_class: so that a test can put its own."""

    auto_ack = False
    consumer_class: ClassVar[type[Consumer]] = Consumer

    def initialize(self, conf: dict[str, Any], context: dict[str, Any]) -> None:
        self.outfit = outfit = Outfit.of(conf, context, self.component_name)
        settings, prefix = outfit.settings, outfit.settings.store.prefix
        self.rules = ForecastRules.of(settings)
        saving = replace(settings.snapshot, every_s=settings.forecast.snapshot_s)
        self.log_store = SlotsLog(outfit.connection, prefix)
        self.consumer = self.consumer_class(
            self.log_store,
            FORECASTS,
            self.make_state,
            settings=replace(settings, snapshot=saving),
            connection=outfit.connection,
            partitions=1,
            hold=0,  # the log has its own bound, and nobody waits for forecasts
            first=lambda: first_of(self.rules),
            failed=lambda error: self.raise_exception(error),
            logger=self.logger,
            instruments=outfit.instruments,
        )
        self.ruled = False

    def make_state(self, partition: int, scalars: Scalars) -> Forecasts:
        settings = self.outfit.settings
        root = self.outfit.directory / "models"
        return Forecasts(root, scalars, settings.results.expire_days)

    def process(self, tup: Any) -> None:
        self.ack(tup)
        self.work(AT_ONCE_S)

    def process_tick(self, tup: Any) -> None:
        self.ack(tup)
        self.work(AT_ONCE_S)
        self.consumer.tick()
        with suppress(StoreError):
            self.outfit.tell()

    def work(self, for_s: float) -> None:
        """What the log holds beyond the fence, for so long."""
        until = time.monotonic() + for_s
        try:
            self.rule()
            tail = self.log_store.tails([0])[0]
        except StoreError:
            return  # the next tick tries again
        step = self.outfit.settings.batch.max_blocks
        while True:
            own = self.consumer.owned.get(0)
            at = own.position if own else 0
            if not tail or (own and own.doubt is None and at >= tail):
                if at > tail:
                    self.consumer.follow(0)  # the store went back: it is taken anew
                break
            last = min(tail, at + step)
            if not self.consumer.process(0, at + 1, last) or time.monotonic() > until:
                break
        self.consumer.save_if_due(0)

    def rule(self) -> None:
        """Once: settings that are others than those in force hold from here on."""
        if not self.ruled:
            control = slots_control(self.outfit.connection, self.outfit.settings.store.prefix)
            control.amend(RULES, lambda said: str(self.rules) if said else "")
            self.ruled = True

    def stop(self) -> None:
        """A clean stop: what is published already is forecast, and nothing is to be replayed."""
        self.work(STOP_S)
        self.consumer.stop()
