"""Blocks: what goes in comes out, and anything else ends in BlockError."""

from __future__ import annotations

import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattstorm.errors import BlockError
from wattstorm.metering import ascending
from wattstorm.metering import block as blocks
from wattstorm.metering.block import Quality, Shape


def some_readings(n: int = 20, **fields: object) -> blocks.Block:
    rng = np.random.default_rng(n)
    return blocks.readings(
        3,
        rng.integers(0, 1000, n),
        900_000,
        rng.integers(0, 3000, n),
        producer="head-end.7",
        number=41,
        **fields,
    )


def test_a_block_of_readings_comes_back_as_it_was_sent() -> None:
    """Every field and column survives the wire, with per-reading slots and versions too."""
    sent = blocks.readings(
        3,
        [1, 2, 3],
        [10, 11, 12],
        [5, -7, 70_000],
        version=[0, 1, 65535],
        quality=[0, 1, 2],
        channel=1,
        slot_minutes=10,
        producer="p",
        number=9,
    )
    got = blocks.decode(blocks.encode(sent))
    assert (got.partition, got.channel, got.slot_minutes, got.producer, got.number) == (
        3,
        1,
        10,
        "p",
        9,
    )
    for name in ("meter", "slot", "wh", "version", "quality"):
        np.testing.assert_array_equal(getattr(got, name), getattr(sent, name))


def test_decoding_copies_nothing() -> None:
    """The columns are views on the bytes that came in."""
    data = blocks.encode(some_readings())
    got = blocks.decode(data)
    assert np.shares_memory(got.meter, np.frombuffer(data, np.uint8))
    assert np.shares_memory(got.wh, np.frombuffer(data, np.uint8))


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=60, unique=True), st.booleans())
def test_meters_in_order_come_back_whatever_their_gaps(meters: list[int], dense: bool) -> None:
    """As a bitmap where they ascend and lie close, and as they are where not."""
    if dense:
        meters = sorted(m % 200 + 2**32 - 200 for m in {m % 200: m for m in meters}.values())
    sent = blocks.readings(0, np.array(meters, np.uint32), 7, np.arange(len(meters)))
    np.testing.assert_array_equal(blocks.decode(blocks.encode(sent)).meter, sent.meter)


def test_a_block_of_the_whole_range_takes_two_bytes_a_reading() -> None:
    """Meters that ascend cost an eighth of a byte; an older reader is told that it is too old."""
    meters = np.flatnonzero(np.random.default_rng(1).random(50_000) > 0.01)
    wh = np.full(meters.size, 300, np.uint16)
    data = blocks.encode(blocks.readings(0, meters, 900_000, wh))
    assert len(data) < 2.2 * meters.size
    assert data[2] == 2
    assert blocks.encode(blocks.readings(0, meters[::-1], 900_000, wh))[2] == 1


@pytest.mark.parametrize(
    ("bits", "n", "said"),
    [
        (b"\x01" + bytes(3), 32, "meters"),
        (b"\xff" * 4, 32, "names 32"),
        (b"", 12, "past"),
        (b"\x03" + bytes(20), 161, "bits"),
        (b"\x01\x01", 9, "bits"),
        (b"", 2**32 - 1, "bits"),
    ],
)
def test_a_bitmap_that_names_other_meters_is_refused(bits: bytes, n: int, said: str) -> None:
    """Too many, too few, more bits than there may be: nothing is allocated for a claim."""
    body = memoryview(struct.pack("<II", 5, n) + bits)
    with pytest.raises(BlockError, match=said):
        ascending.unpacked(body, 0, 10)


@given(
    st.integers(1, 40), st.integers(1, 50), st.booleans(), st.integers(0, 2**31 - 500), st.data()
)
def test_curves_flatten_to_the_readings_they_hold(
    n: int, width: int, narrow: bool, first: int, data: st.DataObject
) -> None:
    """meter x slot, absent values left out, whatever the width of the values."""
    absent = blocks.ABSENT_U16 if narrow else blocks.ABSENT_I32
    value = st.one_of(st.integers(0, 65534), st.just(absent))
    wh = np.array(data.draw(st.lists(value, min_size=n * width, max_size=n * width)))
    wh = wh.reshape(n, width).astype(np.uint16 if narrow else np.int32)
    sent = blocks.curves(0, np.arange(n) * 3, first, wh)
    got = blocks.decode(blocks.encode(sent)).columns
    expected = {
        (3 * i, first + j): int(wh[i, j])
        for i in range(n)
        for j in range(width)
        if wh[i, j] != absent
    }
    slots = np.broadcast_to(got.slot, got.meter.shape)
    assert expected == {
        (int(m), int(s)): int(w) for m, s, w in zip(got.meter, slots, got.wh, strict=True)
    }


