"""All tariffs with what was announced of them so far: what energy costs, as far as it is known.

A book is a value: the whole of it is the text of one control entry. A tariff of the register takes
the prices under its own name, else those of the longest pattern that fits it ("tempo_*"). What is
added says {"rules": {NAME: RULE}, "from": DATE}, {"colours": {NAME: {DATE: COLOUR}}} or
{"hourly": {NAME: {DATE: [millionths of a € per kWh]}}}, or several at once; rules: `prices.py`.

>>> blue = {"otherwise": "0.16"}
>>> tempo = {"kind": "colours", "usual": "blue", "colours": {"blue": blue, "red": blue}}
>>> before = PriceBook().with_({"rules": {"tempo_*": tempo}})
>>> book = before.with_({"colours": {"tempo_*": {"2025-01-10": "red"}}})
>>> book.changed_since(before)
(Changed(name='tempo_*', first='2025-01-10', last='2025-01-10'),)
>>> PriceBook.of(book.text()) == book
True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

import numpy as np

from models.forecast.calendar import Calendar
from models.forecast.prices import MOST, Priced, Tariff
from wattstorm.errors import DataError

SCHEMA: Final = 1
KEPT: Final = 400
"""Days of announcements that are kept of each tariff, the newest."""
MOST_NAMES: Final = 1000
COUNTS: Final = (24, 48, 96, 144)
"""Prices of an announced day: one an hour, or one a slot."""
PARTS: Final = ("rules", "colours", "hourly")
AGAIN: Final = "load it again: wattstorm prices load"
ALWAYS: Final = ""
"""The date from which a rule holds that was given without one."""


class Changed(NamedTuple):
    """Local days, YYYY-MM-DD, whose prices under `name` are others now; last "": for good."""

    name: str
    first: str
    last: str

    def on(self, name: str, day: str) -> bool:
        return name == self.name and self.first <= day <= (self.last or day)


@dataclass(frozen=True)
class PriceBook:
    """rules: name → date from which it holds → rule. colours: name → date → colour. hourly: name →
    date → millionths of a € per kWh. All as plain JSON values."""

    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    colours: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hourly: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)

    def with_(self, news: Mapping[str, Any]) -> PriceBook:
        """The book with rules and announcements added, the newest KEPT days of them kept.
        DataError names what cannot be meant; then nothing is added."""
        unknown = [name for name in news if name not in (*PARTS, "from")]
        if unknown:
            raise DataError(
                f"prices that say {unknown[0]!r}", f"known are {', '.join(PARTS)}, from"
            )
        since = str(news.get("from", ALWAYS))
        if since:
            _day_of(since)
        rules = {name: {since: rule} for name, rule in _table(news, "rules").items()}
        parts = (
            _merged(self.rules, rules),
            _merged(self.colours, _table(news, "colours")),
            _merged(self.hourly, _table(news, "hourly")),
        )
        book = PriceBook(*parts)
        book._check()
        return book

    def name_of(self, tariff: str) -> str:
        """The name under which a tariff's prices stand, "" if there are none."""
        if tariff in self.rules:
            return tariff
        fits = [name for name in self.rules if fnmatchcase(tariff, name)]
        return max(fits, key=lambda name: (len(name), name), default="")

    def tariff(self, tariff: str, day: str) -> Tariff | None:
        """A tariff as it is known for a local day; None if nothing is."""
        name = self.name_of(tariff)
        since = max((start for start in self.rules.get(name, {}) if start <= day), default=None)
        if since is None:
            return None
        hourly = {d: np.array(p, np.int64) for d, p in self.hourly.get(name, {}).items()}
        return Tariff(name, self.rules[name][since], self.colours.get(name, {}), hourly)

    def priced(
        self, tariff: str, day: np.datetime64, slots: int, calendar: Calendar
    ) -> Priced | None:
        """Prices of each slot of a local day with their version; None if none are known."""
        found = self.tariff(tariff, str(day))
        if found is None or (
            found.rule["kind"] == "hourly" and min(found.hourly, default="z") > str(day)
        ):
            return None
        return found.day(day, slots, calendar)

    def changed_since(self, before: PriceBook) -> tuple[Changed, ...]:
        """Whose days have other prices than in `before`: those amounts are to be issued again."""
        return tuple(sorted(set(self._changed(before))))

    def text(self) -> str:
        """The whole book, for a control entry: JSON with a checksum."""
        plain = self._plain()
        return json.dumps({"schema": SCHEMA, "sha256": _checksum(plain), **plain}, sort_keys=True)

    @classmethod
    def of(cls, text: str) -> PriceBook:
        """The book of a text ("" for the empty one); DataError if it is damaged."""
        if not text:
            return cls()
        try:
            plain = json.loads(text)
            schema, told = plain.pop("schema"), plain.pop("sha256")
            if schema != SCHEMA:
                raise DataError(f"prices of schema {schema!r}, this version reads {SCHEMA}", AGAIN)
            if _checksum(plain) != told:
                raise ValueError("its checksum is another")
            book = cls(*(plain[part] for part in PARTS))
            book._check()
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"prices that cannot be read: {error}", AGAIN) from error
        return book

    def _plain(self) -> dict[str, Any]:
        return {part: getattr(self, part) for part in PARTS}

    def _check(self) -> None:
        if len(self.rules) > MOST_NAMES:
            raise DataError(f"{len(self.rules)} tariffs", f"at most {MOST_NAMES}; use patterns")
        for name, dated in self.rules.items():
            for rule in dated.values():
                _check_rule(name, rule)
        for name, days in self.colours.items():
            known = {
                c for rule in self.rules.get(name, {}).values() for c in rule.get("colours", ())
            }
            for day, colour in days.items():
                _day_of(day)
                if colour not in known:
                    what = f"colour {colour!r} of {name!r} on {day}"
                    raise DataError(what, f"known are {', '.join(sorted(known)) or 'none'}")
        for name, announced in self.hourly.items():
            if not any(r["kind"] == "hourly" for r in self.rules.get(name, {}).values()):
                raise DataError(
                    f"hourly prices of {name!r}, whose rule says otherwise",
                    f'give it the rule {{"{name}": {{"kind": "hourly"}}}} first',
                )
            for day, prices in announced.items():
                _check_hourly(name, day, prices)

    def _changed(self, before: PriceBook) -> Iterator[Changed]:
        for name in {*self.rules, *before.rules}:
            mine, theirs = self.rules.get(name, {}), before.rules.get(name, {})
            for since in {*mine, *theirs}:
                if mine.get(since) != theirs.get(since):
                    yield Changed(name, since, "")
        for name, days in self.colours.items():
            for day, colour in days.items():
                if before.colours.get(name, {}).get(day) != colour:
                    yield Changed(name, day, day)
        for name, announced in self.hourly.items():
            for day, prices in announced.items():
                if before.hourly.get(name, {}).get(day) != prices:
                    # it stands in for the days after it that have none
                    after = min((d for d in announced if d > day), default="")
                    last = str(_day_of(after) - timedelta(days=1)) if after else ""
                    yield Changed(name, day, last)


