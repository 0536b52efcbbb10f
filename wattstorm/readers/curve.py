"""One curve as it comes out of the store: numpy arrays, one element a slot."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from wattstorm.metering.results import SlotResult
from wattstorm.metering.slots import LocalCalendar


@dataclass(frozen=True, eq=False)
class Curve:
    """The published slots of a scope, ascending; a slot without any result is left out.

    slots: int32[n], numbers since the epoch; starts: datetime64[s][n], UTC;
    wh: int64[n], Wh in the slot; readings, expected: int64[n], meters;
    coverage: float64[n], readings / expected; revision: int64[n], from 1;
    status: str[n], "provisional" or "final".
    """

    label: str
    channel: str
    first: date
    last: date
    calendar: LocalCalendar
    slots: npt.NDArray[np.int32]
    starts: npt.NDArray[np.datetime64]
    wh: npt.NDArray[np.int64]
    readings: npt.NDArray[np.int64]
    expected: npt.NDArray[np.int64]
    coverage: npt.NDArray[np.float64]
    revision: npt.NDArray[np.int64]
    status: npt.NDArray[np.str_]

    @classmethod
    def of(
        cls,
        label: str,
        channel: str,
        days: tuple[date, date],
        calendar: LocalCalendar,
        rows: dict[int, SlotResult],
    ) -> Curve:
        """A curve out of the store's rows: slot → row, ascending."""
        slots = np.array(list(rows), np.int32)

        def column(name: str, dtype: Any) -> Any:
            return np.array([getattr(row, name) for row in rows.values()], dtype)

        return cls(
            label,
            channel,
            *days,
            calendar,
            slots=slots,
            starts=calendar.grid.start_of(slots).astype("datetime64[s]"),
            wh=column("wh", np.int64),
            readings=column("readings", np.int64),
            expected=column("expected", np.int64),
            coverage=column("coverage", np.float64),
            revision=column("revision", np.int64),
            status=column("status", np.str_),
        )

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def total_wh(self) -> int:
        return int(self.wh.sum())

    def local_labels(self) -> list[str]:
        """Local start of each slot with its offset from UTC."""
        return [self.calendar.label(int(slot)) for slot in self.slots]

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict a slot."""
        names = ("slot", "start_utc", "start_local", *_COLUMNS)
        starts = [f"{start}Z" for start in np.datetime_as_string(self.starts, "s").tolist()]
        columns = [getattr(self, name).tolist() for name in _COLUMNS]
        return [
            dict(zip(names, row, strict=True))
            for row in zip(self.slots.tolist(), starts, self.local_labels(), *columns, strict=True)
        ]

    def to_json(self) -> str:
        """One JSON object: what the curve is, and `rows`."""
        return json.dumps(
            {
                "label": self.label,
                "channel": self.channel,
                "first": self.first.isoformat(),
                "last": self.last.isoformat(),
                "time_zone": self.calendar.time_zone,
                "slot_minutes": self.calendar.grid.minutes,
                "total_wh": self.total_wh,
                "rows": self.rows(),
            }
        )

    def to_csv(self) -> str:
        """A header and one line a slot."""
        out = io.StringIO()
        names = ["slot", "start_utc", "start_local", *_COLUMNS]
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return out.getvalue()


_COLUMNS = ("wh", "readings", "expected", "coverage", "revision", "status")
