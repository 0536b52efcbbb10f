"""The states that there are, under the contract of all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.register.registers import register_rows
from tests.stream import forecasting
from tests.stream.contracts.states import StateContract, plain
from tests.stream.peaks import Peaks
from tests.stream.town import DAY0
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering import frame as frames
from wattstorm.metering.frame import SegmentFrame
from wattstorm.metering.partition import Rules
from wattstorm.register.register import Register
from wattstorm.register.versions import Versions
from wattstorm.settings import Settings
from wattstorm.store.log import Entry
from wattstorm.stream.controls import first_of
from wattstorm.stream.scores import Scores
from wattstorm.stream.state import State
from wattstorm.stream.sums import Sums

METERS = 12


def some_entries() -> list[Entry]:
    """New slots, doubles, corrections, late ones, days that close; what cannot be read, and what
    nobody knows."""
    rng = np.random.default_rng(3)
    meters = np.arange(METERS)

    def block(slot: int, version: int = 0, n: int = METERS) -> bytes:
        wh = rng.integers(0, 2_000, n)
        return blocks.encode(blocks.readings(0, meters[:n], DAY0 + slot, wh, version=version))

    data: list[tuple[bytes, str]] = [(block(slot), "") for slot in (0, 1, 1, 2, 48, 50, 60)]
    data += [(block(1, version=1, n=5), ""), (b"no block", ""), (block(49, n=3), "")]
    data += [(b"{}", "a kind of tomorrow"), (block(200), ""), (block(2, version=2), "")]
    data += [(block(199), ""), (block(200, version=1, n=1), "")]
    return [
        Entry(at, each, 2**50, b"%d" % at, kind) for at, (each, kind) in enumerate(data, start=1)
    ]


class TestPeaks(StateContract):
    def new(self) -> State:
        return Peaks(0)

    def entries(self) -> list[Entry]:
        return some_entries()


class OfRegister(StateContract):
    """States that want to know the meters of a small register."""

    __test__ = False
    register: Register

    @pytest.fixture(autouse=True)
    def _a_register(self, tmp_path: Path) -> None:
        source = tmp_path / "meters.csv"
        register_rows(METERS).write_csv(source)
        self.register = build_register([source], tmp_path / "register", partition_size=METERS)


class TestSums(OfRegister):
    __test__ = True

    def new(self) -> State:
        return Sums.at_first(0, self.scalars(), Versions(self.register.directory))

    def scalars(self) -> dict[str, bytes]:
        rules = Rules.from_settings(Settings.load(environ={}, options={"stream.open_days": 2}))
        return {name: text.encode() for name, text in first_of(self.register, rules).items()}

    def entries(self) -> list[Entry]:
        return some_entries()

    def same(self, a: State, b: State) -> bool:
        """The table beside the cells has no order, and may hold what no cell asks it for: what a
        meter holds is compared instead."""
        (header_a, arrays_a), (header_b, arrays_b) = plain(a), plain(b)
        said = header_a == header_b and _cells(arrays_a) == _cells(arrays_b)
        return bool(said and _held(a) == _held(b))


class TestForecasts(StateContract):
    """Some hours of four days close, with all kinds of control between."""

    @pytest.fixture(autouse=True)
    def _two_models(self, tmp_path: Path) -> None:
        self.root = tmp_path
        self.models = [forecasting.registered(tmp_path, weather=w) for w in (True, False)]

    def new(self) -> State:
        return forecasting.a_state(self.root)

    def scalars(self) -> dict[str, bytes]:
        return forecasting.scalars()

    def entries(self) -> list[Entry]:
        one, other = self.models
        say: list[tuple[str, str]] = [("model", forecasting.live(one))]
        say += [("weather", forecasting.weather_text(690, 712)), ("tomorrow", "{}")]
        say += [("model", forecasting.live(other, one)), ("model", "{"), ("rules", RULES_AT_SIX)]
        hours = [(700 + day, hour) for day in range(4) for hour in (11, 23, 22)]
        made = [forecasting.slot_entry(0, *at, final=at[1] != 11) for at in hours]
        for i, told in enumerate(say):
            made.insert(1 + 2 * i, forecasting.control_entry(0, *told))
        made.append(forecasting.slot_entry(0, 702, 23, wh=1.0))
        made.append(Entry(0, b"no slot", 2**50, b"", "slot"))
        return [
            each._replace(position=at, chain=b"%d" % at) for at, each in enumerate(made, start=1)
        ]

    def same(self, a: State, b: State) -> bool:
        """Unknown loads are NaN, which equals nothing."""
        (arrays_a, header_a), (arrays_b, header_b) = a.snapshot(), b.snapshot()
        arrays = [{n: x.tobytes() for n, x in each.items()} for each in (arrays_a, arrays_b)]
        return header_a == header_b and arrays[0] == arrays[1]


RULES_AT_SIX = str(replace(forecasting.RULES, issues=(0, 360)))


class TestScores(OfRegister):
    """Two parts of a partition, running days and closed ones, one of which closes late."""

    __test__ = True

    def new(self) -> State:
        return Scores(0, Settings.load(environ={}).scores, lambda: self.register, 1000)

    def entries(self) -> list[Entry]:
        rng, full = np.random.default_rng(5), np.full(8, 6, np.uint8)

        def frame(day: int, first: int, start: int | None, n: int = 6) -> bytes:
            low = rng.integers(0, 300, (8 if start is None else 1, n))
            slots = rng.integers(0, 7, low.shape)
            high, energy = low + 50, slots * low + 20
            classes = np.arange(n).astype(np.uint16) if start is None else None
            head = 0, day, first, start or 0, full
            return frames.encode(SegmentFrame(*head, energy, slots, low, high, classes))

        data = [frame(1, 0, p) for p in range(3)] + [frame(1, 6, 0), frame(1, 6, 0, 3)]
        data += [frame(2, 0, 0), frame(1, 0, None), b"no frame", frame(1, 6, None), frame(2, 0, 1)]
        data += [frame(2, 0, None), frame(2, 0, 2), frame(2, 6, None), frame(4, 0, 0)]
        data += [frame(3, 6, None, 5), frame(3, 0, None)]
        kinds = {11: "a kind of tomorrow"}
        return [Entry(at, d, 0, b"", kinds.get(at, "")) for at, d in enumerate(data, start=1)]


def _cells(arrays: dict[str, Any]) -> dict[str, Any]:
    return {n: array for n, array in arrays.items() if "/beside." not in n}


def _held(state: Any) -> list[Any]:
    slots = range(DAY0 - 48, DAY0 + 288)
    return [state.partition.held(0, slot, meter) for slot in slots for meter in range(METERS)]
