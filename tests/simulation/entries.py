"""What an entry of the log says, read plainly, and the local days of its slots."""

from __future__ import annotations

import functools
import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.registers import EPOCH, Grown
from tests.simulation.town import POISON_WH
from wattstorm.errors import BlockError
from wattstorm.metering import block as blocks


@functools.cache
def local_day(slot: int, minutes: int, zone: str) -> int:
    """Days from the epoch to the local date of a slot."""
    return (datetime.fromtimestamp(slot * minutes * 60, ZoneInfo(zone)).date() - EPOCH).days


@functools.cache
def midnight(day: int, minutes: int, zone: str) -> int:
    """The first slot of a local day, in zones whose midnights begin a slot."""
    date = EPOCH + timedelta(days=day)
    start = datetime(date.year, date.month, date.day, tzinfo=ZoneInfo(zone))
    return int(start.timestamp()) // (60 * minutes)


@functools.lru_cache(maxsize=256)
def decoded(data: bytes) -> blocks.Block | None:
    """The block, or None if it cannot be read."""
    try:
        return blocks.decode(data)
    except BlockError:
        return None


def readings_of(block: blocks.Block) -> list[tuple[int, int, int, int]]:
    """(meter, slot, Wh, rank), in the order in which they count: curves slot by slot."""
    n = len(block.meter)
    version = block.version.tolist() * (n if block.version.size == 1 else 1)
    quality = block.quality.tolist() * (n if block.quality.size == 1 else 1)
    rank = [4 * v + 3 - q for v, q in zip(version, quality, strict=True)]
    meters = block.meter.tolist()
    if block.shape is blocks.Shape.READINGS:
        slots = block.slot.tolist() * (n if block.slot.size == 1 else 1)
        return list(zip(meters, slots, block.wh.tolist(), rank, strict=True))
    first, wh = int(block.slot[0]), block.wh.tolist()
    absent = 65535 if block.wh.dtype.itemsize == 2 else -(1 << 31)
    return [
        (meters[i], first + k, wh[i][k], rank[i])
        for k in range(len(wh[0]))
        for i in range(n)
        if wh[i][k] != absent
    ]


def is_poison(data: bytes) -> bool:
    block = decoded(data)
    return block is not None and bool(block.wh.size <= 2 and (block.wh == POISON_WH).any())


def version_in(text: str, versions: tuple[Grown, ...]) -> Grown:
    number, checksum = text.split()
    grown = versions[int(number) - 1]
    assert grown.register.checksum == checksum
    return grown


@functools.cache
def rules_in(text: str) -> dict[str, Any]:
    """As an entry says them."""
    return dict(json.loads(text))
