"""A forecast as users get it: energy and money of the slots to come, and who says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from wattstorm.metering.forecasts import Accuracy, ForecastRow, Money
from wattstorm.metering.slots import LocalCalendar, date_of_day_number


@dataclass(frozen=True)
class Forecast:
    """A curve's forecast of a local day, or of the rest of it.

    slots: int32[n]; wh: int64[n], Wh expected in each; quantiles: level → int64[n]; total_wh, and
    its central 90 % interval low_wh … high_wh (whole days of errors, not summed quantiles);
    money: € or None without prices; model, version: who says it ("naive": the last day of
    its kind); issued: local time; weather: UTC second at which the newest weather used
    was said, -1 for none; asleep: members of the model that did not answer, missing: what they
    lacked; accuracy: of such forecasts over the last 1, 7 and 30 days.
    """

    label: str
    day: date
    calendar: LocalCalendar
    slots: npt.NDArray[np.int32]
    wh: npt.NDArray[np.int64]
    quantiles: Mapping[str, npt.NDArray[np.int64]]
    total_wh: int
    low_wh: int
    high_wh: int
    money: Money | None
    model: str
    version: str
    issued: str
    weather: int
    asleep: tuple[str, ...]
    missing: tuple[str, ...]
    accuracy: Mapping[int, Accuracy]

    @classmethod
    def of(cls, row: ForecastRow, calendar: LocalCalendar) -> Forecast:
        return cls(
            row.label,
            date_of_day_number(row.day),
            calendar,
            np.arange(row.first, row.first + len(row.wh), dtype=np.int32),
            np.array(row.wh, np.int64),
            {level: np.array(values, np.int64) for level, values in row.quantiles.items()},
            row.total,
            row.low,
            row.high,
            row.money,
            row.model,
            row.version,
            calendar.label(row.issued),
            row.weather,
            row.asleep,
            row.missing,
            row.accuracy,
        )

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def starts(self) -> npt.NDArray[np.datetime64]:
        """datetime64[s][n], UTC start of each slot."""
        return self.calendar.grid.start_of(self.slots).astype("datetime64[s]")

    def local_labels(self) -> list[str]:
        """Local start of each slot with its offset."""
        return [self.calendar.label(slot) for slot in self.slots.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: energies in Wh, amounts as text of exact decimals."""
        return {
            "label": self.label,
            "day": str(self.day),
            "time_zone": self.calendar.time_zone,
            "issued": self.issued,
            "model": self.model,
            "version": self.version,
            "weather_utc_s": self.weather,
            "asleep": list(self.asleep),
            "missing": list(self.missing),
            "start_utc": [f"{start}Z" for start in self.starts.astype(str).tolist()],
            "start_local": self.local_labels(),
            "wh": self.wh.tolist(),
            "quantiles_wh": {level: values.tolist() for level, values in self.quantiles.items()},
            "total_wh": self.total_wh,
            "total_90_wh": [self.low_wh, self.high_wh],
            "eur": None if self.money is None else asdict(self.money),
            "error_percent": {
                f"{days} d": {"ours": a.ours, "d_7": a.naive, "slots": a.slots}
                for days, a in self.accuracy.items()
            },
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict())
