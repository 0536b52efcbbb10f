"""What is published of a forecast: one row for each curve, target day and issue time.

The one place that knows what a row is: the consumer `forecasts` writes `ForecastRow.to_json`,
readers read it with `from_json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from wattstorm.errors import DataError

SCHEMA: Final = 1
LEVELS: Final = ("0.025", "0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "0.975")
BACK: Final = (1, 7, 30)
"""Days over which accuracy so far is told: yesterday, a week, a month."""


@dataclass(frozen=True, slots=True)
class Money:
    """€ of the slots together: exact decimals as text, and the central 90 % interval. slots: the
    point of each; version: of the prices; settled: whether all of them had been announced."""

    point: str
    low: str
    high: str
    version: str
    settled: bool
    slots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Forecasts of this curve and horizon so far: sum of absolute errors in % of the load, ours and
    of the same day a week before (`naive`), over so many slots."""

    ours: float
    naive: float
    slots: int


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """A curve's forecast of a local day, or of the rest of it.

    label: "nation", "tariff:base_6"; day: number of the local day; first: its first slot told;
    issued: the slot at whose beginning it was issued; wh: of each slot from `first` on; quantiles:
    level → Wh of each slot; total, low, high: Wh of all slots, with its own central 90 %
    interval; model: "mixture" or "naive", version: the artefact's id; weather: UTC second
    at which the newest weather used was said, -1 for none; asleep: members of the model that did
    not answer; missing: what they lacked; accuracy: by days back. position: in the log `slots`.
    """

    label: str
    day: int
    first: int
    issued: int
    wh: tuple[int, ...]
    quantiles: Mapping[str, tuple[int, ...]]
    total: int
    low: int
    high: int
    model: str
    version: str
    position: int
    weather: int = -1
    asleep: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    money: Money | None = None
    accuracy: Mapping[int, Accuracy] = field(default_factory=dict)

    def to_json(self) -> str:
        """Inverse of `from_json`; the same row, the same text."""
        plain = asdict(self) | {"schema": SCHEMA}
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, data: str | bytes) -> ForecastRow:
        """Raises DataError for what is no row of this schema."""
        try:
            plain = json.loads(data)
            if plain.pop("schema") == SCHEMA:
                return cls(**_typed(plain))
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        raise DataError(
            f"a row of forecasts {data!r:.100}",
            f"this wattstorm reads schema {SCHEMA}; use the one that wrote it",
        )


def _typed(plain: dict[str, Any]) -> dict[str, Any]:
    money = plain["money"]
    return plain | {
        "wh": tuple(plain["wh"]),
        "quantiles": {level: tuple(row) for level, row in plain["quantiles"].items()},
        "asleep": tuple(plain["asleep"]),
        "missing": tuple(plain["missing"]),
        "money": money and Money(**(money | {"slots": tuple(money["slots"])})),
        "accuracy": {int(days): Accuracy(**told) for days, told in plain["accuracy"].items()},
    }
