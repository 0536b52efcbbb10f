"""One reader of the store for all clients: a thread that follows the log `slots`.

It loads the newest days once, then applies entry by entry; a gap in the log, or a store that went
back, is met by loading anew. While the store is away it says so and tries again, for ever.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from wattstorm.errors import LogGap, WattstormError
from wattstorm.metering.results import SlotChange, SlotResult
from wattstorm.metering.slots import day_number
from wattstorm.readers.results import Results
from wattstorm.serve.page.board import KEPT_DAYS, Board
from wattstorm.serve.page.now import AWAY, EMPTY, LIVE, STALE, STOPPED, Now
from wattstorm.serve.page.outlook import Outlook, foreseen
from wattstorm.serve.page.views import ScopeView, scope_view
from wattstorm.serve.page.vitals import Pulse, Vitals
from wattstorm.store.forecasts import ForecastStore
from wattstorm.store.keys import SLOTS
from wattstorm.store.log import Log
from wattstorm.store.store import Store

WAIT_MS = 400
PUSH_S = 0.25
"""Least time between two pushes: what changes meanwhile goes out together."""
VITALS_S = 2.0
FORECASTS_S = 3.0
RETRY_S = 0.5
STALE_SLOTS = 1.5
"""So many slots of wall time without a change are stale."""
SLOT_KIND = "slot"
_AT_ONCE = 256
_log = logging.getLogger("wattstorm.serve")


class Feed:
    """open_results: opens a client of the store, again after each loss; tell: called in the
    feed's thread with each new `Now`."""

    def __init__(
        self, open_results: Callable[[], Results], tell: Callable[[Now], None] = lambda _: None
    ) -> None:
        self.now = Now()
        self._open, self._tell = open_results, tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page-feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._open() as results:
                    while not self._stop.is_set():
                        self._follow(results)
            except WattstormError as error:
                self._say(replace(self.now, state=AWAY, why=str(error)))
            except Exception as error:  # a page that stays dark helps nobody: say it, go on
                _log.exception("the page's reader failed")
                self._say(replace(self.now, state=AWAY, why=f"{type(error).__name__}: {error}"))
            self._stop.wait(RETRY_S)

    def _follow(self, results: Results) -> None:
        """Load the newest days, then apply what the log says, until it has to be loaded anew."""
        # What it knew of the store may be old.
        fresh = type(results)(results.connection, results.settings)
        log = Log(results.connection, results.settings.store.prefix, name=SLOTS)
        position = log.status(0).tail
        board, pulse = _load(fresh), Pulse()
        reader = _Reader(fresh, board, pulse)
        if position:
            reader.changed_ms = log.read(0, position, position)[0].arrived_ms
        self._say(reader.now())
        while not self._stop.is_set():
            begun = time.monotonic()
            if log.wait_beyond({0: position}, WAIT_MS):
                try:
                    position = reader.apply(log, position)
                except LogGap:
                    return
            elif log.status(0).tail < position:
                return  # the store went back
            if not board.labels or (board.newest < 0 and position):
                return
            self._say(reader.now())
            self._stop.wait(max(0.0, begun + PUSH_S - time.monotonic()))

    def _say(self, now: Now) -> None:
        if now == self.now:
            return
        self.now = now
        self._tell(now)


class _Reader:
    """What `_follow` has in hand between two loads."""

    def __init__(self, results: Results, board: Board, pulse: Pulse) -> None:
        self.results, self.board, self.pulse = results, board, pulse
        self.changed_ms = self.clock_ms = 0
        self._vitals: Vitals | None = None
        self._views: dict[str, ScopeView] = {}
        self._outlook: Outlook | None = None
        self._due = self._foretold = 0.0
        self._stale = True

    def apply(self, log: Log, position: int) -> int:
        """Entries behind `position`, some of them; the position reached."""
        last = min(log.status(0).tail, position + _AT_ONCE)
        for entry in log.read(0, position + 1, last):
            if entry.kind == SLOT_KIND:  # others are for who forecasts: models, weather, prices
                change = SlotChange.from_json(entry.data)
                self.board.apply(replace(change, rows=self.results.shown(change.rows)))
                self.changed_ms = entry.arrived_ms
        self._stale = True
        return last

    def now(self) -> Now:
        if time.monotonic() >= self._due:
            self._vitals = self.pulse.take(self.results)
            self.clock_ms = self.results.connection.server_time_us() // 1000
            self._due = time.monotonic() + VITALS_S
        if self.board.newest >= 0 and time.monotonic() >= self._foretold:
            self._look_ahead()
        if self._stale and self.board.newest >= 0:
            self._views = {label: self._view(label) for label in self.board.labels}
            self._stale = False
        now = Now(
            LIVE,
            "",
            self._views,
            self._vitals,
            self.changed_ms,
            self.clock_ms,
            self.board.calendar.time_zone,
            self._outlook,
        )
        return replace(now, state=self._state(now))

    def _view(self, label: str) -> ScopeView:
        calendar, today = self.board.calendar, self.board.today
        rows = self._outlook.today.get(label, ()) if self._outlook else ()
        said = foreseen(rows, calendar.day_slots(today), calendar.grid.minutes)
        return scope_view(self.board, label, said)

    def _look_ahead(self) -> None:
        """Forecasts of today and tomorrow."""
        self._foretold = time.monotonic() + FORECASTS_S
        day = self.board.today + timedelta(days=1)
        store = ForecastStore(self.results.connection, self.results.settings.store.prefix)
        known = set(self.results.labels)
        today, tomorrow = (
            {label: rows for label, rows in store.all_of_day(number).items() if label in known}
            for number in (day_number(day) - 1, day_number(day))
        )
        found = Outlook(day, today, tomorrow)
        if found != self._outlook:
            self._outlook, self._stale = found, True

    def _state(self, now: Now) -> str:
        if not now.views:
            return EMPTY
        if now.vitals is not None and not now.vitals.running:
            return STOPPED
        slots_s = STALE_SLOTS * self.board.calendar.grid.seconds
        return STALE if now.quiet_s > slots_s else LIVE


def _load(results: Results) -> Board:
    """The newest days of all scopes, out of the curves."""
    board = Board(results.calendar, list(results.labels))
    days = results.utc_days()[-KEPT_DAYS - 1 :]
    if days and board.labels:
        store = Store(results.connection, results.settings.store.prefix).results
        by_slot: dict[int, dict[str, SlotResult]] = {}
        for label, rows in store.curves(0, board.labels, days).items():
            for slot, row in rows.items():
                by_slot.setdefault(slot, {})[label] = row
        shown = {slot: results.shown(rows) for slot, rows in by_slot.items()}
        for label in board.labels:
            board.put(label, {slot: rows[label] for slot, rows in shown.items() if label in rows})
    return board
