"""Series in time to tables of local days: float64[days, slots], by the clock on the wall.

People live by that clock, so models do. On the day that clocks go forward the hour that does not
exist holds the mean of its neighbours, as covariates want a number there; on the day they go back
the hour that comes twice holds the mean of both. `exists` tells the first kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from models.forecast.calendar import Days, Flags, Floats
from wattstorm.errors import UsageError
from wattstorm.metering.slots import load_zone


@dataclass(frozen=True)
class Table:
    """values: float64[days, slots] each, NaN unknown. exists: bool[days, slots]."""

    days: Days
    values: dict[str, Floats]
    exists: Flags

    @property
    def slots(self) -> int:
        return int(self.exists.shape[1])


def wall_seconds(epoch_s: npt.NDArray[np.int64], zone: str) -> npt.NDArray[np.int64]:
    """Seconds of the local clock, as if it were UTC."""
    quarters, place = np.unique(epoch_s // 900, return_inverse=True)
    tz = load_zone(zone)
    offsets = np.empty(len(quarters), np.int64)
    for i, quarter in enumerate(quarters.tolist()):
        offset = datetime.fromtimestamp(quarter * 900, UTC).astimezone(tz).utcoffset()
        offsets[i] = 0 if offset is None else int(offset.total_seconds())
    return epoch_s + offsets[place]


def by_day(
    epoch_s: npt.NDArray[np.int64], values: Mapping[str, Floats], zone: str, minutes: int
) -> Table:
    """The table of series that share the stamps epoch_s (UTC, starts of slots), in any order.

    Several values of one slot are averaged, so finer steps come out as coarser ones.
    """
    if 1440 % minutes or not len(epoch_s):
        raise UsageError(
            f"{len(epoch_s)} rows in slots of {minutes} minutes",
            "slots must divide a day, and there must be some",
        )
    slots = 1440 // minutes
    wall = wall_seconds(epoch_s, zone)
    first, last = int(wall.min()) // 86400, int(wall.max()) // 86400
    count = last - first + 1
    at = (wall - first * 86400) // (60 * minutes)
    days = np.arange(first, last + 1).astype("datetime64[D]")
    exists = _exists(days, slots, minutes, zone)
    out = {k: _filled(_mean(at, v, count, slots), exists) for k, v in values.items()}
    return Table(days, out, exists)


def _mean(at: npt.NDArray[np.int64], values: Floats, days: int, slots: int) -> Floats:
    there = np.isfinite(values)
    total = np.bincount(at[there], values[there], days * slots)
    count = np.bincount(at[there], minlength=days * slots)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(days, slots)


def _exists(days: Days, slots: int, minutes: int, zone: str) -> Flags:
    """Which wall-clock slots of which days there are: an hour is skipped when clocks go forward."""
    start, end = int(days[0].astype(np.int64)) * 86400, int(days[-1].astype(np.int64) + 1) * 86400
    step = 60 * minutes
    epoch = np.arange(start - 86400, end + 86400, step, dtype=np.int64)
    at = (wall_seconds(epoch, zone) - start) // step
    seen = np.zeros(len(days) * slots, bool)
    seen[at[(at >= 0) & (at < seen.size)]] = True
    return seen.reshape(len(days), slots)


def _filled(values: Floats, exists: Flags) -> Floats:
    """The mean of the neighbours in the hour that does not exist."""
    flat = values.ravel().copy()
    for i in np.flatnonzero(~exists.ravel()):
        near = flat[max(0, i - exists.shape[1] // 12) : i + exists.shape[1] // 12 + 1]
        if np.isfinite(near).any():
            flat[i] = np.nanmean(near)
    return flat.reshape(values.shape)
