"""What the publish step writes, by its own script: curves, the log of slots, the list of days."""

from __future__ import annotations

from typing import Any

from wattstorm.metering.results import SlotResult, SlotRows
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.store.connection import Connection
from wattstorm.store.keys import SLOTS, log_keys
from wattstorm.store.results import ResultStore, Seen

PARIS = LocalCalendar(SlotGrid(30), "Europe/Paris")
LABELS = ("nation", "tariff:a", "tariff:b")
NOBODY = Seen.of([{}])


class Published:
    """On one store, whatever it held before. Nine meters of ten have reported."""

    def __init__(self, url: str) -> None:
        self.connection = Connection(url)
        self.store = ResultStore(self.connection, "wattstorm")
        self.begin_anew()

    def begin_anew(self) -> None:
        self.connection.redis.flushall()
        labels = ",".join(f'"{label}"' for label in LABELS)
        card = {"time_zone": "Europe/Paris", "slot_minutes": "30", "partitions": "1"}
        self.store.write_meta({"labels": f"[{labels}]", **card})
        self.revision = 0

    def __call__(self, slots: dict[int, int], *, final: bool = True, channel: int = 0) -> None:
        """slot → Wh of the nation, of which tariff a has a third."""
        self.revision += 1
        days: dict[int, dict[tuple[int, int], SlotRows]] = {}
        for slot, wh in slots.items():
            shares = {"nation": wh, "tariff:a": wh // 3, "tariff:b": wh - wh // 3}
            rows = {name: SlotResult(n, 9, 10, self.revision, final) for name, n in shares.items()}
            days.setdefault(slot // 48, {})[channel, slot] = SlotRows(rows)
        for day, of_day in days.items():
            self.store.write(day, of_day, [0], NOBODY)

    def trim(self, first: int) -> None:
        """The log of slots loses its first entries, as at its bound."""
        keys, redis = log_keys("wattstorm", 0, SLOTS), self.connection.redis
        gone: Any = redis.xrange(keys.log, "-", f"({first + 1}-0")
        redis.xdel(keys.log, *(place for place, _ in gone))
        redis.hset(keys.head, "first", str(first + 1))

    def close(self) -> None:
        self.connection.close()
