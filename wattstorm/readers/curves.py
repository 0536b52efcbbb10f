"""The noun "curves": published curves, by scope and day, now against then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from wattstorm.errors import DataError, UsageError
from wattstorm.readers.curve import Curve
from wattstorm.readers.reader import Reader, channel_number
from wattstorm.store.curves import Published

YESTERDAY, LAST_WEEK = 1, 7


@dataclass(frozen=True, eq=False)
class Comparison:
    """A day's curve beside those of earlier days. then: days before → that day's curve."""

    now: Curve
    then: dict[int, Curve]

    def at_the_time(self, days_before: int) -> npt.NDArray[np.float64]:
        """float64[len(now)], Wh of the earlier day at the same local times; NaN where it has
        none."""
        return self.then[days_before].on_clock_of(self.now.first)

    def difference(self, days_before: int) -> npt.NDArray[np.float64]:
        """float64[len(now)], Wh that each slot is above the same local time of the earlier day;
        NaN where one of the two has no result."""
        now = np.where(self.now.published, self.now.wh, np.nan)
        return now - self.at_the_time(days_before)


class Curves(Reader):
    """Each question is one round trip, once the client knows the store."""

    def national(self, day: date | None = None, channel: str = "import") -> Curve:
        """The whole register's curve of a local day; None: the newest with results."""
        return self._one("nation", day, channel)

    def tariff(self, name: str, day: date | None = None, channel: str = "import") -> Curve:
        return self._one(f"tariff:{name}", day, channel)

    def region(self, name: str, day: date | None = None, channel: str = "import") -> Curve:
        return self._one(f"region:{name}", day, channel)

    def curve(self, label: str, first: date, last: date, channel: str = "import") -> Curve:
        """A scope's curve over the local days first … last, both included. label: one of
        `labels`."""
        return self.curves([label], first, last, channel)[label]

    def curves(
        self,
        labels: Sequence[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        channel: str = "import",
    ) -> dict[str, Curve]:
        """The curves of several scopes over the local days first … last, by label, in one round
        trip and of one moment: tariffs and regions add up to the nation.

        labels: some of `labels`, None for all; first: None for the newest day with results;
        last: None for `first`.
        """
        if first is None and last is None:
            return self._newest(labels, channel)
        first = first or last
        last = last or first
        assert first is not None
        assert last is not None
        if last < first:
            raise UsageError(f"the days {first} to {last}", "give the earlier day first")
        found, wanted = self._read(labels, self._utc_days(first, last), channel)
        return self._made(found, wanted, first, last, channel)

    def compare(
        self,
        label: str = "nation",
        day: date | None = None,
        days_before: Sequence[int] = (YESTERDAY, LAST_WEEK),
        channel: str = "import",
    ) -> Comparison:
        """A day (None: the newest with results) beside the days so many before it."""
        days_before = tuple(days_before)
        if min(days_before, default=1) < 1:
            raise UsageError(f"{min(days_before)} days before", "give whole days, from 1 on")
        day = day or self._newest([label], channel)[label].first
        days = [day - timedelta(before) for before in (0, *days_before)]
        utc_days = sorted({utc for each in days for utc in self._utc_days(each, each)})
        found, wanted = self._read([label], utc_days, channel)
        now, *then = (self._made(found, wanted, each, each, channel)[label] for each in days)
        return Comparison(now, dict(zip(days_before, then, strict=True)))

    def days(self) -> tuple[date, date]:
        """First and last local day with results; DataError if there is none."""
        known = self.utc_days()
        if not known:
            raise DataError(
                "the store holds no results yet",
                "wattstorm ingest FILE, then wattstorm run --drain",
            )
        per_day = self.calendar.grid.per_day
        # A UTC day is announced before its slots: look at the ends for slots that are there.
        first = self._slots_near(known)
        last = self._slots_near(known[::-1])
        ends = (
            (min(first), max(last)) if first and last else (known[0] * per_day, known[-1] * per_day)
        )
        return self.calendar.date_of(ends[0]), self.calendar.date_of(ends[1])

    def utc_days(self) -> list[int]:
        """UTC days with results, since the epoch, ascending: what `balances` may be asked of."""
        return self._all.results.days()

    # ------------------------------------------------------------ inside

    def _one(self, label: str, day: date | None, channel: str) -> Curve:
        return self.curves([label], day, day, channel)[label]

    def _newest(self, labels: Sequence[str] | None, channel: str) -> dict[str, Curve]:
        """The newest day, where the last answer said it is; asked again where it has moved on."""
        for _ in range(3):
            at = self._newest_seen
            found, wanted = self._read(labels, range(at - 1, at + 1), channel)
            newest = found.days[-1] if found.days else 0
            if newest == at and (last := _last_slot(found)) >= 0:
                day = self.calendar.date_of(last)
                return self._made(found, wanted, day, day, channel)
            if newest == at:
                break
            self._newest_seen = newest
        day = self.days()[1]
        return self.curves(labels, day, day, channel)

    _newest_seen = 0

    def _utc_days(self, first: date, last: date) -> range:
        """UTC days that these local days lie in."""
        per_day = self.calendar.grid.per_day
        begin, end = self.calendar.day_slots(first).start, self.calendar.day_slots(last).stop
        return range(begin // per_day, (end - 1) // per_day + 1)

    def _read(
        self, labels: Sequence[str] | None, utc_days: Iterable[int], channel: str
    ) -> tuple[Published, list[str]]:
        """What is asked, and its labels; the nation beside it, which says what is awaited."""
        wanted = self.labels if labels is None else list(labels)
        if labels is not None:
            self._check_labels(wanted)
        asked = list(dict.fromkeys([*self.labels[:1], *wanted]))
        utc_days = list(utc_days)
        found = self._curves.read(channel_number(channel), asked, utc_days)
        self._learn(found.card)
        if labels is None and self.labels != wanted:  # the register has grown
            return self._read(None, utc_days, channel)
        return found, wanted

    def _made(
        self, found: Published, labels: Sequence[str], first: date, last: date, channel: str
    ) -> dict[str, Curve]:
        # Whole days before the newest one are missing where they are not there, not awaited.
        whole = (found.days[-1] if found.days else 0) * self.calendar.grid.per_day - 1
        newest = max(whole, _last_slot(found))
        return {
            label: Curve.of(label, channel, (first, last), self.calendar, found.rows[label], newest)
            for label in labels
        }

    def _slots_near(self, utc_days: list[int]) -> list[int]:
        """Slots of the first of these UTC days that has any, in any scope's curve."""
        labels = self.labels[:1] or ["nation"]
        for day in utc_days:
            for channel in (0, 1):
                rows = self._curves.read(channel, labels, [day]).rows[labels[0]]
                if len(rows):
                    return [int(slot) for slot in rows[:, 0]]
        return []


def _last_slot(found: Published) -> int:
    """The newest slot with a row; -1: none."""
    return max((int(rows[-1, 0]) for rows in found.rows.values() if len(rows)), default=-1)
