"""Exact sums by slot, and how they roll up into the published curves.

Everything is int64: no order, split or replay can change a bit. A *class* is
one (tariff, region) pair, numbered by the register; a *scope* is a set of
classes that gets a curve of its own: the nation, a tariff, a region.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from wattstorm.errors import DataError, UsageError

if TYPE_CHECKING:
    from wattstorm.register.register import Register

_HEADER: Final = struct.Struct("<IIq")
_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class SlotSums:
    """Energy and readings of one slot, by class. Values merge (+) and revert (-).

    wh: int64[classes], Wh; readings: int64[classes], meters that reported;
    revision: corrections and late readings so far.

    >>> a = SlotSums(np.array([5, 7]), np.array([1, 1]), 0)
    >>> b = SlotSums(np.array([1, 0]), np.array([1, 0]), 1)
    >>> (a + b).wh.tolist(), (a + b - b) == a
    ([6, 7], True)
    """

    wh: npt.NDArray[np.int64]
    readings: npt.NDArray[np.int64]
    revision: int

    @classmethod
    def zeros(cls, classes: int) -> SlotSums:
        nothing = np.zeros(classes, np.int64)
        return cls(nothing, nothing, 0)

    def __add__(self, other: SlotSums) -> SlotSums:
        a, b = self._aligned(other)
        return SlotSums(a.wh + b.wh, a.readings + b.readings, a.revision + b.revision)

    def __sub__(self, other: SlotSums) -> SlotSums:
        a, b = self._aligned(other)
        return SlotSums(a.wh - b.wh, a.readings - b.readings, a.revision - b.revision)

    def _aligned(self, other: SlotSums) -> tuple[SlotSums, SlotSums]:
        classes = max(len(self.wh), len(other.wh))
        return self.widened(classes), other.widened(classes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSums) and self.to_bytes() == other.to_bytes()

    def to_bytes(self) -> bytes:
        """Little-endian: schema, classes, revision, then the two columns."""
        head = _HEADER.pack(_SCHEMA, len(self.wh), self.revision)
        return head + self.wh.astype("<i8").tobytes() + self.readings.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> SlotSums:
        """Inverse of `to_bytes`. Raises DataError for anything else."""
        if len(data) < _HEADER.size:
            raise DataError(f"partial sums of {len(data)} bytes", "rebuild the partition")
        schema, classes, revision = _HEADER.unpack_from(data)
        if schema != _SCHEMA or len(data) != _HEADER.size + 16 * classes:
            raise DataError(
                f"partial sums of schema {schema}, {classes} classes in {len(data)} bytes",
                f"this wattstorm reads schema {_SCHEMA}",
            )
        columns = np.frombuffer(data, "<i8", 2 * classes, _HEADER.size).astype(np.int64)
        return cls(columns[:classes], columns[classes:], revision)

    def widened(self, classes: int) -> SlotSums:
        """The same with more classes: a register may gain tariffs while sums stay stored."""
        if classes == len(self.wh):
            return self
        pad = np.zeros(classes - len(self.wh), np.int64)
        return SlotSums(
            np.concatenate([self.wh, pad]), np.concatenate([self.readings, pad]), self.revision
        )


def added(parts: Iterable[bytes | None]) -> SlotSums:
    """The sums of one slot, added up out of their bytes; zeros where there is none."""
    by_size: dict[int, list[bytes]] = {}
    for part in parts:
        if part is not None:
            by_size.setdefault(len(part), []).append(part)
    total = SlotSums.zeros(0)
    for same in by_size.values():
        total = total + _stacked(same)
    return total


def _stacked(parts: Sequence[bytes]) -> SlotSums:
    """Added up at once: parts of one length have one number of classes."""
    classes = len(SlotSums.from_bytes(parts[0]).wh)
    rows = np.frombuffer(b"".join(parts), "<i8").reshape(len(parts), -1)
    if (rows[:, 0] != rows[0, 0]).any():  # schema and classes
        for part in parts:
            SlotSums.from_bytes(part)  # raises
    sums = rows.sum(axis=0, dtype=np.int64)
    return SlotSums(sums[2 : 2 + classes], sums[2 + classes :], int(sums[1]))


def classes_of(register: Register) -> int:
    """Length of a sums array that holds every class of the register."""
    return len(register.classes)


class Scopes:
    """The configured scopes over a register's classes.

    `labels()` names the rows of `roll_up` and `expected`: "nation",
    "tariff:NAME", "region:NAME".
    """

    def __init__(
        self, register: Register, names: Sequence[str] = ("nation", "tariff", "region")
    ) -> None:
        self._register = register
        tariffs, regions = register.tariffs, register.regions
        self.classes = len(register.classes)
        tariff, region = register.classes.tariff, register.classes.region
        # Of a register as it was once, some classes are pairs of codes that no name has yet.
        self._real = np.flatnonzero((tariff < len(tariffs)) & (region < len(regions)))
        rows: list[tuple[str, npt.NDArray[np.bool_]]] = []
        for name in names:
            if name == "nation":
                rows.append(("nation", np.ones(self.classes, np.bool_)))
            elif name == "tariff":
                rows += [(f"tariff:{t}", tariff == i) for i, t in enumerate(tariffs)]
            elif name == "region":
                rows += [(f"region:{r}", region == i) for i, r in enumerate(regions)]
            else:
                raise UsageError(
                    f"stream.scopes has {name!r}", "use nation, tariff, region, or some of them"
                )
        self._labels = [label for label, _ in rows]
        self._members = np.array([members for _, members in rows], np.int64)

    def labels(self) -> list[str]:
        return list(self._labels)

    def roll_up(self, sums: SlotSums) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(wh, readings), each int64[len(labels())]. Integer products: exact."""
        sums = sums.widened(self.classes)
        return self._members @ sums.wh, self._members @ sums.readings

    def expected(self, day: int) -> npt.NDArray[np.int64]:
        """Meters that should report, by scope: int64[len(labels())]; day is a local day number."""
        classes = self._register.classes
        tariff, region = classes.tariff[self._real], classes.region[self._real]
        meters = np.asarray(self._register.counts(day), np.int64)[tariff, region]
        expected: npt.NDArray[np.int64] = self._members[:, self._real] @ meters
        return expected