def test_the_higher_version_then_the_better_quality_ranks_higher() -> None:
    """Corrections are ordered by fields of the reading alone."""
    ranks = [
        int(blocks.rank_of(version, quality))
        for version, quality in [(0, 2), (0, 1), (0, 0), (1, 2), (1, 0), (65535, 0)]
    ]
    assert ranks == sorted(ranks)
    assert ranks[2] == blocks.BASE_RANK


def poison(kind: int, rng: random.Random) -> bytes:
    """One undecodable block of one of 20 kinds."""
    good = bytearray(blocks.encode(some_readings(rng.randrange(1, 50))))
    body = good[64:]

    def field(at: int, fmt: str, value: int) -> bytes:
        struct.pack_into(fmt, good, at, value)
        struct.pack_into("<I", good, 60, zlib.crc32(good[64:], zlib.crc32(good[:60])))
        return bytes(good)

    flip = rng.randrange(64, len(good))
    kinds = [
        lambda: b"",
        lambda: bytes(good[: rng.randrange(1, 64)]),
        lambda: bytes(good[: rng.randrange(64, len(good))]),
        lambda: bytes(good) + b"tail",
        lambda: b"XX" + bytes(good[2:]),
        lambda: field(2, "B", 77),
        lambda: field(3, "B", 9),
        lambda: field(8, "B", 5),
        lambda: field(9, "B", 3),
        lambda: field(10, "B", 7),
        lambda: field(12, "<I", 1 << 31),
        lambda: field(12, "<I", 0),
        lambda: field(16, "<H", 0),
        lambda: field(16, "<H", 60_000),
        lambda: field(20, "B", 200),
        lambda: field(22, "B", 3),
        lambda: field(36, "B", 0xFF),
        lambda: field(52, "<I", len(body) + 8),
        lambda: bytes(good[:flip]) + bytes([good[flip] ^ 0x40]) + bytes(good[flip + 1 :]),
        lambda: rng.randbytes(rng.randrange(64, 400)),
    ]
    return kinds[kind]()


@pytest.mark.parametrize("kind", range(20))
def test_every_kind_of_poison_is_refused_with_a_reason(kind: int) -> None:
    """Fifty blocks of each kind: BlockError with a reason code, never another error."""
    rng = random.Random(kind)
    for _ in range(50):
        with pytest.raises(BlockError) as refused:
            blocks.decode(poison(kind, rng))
        assert refused.value.reason


def test_the_decoder_survives_a_hundred_thousand_mutations() -> None:
    """Fuzzed blocks, with a checksum made right again half of the time, either
    decode or raise BlockError; and what decodes can be flattened."""
    rng = random.Random(20140601)
    seeds = [
        blocks.encode(some_readings(12, version=np.arange(12), quality=Quality.ESTIMATED)),
        blocks.encode(blocks.curves(1, [4, 5], 7, np.full((2, 3), 9, np.uint16))),
    ]
    refused = 0
    for i in range(100_000):
        data = bytearray(seeds[i % 2])
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            data = data[: rng.randrange(len(data))]
        if rng.random() < 0.5 and len(data) >= 64:
            struct.pack_into("<I", data, 60, zlib.crc32(data[64:], zlib.crc32(data[:60])))
        try:
            blocks.decode(bytes(data)).columns  # noqa: B018
        except BlockError:
            refused += 1
    assert 50_000 < refused < 100_000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"producer": "é"}, "producer"), ({"producer": "x" * 17}, "producer")],
)
def test_an_encoder_refuses_what_no_decoder_would_take(fields: dict, reason: str) -> None:  # type: ignore[type-arg]
    """Errors show where the block is made, not at its reader."""
    with pytest.raises(BlockError) as refused:
        blocks.encode(blocks.readings(0, [1], 2, [3], **fields))
    assert refused.value.reason == reason


def test_an_energy_beyond_32_bits_is_refused_with_its_remedy() -> None:
    """A value in mWh would wrap silently otherwise."""
    with pytest.raises(BlockError, match="check the unit"):
        blocks.readings(0, [1], 2, [1 << 31])


@settings(max_examples=50)
@given(st.lists(st.integers(0, 70_000), min_size=1, max_size=20))
def test_small_energies_take_two_bytes(wh: list[int]) -> None:
    """uint16 exactly when all values fit below the absent marker."""
    made = blocks.readings(0, range(len(wh)), 1, wh)
    assert (made.wh.dtype == np.uint16) == (max(wh) < 65535)
    assert made.shape is Shape.READINGS
