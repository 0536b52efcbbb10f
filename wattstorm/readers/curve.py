"""One curve as it comes out of the store: numpy arrays, one element a slot."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import UsageError
from wattstorm.metering.slots import LocalCalendar, clock_places, day_number
from wattstorm.store.curves import Rows

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

MISSING: Final = "missing"
"""Status of a slot without any result, though there are results of later ones."""
AWAITED: Final = "awaited"
"""Status of a slot that lies behind the newest result."""


@dataclass(frozen=True, eq=False)
class Curve:
    """All slots of a scope's local days first … last, ascending, those without a result too.

    slots: int32[n], numbers since the epoch; starts: datetime64[s][n], UTC;
    wh: int64[n], Wh in the slot; readings, expected: int64[n], meters;
    coverage: float64[n], readings / expected; revision: int64[n], from 1;
    status: str[n], "provisional" or "final", "missing" or "awaited".

    A slot that is missing or awaited has 0 Wh, 0 readings, coverage 0 and revision 0, and is
    expected of as many meters as the published slot before it. `kwh` has NaN there.
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
        rows: Rows,
        newest: int,
    ) -> Curve:
        """A curve out of the store's rows, of which some may lie outside its days. newest: the
        newest slot that has a result in any scope; what lies behind it is awaited."""
        begin, end = calendar.day_slots(days[0]).start, calendar.day_slots(days[1]).stop
        slots = np.arange(begin, end, dtype=np.int32)
        rows = rows[(rows[:, 0] >= begin) & (rows[:, 0] < end)]
        table = np.zeros((len(slots), 5), np.int64)
        at = rows[:, 0] - begin
        table[at] = rows[:, 1:]
        there = np.zeros(len(slots), np.bool_)
        there[at] = True
        wh, readings, expected, revision, final = table.T
        expected = _carried(expected, there)
        shares = np.divide(readings, expected, where=expected > 0, out=np.ones(len(slots)))
        status = np.where(final > 0, "final", "provisional")
        status = np.where(there, status, np.where(slots > newest, AWAITED, MISSING))
        return cls(
            label,
            channel,
            *days,
            calendar,
            slots=slots,
            starts=calendar.grid.start_of(slots).astype("datetime64[s]"),
            wh=wh,
            readings=readings,
            expected=expected,
            coverage=np.where(there, shares.round(6), 0.0),
            revision=revision,
            status=status,
        )

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def published(self) -> npt.NDArray[np.bool_]:
        """bool[n], the slots that have a result."""
        return self.revision > 0

    @property
    def kwh(self) -> npt.NDArray[np.float64]:
        """float64[n], kWh in the slot, NaN where there is no result."""
        return np.where(self.published, self.wh / 1000, np.nan)

    @property
    def total_wh(self) -> int:
        return int(self.wh.sum())

    def local_labels(self) -> list[str]:
        """Local start of each slot with its offset from UTC."""
        return [self.calendar.label(int(slot)) for slot in self.slots]

    def on_clock_of(self, day: date) -> npt.NDArray[np.float64]:
        """float64[slots of `day`], Wh of this curve's (one) day at the times that the clock shows
        on `day`: NaN where this day has no such time or no result. Where this day has a time
        twice, its first.
        """
        if self.first != self.last:
            raise UsageError(
                f"a curve of {self.first} to {self.last} on the clock of {day}", "ask for one day"
            )
        places = clock_places(self.calendar, day_number(self.first))
        on_clock = np.full(self.calendar.grid.per_day, np.nan)
        values = np.where(self.published, self.wh, np.nan)
        on_clock[places[::-1]] = values[::-1]
        return on_clock[clock_places(self.calendar, day_number(day))]

    def rows(self) -> list[dict[str, Any]]:
        """One plain dict a slot; `wh` is None where there is no result."""
        names = ("slot", "start_utc", "start_local", *_COLUMNS)
        starts = [f"{start}Z" for start in np.datetime_as_string(self.starts, "s").tolist()]
        columns = [getattr(self, name).tolist() for name in _COLUMNS]
        columns[0] = [
            wh if there else None
            for wh, there in zip(columns[0], self.published.tolist(), strict=True)
        ]
        return [
            dict(zip(names, row, strict=True))
            for row in zip(self.slots.tolist(), starts, self.local_labels(), *columns, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """What the curve is, and `rows`."""
        return {
            "label": self.label,
            "channel": self.channel,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "time_zone": self.calendar.time_zone,
            "slot_minutes": self.calendar.grid.minutes,
            "total_wh": self.total_wh,
            "rows": self.rows(),
        }

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(self.as_dict())

    def to_csv(self) -> str:
        """A header and one line a slot; no value in `wh` where there is no result."""
        out = io.StringIO()
        names = ["slot", "start_utc", "start_local", *_COLUMNS]
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return out.getvalue()

    def to_polars(self) -> pl.DataFrame:
        """One row a slot: label, channel, slot, start (UTC), wh (null where there is no result),
        readings, expected, coverage, revision, status."""
        import polars as pl

        wh = pl.Series(self.wh, dtype=pl.Int64).set(pl.Series(~self.published), None)
        return pl.DataFrame(
            {
                "label": [self.label] * len(self),
                "channel": [self.channel] * len(self),
                "slot": self.slots,
                "start": pl.Series(self.starts.astype("datetime64[ms]")).dt.replace_time_zone(
                    "UTC"
                ),
                "wh": wh,
                **{name: getattr(self, name).tolist() for name in _COLUMNS[1:]},
            }
        )

    def to_pandas(self) -> pd.DataFrame:
        """The same, with `start` in the local time zone as the index; pandas must be there."""
        try:
            import pandas as pd
        except ImportError:
            raise UsageError("a frame of pandas without pandas", "pip install pandas") from None
        columns = {name: getattr(self, name) for name in ("slot", *_COLUMNS) if name != "slot"}
        index = pd.DatetimeIndex(self.starts, tz="UTC", name="start")
        frame = pd.DataFrame({"slot": self.slots, **columns}, index=index)
        frame["wh"] = frame["wh"].astype("Int64").mask(~self.published)
        return frame.tz_convert(self.calendar.time_zone)


_COLUMNS = ("wh", "readings", "expected", "coverage", "revision", "status")


def _carried(
    expected: npt.NDArray[np.int64], there: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Where nothing is there, what was expected before; at the beginning what is expected next."""
    if not there.any():
        return expected
    last = np.maximum.accumulate(np.where(there, np.arange(len(there)), -1))
    return expected[np.where(last < 0, np.argmax(there), last)]
