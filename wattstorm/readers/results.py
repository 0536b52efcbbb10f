"""`Results`: the typed client behind `wattstorm results` and `wattstorm status`.

>>> from datetime import date
>>> from wattstorm import Results
>>> with Results.open(settings) as results:          # or Results.open("redis://host:6379/0")
...     curve = results.national(date(2013, 4, 7))   # the day the clocks went back in Sydney
...     tariff = results.tariff("base_6", date(2013, 4, 7))
...     whole = results.conservation()
>>> len(curve), curve.wh.dtype.name, curve.starts[0].item().isoformat()
(50, 'int64', '2013-04-06T13:00:00')
>>> curve.local_labels()[4:7]
['2013-04-07T02:00+11:00', '2013-04-07T02:30+11:00', '2013-04-07T02:00+10:00']
>>> curve.total_wh, int(curve.expected[0]), set(curve.status.tolist()) <= {"final", "provisional"}
(219546, 20, True)
>>> 0 < tariff.total_wh < curve.total_wh
True
>>> whole.holds, whole.accepted
(True, 113784)
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property

from wattstorm.errors import DataError, UsageError
from wattstorm.metering.balance import DayBalance
from wattstorm.metering.block import Channel
from wattstorm.metering.slots import LocalCalendar, SlotGrid
from wattstorm.readers.accounts import Conservation, Health, PartitionLag
from wattstorm.readers.curve import Curve
from wattstorm.setting_values import closest
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection, open_connection
from wattstorm.store.daycounters import NAMES
from wattstorm.store.deadletters import DeadAccount
from wattstorm.store.store import Store

__all__ = ["Conservation", "Curve", "DayBalance", "Health", "PartitionLag", "Results"]

_DAYS_AT_ONCE = 32


class Results:
    """What a store has published. Made by `open`; close it, or use it in a `with`.

    An embedded store runs while somebody holds it, so it may stop at `close`.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        self.connection, self.settings = connection, settings
        self._stack = contextlib.ExitStack()
        prefix = settings.store.prefix
        self._all = Store(connection, prefix)
        self._store, self._log = self._all.results, self._all.log

    @classmethod
    def open(cls, where: Settings | str | None = None) -> Results:
        """A client of the store at a URL, of these settings, or of the settings found here."""
        settings = (
            where if isinstance(where, Settings) else Settings.load(options={"store.url": where})
        )
        with contextlib.ExitStack() as stack:
            results = cls(stack.enter_context(open_connection(settings)), settings)
            results._stack = stack.pop_all()
        return results

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------ curves

    def national(self, day: date | None = None, channel: str = "import") -> Curve:
        """The whole register's curve of a local day; None: the newest with results."""
        return self._day("nation", day, channel)

    def tariff(self, name: str, day: date | None = None, channel: str = "import") -> Curve:
        return self._day(f"tariff:{name}", day, channel)

    def region(self, name: str, day: date | None = None, channel: str = "import") -> Curve:
        return self._day(f"region:{name}", day, channel)

    def curve(self, label: str, first: date, last: date, channel: str = "import") -> Curve:
        """A scope's curve over the local days first … last, both included.

        label: one of `labels`. A slot that nobody reported in is not in the curve.
        """
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
        labels = self.labels if labels is None else labels
        for label in labels:
            self._check_label(label)
        first = first or last or self.days()[1]
        last = last or first
        if last < first:
            raise UsageError(f"the days {first} to {last}", "give the earlier day first")
        slots = range(self.calendar.day_slots(first).start, self.calendar.day_slots(last).stop)
        per_day = self.calendar.grid.per_day
        days = range(slots.start // per_day, (slots.stop - 1) // per_day + 1)
        curves = {}
        for label, found in self._store.curves(_channel(channel), labels, days).items():
            rows = {slot: row for slot, row in found.items() if slot in slots}
            curves[label] = Curve.of(label, channel, (first, last), self.calendar, rows)
        return curves

    def days(self) -> tuple[date, date]:
        """First and last local day with results; DataError if there is none."""
        known = self._store.days()
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

    @property
    def labels(self) -> list[str]:
        """Scopes that have curves: "nation", "tariff:base_6", "region:north"."""
        return list(json.loads(self._card.get("labels", "[]")))

    @cached_property
    def calendar(self) -> LocalCalendar:
        """The local days of the store's data, whatever the settings here say."""
        stream = self.settings.stream
        minutes = int(self._card.get("slot_minutes", stream.slot_minutes))
        return LocalCalendar(SlotGrid(minutes), self._card.get("time_zone", stream.time_zone))

    # ------------------------------------------------------------ accounts

    def conservation(self) -> Conservation:
        """What became of all readings: the audit of all partitions, and the rows refused before."""
        heads = self._log.statuses(self.partitions)
        return Conservation.of(
            self.audit(), self._all.intake.counts(), sum(head.shed_readings for head in heads)
        )

    def audit(self) -> dict[str, int]:
        """Counters of the stream: received, each outcome, batches, blocks and so on."""
        return self._store.audit(self.partitions)

    def utc_days(self) -> list[int]:
        """UTC days with results, since the epoch, ascending: what `balances` may be asked of."""
        return self._store.days()

    def balances(self, days: Sequence[int] | None = None) -> list[DayBalance]:
        """What the counters of each UTC day and channel say, beside what its curves hold.

        days: UTC days since the epoch; None: all with results. Days that change while they are
        looked at, or wait to be published, are left out: ask again. The counters of a day
        outlive its results by a month; a partition that lagged by more could be missed here.
        """
        days = self._store.days() if days is None else days
        found: list[DayBalance] = []
        for at in range(0, len(days), _DAYS_AT_ONCE):
            found += self._balanced(days[at : at + _DAYS_AT_ONCE])
        return found

    def lag(self) -> list[PartitionLag]:
        """How far each partition's sums are behind its log."""
        heads = self._log.statuses(self.partitions)
        fences = self._store.fences(self.partitions).stamp.tolist()
        faults = self._store.faults(self.partitions)
        return [
            PartitionLag(
                p, head.tail, fence, max(0, head.appended - head.committed), faults.get(p, "")
            )
            for p, head, fence in zip(self.partitions, heads, fences, strict=True)
        ]

    def dead_letters(self) -> DeadAccount:
        """What is held of all that was refused, by the stream and by ingest, and what fell
        out at the bound."""
        return self._all.dead.account(self.partitions) + self._all.intake.account()

    def health(self) -> Health:
        info = self.connection.check()
        return Health(
            info.product,
            info.aof,
            info.warnings,
            tuple(self._all.beats()),
            sum(lag.waiting_blocks for lag in self.lag()),
            self.dead_letters().held,
        )

    @property
    def partitions(self) -> range:
        return range(int(self._card.get("partitions", 0)))

    # ------------------------------------------------------------ inside

    @cached_property
    def _card(self) -> dict[str, str]:
        return self._store.meta()

    def _day(self, label: str, day: date | None, channel: str) -> Curve:
        self._check_label(label)
        day = day or self.days()[1]
        return self.curve(label, day, day, channel)

    def _balanced(self, days: Sequence[int]) -> Iterator[DayBalance]:
        """In this order a look cannot be torn: where the counters are the same at its end, no sum
        moved meanwhile; what was not dirty after its begin was published then, and stays so."""
        counters = self._all.day_counters
        per_day = self.calendar.grid.per_day
        before = counters.read(days, self.partitions)
        dirty = {(slot // per_day, c) for c, slot in self._store.dirty(self.partitions)}
        curves = self._whole(days)
        after = counters.read(days, self.partitions)
        for of, parts in before.items():
            total = Counter({name: sum(part[name] for part in parts) for name in NAMES})
            if parts != after[of] or of in dirty or not (any(total.values()) or of in curves):
                continue
            readings, wh = curves.get(of, (0, 0))
            yield DayBalance.of(*of, total, readings_in_curves=readings, wh_in_curves=wh)

    def _whole(self, days: Sequence[int]) -> dict[tuple[int, int], tuple[int, int]]:
        """(UTC day, channel) → (readings, Wh) of the scopes that are the register together."""
        labels = self.labels or ["nation"]
        kind = "nation" if "nation" in labels else labels[0].partition(":")[0]
        total: dict[tuple[int, int], tuple[int, int]] = {}
        for channel in Channel:
            whole = [label for label in labels if label.partition(":")[0] == kind]
            for rows in self._store.curves(int(channel), whole, days).values():
                for slot, row in rows.items():
                    of = slot // self.calendar.grid.per_day, int(channel)
                    n, wh = total.get(of, (0, 0))
                    total[of] = n + row.readings, wh + row.wh
        return total

    def _check_label(self, label: str) -> None:
        labels = self.labels
        if labels and label not in labels:
            kind = label.partition(":")[0]
            names = [known.partition(":")[2] for known in labels if known.startswith(f"{kind}:")]
            hint = closest(label.partition(":")[2], names)
            known = f"known are {', '.join(names)}" if names else f"known are {', '.join(labels)}"
            raise UsageError(f"the store has no curve {label!r}", hint or known)

    def _slots_near(self, utc_days: list[int]) -> list[int]:
        """Slots of the first of these UTC days that has any, in any scope's curve."""
        labels = self.labels[:1] or ["nation"]
        for day in utc_days:
            for channel in Channel:
                if found := list(self._store.curve(int(channel), labels[0], [day])):
                    return found
        return []


def _channel(name: str) -> int:
    try:
        return int(Channel[name.upper()])
    except KeyError:
        known = [channel.name.lower() for channel in Channel]
        raise UsageError(f"channel {name!r}", f"it may be {' or '.join(known)}") from None
