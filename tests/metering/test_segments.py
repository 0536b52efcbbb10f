"""Segment frames: what closed is said once, and a closed day is said as it was summed."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metering.test_histories import (
    DAY,
    METERS,
    NOW_MS,
    ZONES,
    a_history,
    register,
    tariff_on,
)
from tests.register.registers import GRID
from wattstorm.errors import FrameError
from wattstorm.metering import block as blocks
from wattstorm.metering.checks import NO_CLASS
from wattstorm.metering.frame import SegmentFrame, decode, encode
from wattstorm.metering.partition import Partition, Rules
from wattstorm.metering.parts import MAX_METERS
from wattstorm.metering.slots import LocalCalendar, date_of_day_number
from wattstorm.metering.stretches import GRACE_MINUTES, day_of
from wattstorm.register.register import Register

__all__ = ["register"]
COLUMNS = ("energy", "slots", "low", "high")


def a_frame(n: int, k: int, seed: int, most: int = 1000) -> SegmentFrame:
    rng = np.random.default_rng(seed)
    slots = rng.integers(0, 7, (k, n))
    low = np.where(slots > 0, rng.integers(-most, most, (k, n)), 0)
    high = np.where(slots > 0, low + rng.integers(0, most, (k, n)), 0)
    energy = np.where(slots > 0, slots * low + rng.integers(0, most, (k, n)), 0)
    classes = rng.integers(0, NO_CLASS + 1, n).astype(np.uint16) if k == 8 else None
    full = np.full(8, 6, np.uint8)
    return SegmentFrame(3, 19_700, 12, 0 if k == 8 else 2, full, energy, slots, low, high, classes)


def same(a: SegmentFrame, b: SegmentFrame) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 700),
    st.sampled_from([1, 2, 8]),
    st.integers(0, 2**31),
    st.sampled_from([1, 300, 65_000, 2**30]),
)
def test_a_frame_comes_back_as_it_was(n: int, k: int, seed: int, most: int) -> None:
    """Whatever it holds, negative and huge energies among it."""
    frame = a_frame(n, k, seed, most)
    assert same(decode(encode(frame)), frame)


@given(st.integers(0, 2**31), st.integers(0, 5000), st.integers(1, 255))
def test_no_damaged_frame_is_read(seed: int, at: int, bits: int) -> None:
    """One byte changed, or the end cut off: a FrameError, and nothing else."""
    data = encode(a_frame(200, 8, seed))
    broken = bytearray(data)
    broken[at % len(data)] ^= bits
    for bad in (bytes(broken), data[: at % len(data)], data + b"x"):
        with pytest.raises(FrameError):
            decode(bad)


def test_an_entry_is_bounded_and_small() -> None:
    """A part of a partition has a few MB a day at most, and loads of homes 5 bytes a stretch."""
    rng, n = np.random.default_rng(0), MAX_METERS
    wh = np.exp(rng.normal(np.log(250), 0.9, (8, 6, n))).astype(np.int64)
    columns = wh.sum(axis=1), np.full((8, n), 6), wh.min(axis=1), wh.max(axis=1)
    none = np.zeros(n, np.uint16)
    frame = SegmentFrame(0, 19_700, 0, 0, np.full(8, 6, np.uint8), *columns, none)
    assert len(encode(frame)) < 5 * 8 * n


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(300, 3000), st.sampled_from(ZONES))
def test_closed_days_are_said_once_and_as_they_were_summed(
    register: Register, seed: int, n: int, zone: str
) -> None:
    """Days with clock changes, batches of any size, undone and sent again, snapshots between:
    the final frames are a plain recomputation; a stretch is said once, when the watermark lies
    behind its end by the grace."""
    rules = Rules(GRID, LocalCalendar(GRID, zone))
    stream, rng = a_history(seed, n), np.random.default_rng(seed)
    state, at, told = Partition(0, register, rules), 0, list[SegmentFrame]()
    while at < len(stream):
        batch = []
        for _ in range(int(rng.integers(1, 6))):
            part = stream[at : at + int(rng.integers(1, 1 + len(stream) // 8))]
            at += len(part)
            columns = part["meter"], part["slot"], part["wh"]
            if len(part):
                batch.append(blocks.readings(0, *columns, version=part["version"]))
        for _ in range(int(rng.integers(1, 3))):
            state.undo()
            for block in batch:
                state.apply(block, state.position + 1, NOW_MS)
        told += [decode(encode(frame)) for frame in state.segments(0)]
        mark = state.watermark.get(0, -1)
        state.keep()
        assert not list(state.segments(0))
        for frame in told:
            if not frame.final:
                end = day_of(rules.calendar, frame.day).ends[frame.start]
                assert end - 1 + GRACE_MINUTES // 30 <= mark
        if rng.random() < 0.2:
            state = Partition.restore(0, register, rules, *state.snapshot())
    final = {frame.day: frame for frame in told if frame.final}
    said = [(frame.day, p, frame.final) for frame in told for p in frame.stretches]
    assert len(said) == len(set(said))
    assert [frame.day for frame in told if frame.final] == sorted(final)
    low = state.lows()[0]
    closed = {d for d in range(DAY - 1, DAY + 9) if day_of(rules.calendar, d).ends[-1] <= low}
    wanted = recomputed(stream, rules.calendar)
    assert set(final) == closed & set(wanted)
    for day, frame in final.items():
        for name, column in zip(COLUMNS, wanted[day], strict=True):
            assert np.array_equal(getattr(frame, name), column), (day, name)
        slots = rules.calendar.day_slots(date_of_day_number(day))
        assert frame.full.sum() == len(slots)
        tariffs = register.classes.tariff[frame.classes]
        assert tariffs.tolist() == [tariff_on(m, day) for m in range(METERS)]


def recomputed(stream: object, calendar: LocalCalendar) -> dict[int, list[np.ndarray]]:
    """Local day → energy, slots, low, high [8, meters], of each key's highest (version, Wh)."""
    best = stream.sort("version", "wh").group_by("meter", "slot").last()  # type: ignore[attr-defined]
    out: dict[int, list[np.ndarray]] = {}
    for meter, slot, wh in best.select("meter", "slot", "wh").iter_rows():
        label = calendar.label(slot)
        day = int(calendar.dates_of([slot])[0])
        energy, slots, low, high = out.setdefault(
            day, [np.zeros((8, METERS), np.int64) for _ in range(4)]
        )
        at = int(label[11:13]) // 3, meter
        low[at] = min(low[at], wh) if slots[at] else wh
        high[at] = max(high[at], wh) if slots[at] else wh
        energy[at] += wh
        slots[at] += 1
    return out
