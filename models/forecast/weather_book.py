"""What the weather was said to be, and when that was said: vintages, and the look-up at issue time.

A vintage is one series that became known at one moment: a run of a weather model, or a station's
observations. A book is a value: the whole of it is the text of one control entry, and the text
in force is all that a forecast may know. Weather that nobody said is NaN, never a guess.

>>> book = WeatherBook().with_([
...     Vintage("nation", "temp", issued=0, first=0, step=3600, values=hundredths([4.0, 6.0])),
...     Vintage("nation", "temp", issued=3600, first=3600, step=3600, values=hundredths([5.0])),
... ])
>>> at = np.array([0, 1800, 3600, 7200])
>>> book.known("nation", "temp", 0, at).values.tolist(), book.known("nation", "temp", 3600, at
... ).values.tolist()
([4.0, 5.0, 6.0, nan], [4.0, 5.0, 5.0, nan])
>>> WeatherBook.of(book.text()) == book
True
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Floats
from wattstorm.errors import DataError

SCHEMA: Final = 1
NATION: Final = "nation"
"""Where no other place is meant; it stands in for a place of which nothing was said."""
LIMITS: Final = {"temp": (-90.0, 60.0), "cloud": (0.0, 100.0), "wind": (0.0, 300.0)}
"""What a model may ask for, with its least and greatest value: °C, %, km/h or m/s."""
MISSING: Final = -(2**15)
SHORTEST, LONGEST = 300, 6 * 3600
"""Seconds between two values: what is farther apart says nothing of a day's course."""
LEAD = 7 * 86400
"""Seconds ahead of its issue that a value is believed."""
KEEP = 60 * 86400
"""Seconds before the newest issue that a value is kept: a forecast looks back ten days."""
MOST = 200_000
"""Values of all vintages together: 400 kB before they are packed."""

Seconds = npt.NDArray[np.int64]


def hundredths(values: Sequence[float] | Floats) -> npt.NDArray[np.int16]:
    """int16[n], hundredths; NaN is MISSING."""
    values = np.asarray(values, np.float64)
    there = np.isfinite(values)
    return np.where(there, np.rint(np.where(there, values, 0) * 100), MISSING).astype(np.int16)


