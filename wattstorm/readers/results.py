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

from wattstorm.metering.balance import DayBalance
from wattstorm.readers.accounts import Conservation, Health, PartitionLag
from wattstorm.readers.change import Change, Revision
from wattstorm.readers.changes import Changes
from wattstorm.readers.curve import Curve
from wattstorm.readers.curves import Comparison, Curves
from wattstorm.readers.forecast import Forecast
from wattstorm.readers.forecasts import ForecastReader
from wattstorm.readers.health import HealthReader
from wattstorm.readers.scores import MeterScore, ScopeScores, Scored, ScoreReader
from wattstorm.settings import Settings
from wattstorm.store.connection import Connection, open_connection

__all__ = [
    "Change",
    "Comparison",
    "Conservation",
    "Curve",
    "DayBalance",
    "Forecast",
    "Health",
    "MeterScore",
    "PartitionLag",
    "Results",
    "Revision",
    "ScopeScores",
    "Scored",
]


class Results(Curves, Changes, ForecastReader, ScoreReader, HealthReader):
    """What a store has published. Made by `open`; close it, or use it in a `with`. Each noun is
    a base class in a file of its own.

    An embedded store runs while somebody holds it, so it may stop at `close`.
    """

    def __init__(self, connection: Connection, settings: Settings) -> None:
        super().__init__(connection, settings)
        self._stack = contextlib.ExitStack()

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
