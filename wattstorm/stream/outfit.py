"""What each component of the stream is fitted out with, out of the configuration it is given.

    def initialize(self, conf, context):
        self.outfit = Outfit.of(conf, context, self.component_name)

The same on Storm, under the local engine, and in a test. It connects when it is first used, so
a component can be built where no store answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wattstorm.instruments import Instruments
from wattstorm.metering.rules import Rules
from wattstorm.register.register import Register
from wattstorm.register.versions import Versions
from wattstorm.settings import Settings
from wattstorm.shipped import check_code
from wattstorm.store.connection import Connection, connected
from wattstorm.store.store import Store
from wattstorm.store.workers import Presence
from wattstorm.tuples import task_index


@dataclass
class Outfit:
    """See the module. index, tasks: which task of its component this is, and of how many."""

    settings: Settings
    store: Store
    instruments: Instruments
    presence: Presence
    index: int = 0
    tasks: int = 1

    @classmethod
    def of(cls, conf: Mapping[str, Any], context: dict[str, Any], component: str) -> Outfit:
        """EngineError if this process imported other code than the topology was submitted with."""
        check_code(conf)
        settings = Settings.from_conf(conf["wattstorm"])
        connection = connected(settings, conf["wattstorm.store_url"])
        prefix, instruments = settings.store.prefix, Instruments()
        index, tasks = task_index(context)
        presence = Presence(connection, prefix, conf, component, index, instruments)
        return cls(settings, Store(connection, prefix), instruments, presence, index, tasks)

    @property
    def connection(self) -> Connection:
        return self.store.connection

    @property
    def directory(self) -> Path:
        return Path(self.settings.data.directory)

    @cached_property
    def versions(self) -> Versions:
        """Of the register; which one is in force, the log says."""
        return Versions(self.directory / "register")

    @cached_property
    def register(self) -> Register:
        """The newest version, as it was when this was first asked."""
        return self.versions.newest()

    @cached_property
    def rules(self) -> Rules:
        return Rules.from_settings(self.settings)

    def tell(self) -> None:
        """The heartbeat, with what was measured, if one is due; between two messages."""
        self.presence.tell()