@dataclass(frozen=True, eq=False)
class Vintage:
    """One series of one place. issued, first: UTC seconds; step: seconds; values: int16[n],
    hundredths, MISSING where nothing was said. A value is that of its moment."""

    place: str
    name: str
    issued: int
    first: int
    step: int
    values: npt.NDArray[np.int16]

    @property
    def end(self) -> int:
        """UTC seconds: the last value stands for the step that begins with it."""
        return self.first + self.step * len(self.values)

    @property
    def key(self) -> tuple[str, str, int]:
        """A later vintage of the same key takes this one's place."""
        return self.place, self.name, self.issued

    def checked(self) -> Vintage:
        """Itself; DataError if it says what no weather is."""
        if self.name not in LIMITS:
            raise DataError(f"weather {self.name!r}", f"known are {', '.join(LIMITS)}")
        if not (SHORTEST <= self.step <= LONGEST) or not len(self.values):
            raise DataError(
                f"weather of {self.place} every {self.step / 60:g} minutes, {len(self.values)} "
                "values",
                f"give some, every {SHORTEST // 60} to {LONGEST // 60} minutes",
            )
        said = self.values[self.values != MISSING] / 100
        low, high = LIMITS[self.name]
        if len(said) and not (low <= said.min() and said.max() <= high):
            worst = float(said.min() if said.min() < low else said.max())
            raise DataError(
                f"{self.name} of {worst:g} in {self.place}", f"it may be {low:g} to {high:g}"
            )
        return self

    def at(self, at: Seconds) -> Floats:
        """float64[n]: between two values on the line between them, NaN where either is missing."""
        i, rest = np.divmod(at - self.first, self.step)
        inside = (i >= 0) & (i < len(self.values))
        i = np.where(inside, i, 0)
        known = np.append(np.where(self.values == MISSING, np.nan, self.values / 100.0), np.nan)
        now, then = known[i], known[i + 1]
        last = (i == len(self.values) - 1) | (rest == 0)
        share = np.where(last, 0.0, rest / self.step)
        out = now + share * (np.where(last, now, then) - now)
        return np.where(inside & (at - self.issued <= LEAD), out, np.nan)

    def since(self, moment: int) -> Vintage | None:
        """Without the values that ended before `moment`; None if none is left."""
        gone = max(0, (moment - self.first) // self.step)
        if gone >= len(self.values):
            return None
        first = self.first + gone * self.step
        return Vintage(self.place, self.name, self.issued, first, self.step, self.values[gone:])


class Known(NamedTuple):
    """values: float64[n], NaN unknown. issued: int64[n], when each was said, -1 where it was not.
    newest: the greatest of them, the vintage that a forecast names."""

    values: Floats
    issued: Seconds

    @property
    def newest(self) -> int:
        return int(self.issued.max()) if len(self.issued) else -1


@dataclass(frozen=True, eq=False)
class WeatherBook:
    """Vintages in order of their keys."""

    vintages: tuple[Vintage, ...] = ()

    def with_(self, more: Iterable[Vintage]) -> WeatherBook:
        """The book with more vintages, kept within its bounds: what ended KEEP before the newest
        issue goes, then the vintages that were issued first, until MOST values are left."""
        held = {v.key: v for v in self.vintages}
        held.update({v.key: v.checked() for v in more})
        if not held:
            return self
        newest = max(v.issued for v in held.values())
        kept = [cut for v in held.values() if (cut := v.since(newest - KEEP)) is not None]
        kept.sort(key=lambda v: (-v.issued, v.place, v.name))
        total = np.cumsum([len(v.values) for v in kept])
        few = [v for v, count in zip(kept, total.tolist(), strict=True) if count <= MOST]
        return WeatherBook(tuple(sorted(few, key=lambda v: v.key)))

    def known(self, place: str, name: str, issue: int, at: Seconds) -> Known:
        """What was known at `issue` (UTC seconds) of the moments `at`, int64[n]: each from the
        newest vintage that says something of it."""
        told = self._of.get((place, name)) or self._of.get((NATION, name), ())
        values, issued = np.full(len(at), np.nan), np.full(len(at), -1, np.int64)
        for vintage in told:
            if vintage.issued > issue:
                continue
            asked = np.isnan(values) & (at >= vintage.first) & (at < vintage.end)
            if asked.any():
                said = vintage.at(at[asked])
                values[asked] = said
                issued[asked] = np.where(np.isfinite(said), vintage.issued, -1)
        return Known(values, issued)

    def text(self) -> str:
        """The whole book, for a control entry: JSON with the values packed, and a checksum."""
        heads = [[*v.key, v.first, v.step, len(v.values)] for v in self.vintages]
        raw = _packed(self.vintages)
        return json.dumps(
            {
                "schema": SCHEMA,
                "sha256": _checksum(heads, raw),
                "vintages": heads,
                "values": base64.b64encode(zlib.compress(raw, 6)).decode(),
            },
            separators=(",", ":"),
        )

    @classmethod
    def of(cls, text: str) -> WeatherBook:
        """The book of a text ("" for the empty one); DataError if it is damaged."""
        if not text:
            return cls()
        try:
            plain = json.loads(text)
            if plain["schema"] != SCHEMA:
                raise DataError(
                    f"weather of schema {plain['schema']!r}, this version reads {SCHEMA}",
                    "load it again: wattstorm weather load",
                )
            unpack = zlib.decompressobj()
            raw = unpack.decompress(base64.b64decode(plain["values"], validate=True), 2 * MOST)
            if _checksum(plain["vintages"], raw) != plain["sha256"]:
                raise ValueError("its checksum is another")
            return cls(tuple(_unpacked(plain["vintages"], raw)))
        except (LookupError, TypeError, ValueError, binascii.Error, zlib.error) as error:
            raise DataError(
                f"weather that cannot be read: {error}", "load it again: wattstorm weather load"
            ) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WeatherBook) and self._same == other._same

    def __hash__(self) -> int:
        return hash(self._same)

    @cached_property
    def _same(self) -> str:
        return _checksum([[*v.key, v.first, v.step] for v in self.vintages], _packed(self.vintages))

    @cached_property
    def _of(self) -> dict[tuple[str, str], tuple[Vintage, ...]]:
        """By place and name, the newest first."""
        found: dict[tuple[str, str], tuple[Vintage, ...]] = {}
        for vintage in reversed(self.vintages):  # by key, so by issue within place and name
            key = vintage.place, vintage.name
            found[key] = (*found.get(key, ()), vintage)
        return found


def _packed(vintages: Iterable[Vintage]) -> bytes:
    return b"".join(v.values.astype("<i2").tobytes() for v in vintages)


def _checksum(heads: list[Any], raw: bytes) -> str:
    return hashlib.sha256(json.dumps(heads).encode() + raw).hexdigest()


def _unpacked(heads: list[Any], raw: bytes) -> Iterable[Vintage]:
    values, at = np.frombuffer(raw, "<i2").astype(np.int16), 0
    for place, name, issued, first, step, count in heads:
        one = Vintage(
            str(place), str(name), int(issued), int(first), int(step), values[at:][:count]
        )
        if len(one.values) != count:
            raise ValueError(f"{len(one.values)} of {count} values of {place}")
        at += count
        yield one.checked()
