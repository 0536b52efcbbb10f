"""Published forecasts, as readers read them: what commits of the consumer `forecasts` wrote."""

from __future__ import annotations

from typing import Any, Final

from wattstorm.metering.forecasts import ForecastRow
from wattstorm.store.connection import Connection
from wattstorm.store.keys import FORECASTS, SLOTS, partition_keys

NEWEST: Final = "newest"
"""Key below the consumer: "<days ahead>:<label>" → what was said last."""


def day_key(day: int) -> str:
    """Key below the consumer of a target day's rows: "<slot of issue>:<label>" → row."""
    return f"day:{day}"


def row_field(row: ForecastRow) -> str:
    return f"{row.issued}:{row.label}"


class ForecastStore:
    """See the module."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        self.connection = connection
        self.own = partition_keys(prefix, 0, SLOTS, FORECASTS).own

    def newest(self, label: str) -> list[ForecastRow]:
        """What was said last of a curve's today and of its tomorrow, as far as there is."""
        fields = [f"{lead}:{label}" for lead in (0, 1)]
        found: Any = self.connection.run(
            "read forecasts", lambda: self.connection.redis.hmget(f"{self.own}:{NEWEST}", fields)
        )
        return [ForecastRow.from_json(text) for text in found if text]

    def all_of_day(self, day: int) -> dict[str, list[ForecastRow]]:
        """label → all that was said of a local day, by number, in order of issue."""
        found: Any = self.connection.run(
            "read forecasts", lambda: self.connection.redis.hgetall(f"{self.own}:{day_key(day)}")
        )
        rows = sorted(map(ForecastRow.from_json, found.values()), key=lambda row: row.issued)
        by_label: dict[str, list[ForecastRow]] = {}
        for row in rows:
            by_label.setdefault(row.label, []).append(row)
        return by_label

    def of_day(self, label: str, day: int) -> list[ForecastRow]:
        """All that was said of a curve's local day, by number, in order of issue."""
        found: Any = self.connection.run(
            "read forecasts", lambda: self.connection.redis.hgetall(f"{self.own}:{day_key(day)}")
        )
        wanted = f":{label}".encode()
        rows = [
            ForecastRow.from_json(text)
            for field, text in found.items()
            if field[field.index(b":") :] == wanted
        ]
        return sorted(rows, key=lambda row: row.issued)