def _table(news: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found = news.get(part, {})
    if not isinstance(found, Mapping):
        raise DataError(f"{part} = {found!r}"[:200], "give a table: name → what is said of it")
    return found


def _merged(
    held: Mapping[str, Mapping[str, Any]], more: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    out = {name: dict(days) for name, days in held.items()}
    for name, days in more.items():
        if not isinstance(days, Mapping):
            raise DataError(f"{name} = {days!r}"[:200], "give a table: date → what is said of it")
        out[name] = {**out.get(name, {}), **days}
        for old in sorted(out[name])[:-KEPT]:
            del out[name][old]
    return out


def _day_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DataError(f"day {text!r}", "write YYYY-MM-DD") from None


def _check_hourly(name: str, day: str, prices: Sequence[Any]) -> None:
    _day_of(day)
    whole = all(type(p) is int and abs(p) <= MOST for p in prices)
    if len(prices) not in COUNTS or not whole:
        raise DataError(
            f"{len(prices)} prices of {name!r} on {day}",
            f"give {', '.join(map(str, COUNTS))}, whole millionths of a € per kWh",
        )


def _check_rule(name: str, rule: Any) -> None:
    """A rule prices a week of each of its colours, or DataError says why not."""
    kind = rule.get("kind") if isinstance(rule, Mapping) else None
    if kind not in ("flat", "periods", "colours", "hourly"):
        what = f"the rule of {name!r} is of kind {kind!r}"
        raise DataError(what, "take flat, periods, colours or hourly")
    if kind == "hourly":
        return
    week = np.datetime64("2024-01-01") + np.arange(7)
    try:
        colours = rule["colours"] if kind == "colours" else [""]
        if kind == "colours" and rule["usual"] not in colours:
            raise DataError(f"usual colour {rule['usual']!r}", f"known are {', '.join(colours)}")
        for colour in colours:
            tariff = Tariff(name, rule, {str(d): colour for d in week})
            for day in week:
                tariff.day(day, 24, Calendar(week[:0]))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"the rule of {name!r} lacks or garbles {error}", "docs/forecast.md"
        ) from error


def _checksum(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
