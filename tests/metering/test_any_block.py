"""Whatever bytes come with a right checksum: the decoder refuses them, or they can be applied."""

from __future__ import annotations

import random
import struct
import zlib
from collections import Counter

import numpy as np
import pytest

from tests.register.registers import GRID, RULES, small_register
from wattstorm.errors import BlockError
from wattstorm.metering import block as blocks
from wattstorm.metering.partition import Partition, Rules
from wattstorm.metering.slots import LocalCalendar
from wattstorm.register.register import Register

METERS, SIZE, DAY0 = 40, 20, 19_700 * 48
NOW_MS = (DAY0 + 96) * 1_800_000
HEADER = struct.Struct("<2sBBIBBBxIH2x5s3xQ16sII")
DTYPES = {1: np.uint8, 2: np.uint16, 3: np.uint32, 4: np.int32}
FIRST_SLOTS = (0, 5, 96, 140, DAY0, DAY0 + 96, DAY0 + 48 * 365 * 70, 2**31 - 60, -(2**31), -5)


@pytest.fixture(scope="module")
def register(tmp_path_factory: pytest.TempPathFactory) -> Register:
    return small_register(tmp_path_factory.mktemp("register"), METERS, SIZE)


def a_column(rng: random.Random, name: str, code: int, n: int) -> bytes:
    """n values of the column, or one where the code says that it is constant."""
    if name == "slot":
        first = rng.choice(FIRST_SLOTS)
        values = [first + (rng.randrange(60) if code else 0) for _ in range(n if code else 1)]
    elif code == 0:
        values = [rng.choice((0, 1, 2, 3, -1, 65_535, 65_536, 2**31 - 1, -(2**31)))]
    else:
        info = np.iinfo(DTYPES[code])
        most = {"meter": METERS + 5, "version": 5, "quality": 3}.get(name, int(info.max))
        values = [rng.randrange(most) for _ in range(n)]
        if name == "wh" and rng.random() < 0.3:
            absent = 0xFFFF if code == 2 else int(info.min)
            values = [absent if rng.random() < 0.5 or n < 3 else v % 4000 for v in values]
        if name == "wh" and rng.random() < 0.2:
            values = [0xFFFF if code == 2 else int(info.min)] * n
    return np.array(values, "<i8").astype(DTYPES[code or 4]).tobytes()


def a_block(rng: random.Random) -> bytes:
    """Bytes with a right checksum and a header that is seldom quite wrong."""
    shape, n = rng.choice((0, 0, 1)), rng.choice((1, 2, 7, 30))
    width = rng.choice((1, 2, 48, 50, 400)) if shape else rng.choice((1, 1, 1, 2))
    codes = (
        rng.choice((3, 3, 3, 2)),
        rng.choice((0, 4)) if not shape else rng.choice((0, 0, 0, 4)),
        rng.choice((2, 4)),
        rng.choice((0, 2)),
        rng.choice((0, 1)),
    )
    body = b""
    for name, code in zip(("meter", "slot", "wh", "version", "quality"), codes, strict=True):
        part = a_column(rng, name, code, n * (width if name == "wh" else 1))
        body += part + bytes(-len(part) % 8)
    head = HEADER.pack(
        b"WB",
        1,
        shape,
        0,
        rng.choice((0, 0, 1)),
        0,
        30,
        n,
        width,
        bytes(codes),
        1,
        b"p",
        len(body),
        0,
    )
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Paris"])
def test_a_block_is_refused_by_the_decoder_or_can_be_applied(zone: str, register: Register) -> None:
    """Kept or undone, saved and restored; its refused readings decode, all are counted."""
    rules = Rules(GRID, LocalCalendar(GRID, zone))
    rng, state, seen = random.Random(zone), Partition(0, register, rules), Counter[str]()
    for position in range(1, 1001):
        if rng.random() < 0.05:
            state = Partition(0, register, rules)
        try:
            block = blocks.decode(a_block(rng))
        except BlockError as error:
            seen[error.reason] += 1
            continue
        applied = state.apply(block, position, NOW_MS)
        assert applied.tally.sum() == block.columns.meter.size
        assert sum(part.columns.meter.size for _, part in applied.rejected) == sum(
            applied.tally[8:]
        )
        for _, part in applied.rejected:
            blocks.decode(blocks.encode(part))
        (state.undo if rng.random() < 0.5 else state.keep)()
        if rng.random() < 0.05:
            state = Partition.restore(0, register, rules, *state.snapshot())
        seen["applied"] += 1
        seen["empty"] += not block.columns.meter.size
    assert {"applied", "empty", "shape", "slot", "column"} <= {
        name for name, n in seen.items() if n
    }


def test_single_readings_are_one_slot_wide(register: Register) -> None:
    """The surplus would be dropped in silence, and the dead letter would not decode."""
    data = bytearray(blocks.encode(blocks.readings(0, [1, 2], DAY0, [5, 6])))
    struct.pack_into("<H", data, 16, 2)
    with pytest.raises(BlockError, match="2 slots wide"):
        blocks.decode(resealed(data + bytes(8)))


def resealed(data: bytes | bytearray) -> bytes:
    """The bytes with the length and the checksum that they should have."""
    head = bytearray(data[:64])
    struct.pack_into("<I", head, 52, len(data) - 64)
    crc = zlib.crc32(data[64:], zlib.crc32(head[:60]))
    return bytes(head[:60]) + struct.pack("<I", crc) + bytes(data[64:])


def test_a_curve_ends_before_slots_do() -> None:
    """The last slots of a curve would come out as the first ones of all."""
    block = blocks.curves(0, [1], 2**31 - 47, [[5] * 48])
    with pytest.raises(BlockError, match="slots have 32 bits"):
        blocks.encode(block)


def test_a_day_of_curves_without_a_value_is_an_empty_block(register: Register) -> None:
    """A head-end's day of nothing: nothing is received, nothing refused, the log goes on."""
    state = Partition(0, register, RULES)
    absent = np.full((3, 48), blocks.ABSENT_U16, np.uint16)
    block = blocks.decode(blocks.encode(blocks.curves(0, [0, 1, 2], DAY0, absent)))
    for position in (1, 3):
        applied = state.apply(block, position, NOW_MS)
        assert (applied.tally.sum(), applied.by_day, applied.rejected) == (0, {}, [])
        state.apply(blocks.readings(0, [1], DAY0 + position, [5]), position + 1, NOW_MS)
        state.keep()
    assert state.position == 4
