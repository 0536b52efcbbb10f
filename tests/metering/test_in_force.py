"""Register versions and rules as entries of the log: what is summed moves, exactly."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.register.registers import GRID
from wattstorm.errors import DataError, RegisterError
from wattstorm.files.meters import build_register
from wattstorm.metering import block as blocks
from wattstorm.metering import kernels, kernels_numpy
from wattstorm.metering.aggregates import Scopes
from wattstorm.metering.checks import WH_ACCEPTED, WH_REPLACED, Outcome
from wattstorm.metering.partition import Partition, Rules
from wattstorm.metering.slots import LocalCalendar, date_of_day_number
from wattstorm.register.register import Register

DAY, DAYS, METERS, SIZE, TARIFFS = 19_700, 7, 9, 12, 5
NOW_MS = (DAY + 30) * 86_400_000
RULES = Rules(GRID, LocalCalendar(GRID, "UTC"))
HEAD = "external_id,tariff,contracted_power_va,valid_from\n"
Entries = dict[int, list[tuple[int, int]]]
"""meter → (first day, tariff), ascending."""


@dataclass
class Versions:
    """A register as it grew: each version, and plainly what it says."""

    registers: list[Register] = field(default_factory=list)
    plain: list[Entries] = field(default_factory=list)


def grown(directory: Path, seed: int) -> Versions:
    """Five versions: each adds meters, and dates tariff changes anywhere after the last one of
    their meter: before the stream's days, in them, after them."""
    rng, out = np.random.default_rng(seed), Versions()
    entries: Entries = {m: [(0, m % 2)] for m in range(4)}
    for version in range(5):
        rows = [(m, *e) for m, known in entries.items() for e in known] if not version else []
        if version:
            for m in range(len(entries), min(len(entries) + int(rng.integers(0, 3)), METERS)):
                first = (DAY + int(rng.integers(-3, 5)), int(rng.integers(TARIFFS)))
                entries[m] = [first]
                rows.append((m, *first))
            for m in rng.choice(len(entries), 2, replace=False).tolist():
                last_day, last = entries[m][-1]
                day = max(last_day + 1, DAY + int(rng.integers(-4, DAYS + 2)))
                other = (last + 1 + int(rng.integers(TARIFFS - 1))) % TARIFFS
                entries[m] = [*entries[m], (day, other)]
                rows.append((m, day, other))
        source = directory / f"{seed}-{version}.csv"
        source.write_text(
            HEAD + "".join(f"{900 + m},t{t},6000,{date_of_day_number(d)}\n" for m, d, t in rows)
        )
        size = None if version else SIZE
        built = build_register([source], directory / str(seed), partition_size=size)
        out.registers.append(built)
        out.plain.append({m: list(known) for m, known in entries.items()})
    return out


@pytest.fixture(scope="module")
def chains(tmp_path_factory: pytest.TempPathFactory) -> list[Versions]:
    directory = tmp_path_factory.mktemp("registers")
    return [grown(directory, seed) for seed in range(6)]


@dataclass
class Plainly:
    """The same, in dictionaries: every reading held, and the tariff that it is summed in."""

    known: Entries
    rules: Rules
    held: dict[tuple[int, int], tuple[int, int, int]] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    mark: int | None = None
    since: int = -1

    def tariff(self, meter: int, slot: int) -> int | None:
        due = [t for day, t in self.known.get(meter, []) if day <= slot // 48]
        return due[-1] if due else None

    @property
    def low(self) -> int:
        assert self.mark is not None
        return max((self.mark // 48 - self.rules.open_days + 1) * 48, self.since)

    def read(self, rows: list[tuple[int, int, int, int]]) -> None:
        limit = 3000 * self.rules.power_margin
        good = [r for r in rows if self.tariff(r[0], r[1]) is not None and r[2] <= limit]
        newest = max((slot for _, slot, _, _ in good), default=-1)
        if newest >= 0 and (self.mark is None or newest > self.mark):
            self.mark = newest
        for meter, slot, wh, version in good:
            if slot < self.low:
                continue
            old = self.held.get((meter, slot))
            if old is not None and (version, wh) <= old[:2]:
                continue
            assert self.mark is not None
            late = slot < self.mark - self.rules.deadline_slots
            self.revisions[slot] += 1 if old is not None else int(late)
            tariff = self.tariff(meter, slot)
            assert tariff is not None
            self.held[meter, slot] = (version, wh, tariff)

    def change(self, known: Entries | None = None, rules: Rules | None = None) -> None:
        if self.mark is not None:
            self.since = self.low
        self.known, self.rules = known or self.known, rules or self.rules
        moved = set()
        for (meter, slot), (version, wh, tariff) in self.held.items():
            if slot < self.low:
                continue
            now = self.tariff(meter, slot)
            assert now is not None
            if now != tariff:
                moved.add(slot)
            self.held[meter, slot] = (version, wh, now)
        for slot in moved:
            self.revisions[slot] += 1

    def sums(self) -> dict[int, tuple[list[int], list[int], int]]:
        out: dict[int, tuple[list[int], list[int], int]] = {}
        for (_, slot), (_, wh, tariff) in self.held.items():
            row = out.setdefault(slot, ([0] * TARIFFS, [0] * TARIFFS, self.revisions[slot]))
            row[0][tariff] += wh
            row[1][tariff] += 1
        return out


def a_log(seed: int, chain: Versions) -> list[Any]:
    """Entries: readings (meter, slot, Wh, version), register versions, rules; in order of time,
    give or take a day."""
    rng, version = np.random.default_rng(seed), 0
    log: list[Any] = []
    rules = RULES
    for half in range(DAYS * 4):
        for _ in range(int(rng.integers(1, 4))):
            n = int(rng.integers(1, 12))
            slots = DAY * 48 + half * 12 + rng.integers(-60 if half > 4 else 0, 12, n)
            versions = rng.integers(0, 2, n) if rng.random() < 0.5 else np.zeros(n, np.int64)
            wide = rng.choice([1, 3600, 5000, 70_000], p=[0.85, 0.05, 0.05, 0.05])
            wh = np.minimum(rng.integers(0, 3000, n) * wide, 100_000)
            log.append(list(zip(rng.integers(0, METERS, n), slots, wh, versions, strict=True)))
        if rng.random() < 0.3 and version + 1 < len(chain.registers):
            version += 1
            log.append(version)
        if rng.random() < 0.15:
            rules = replace(
                rules,
                power_margin=float(rng.choice([1.2, 1.7, 40.0])),
                open_days=int(rng.integers(2, 6)),
                deadline_slots=int(rng.choice([6, 48, 96])),
            )
            log.append(rules)
    return log


def applied(state: Partition, entry: Any, chain: Versions) -> int:
    """Apply one entry; what it adds to the energy that the counters say the sums hold."""
    at = state.position + 1
    if isinstance(entry, int):
        state.apply_register(chain.registers[entry], at)
        return 0
    if isinstance(entry, Rules):
        state.apply_rules(entry, at)
        return 0
    meters, slots, wh, versions = (list(map(int, column)) for column in zip(*entry, strict=True))
    done = state.apply(blocks.readings(0, meters, slots, wh, version=versions), at, NOW_MS)
    return sum(int(day[WH_ACCEPTED] - day[WH_REPLACED]) for day in done.by_day.values())


def found(latest: dict[int, Any], register: Register) -> dict[int, Any]:
    scopes = Scopes(register, ["tariff"])
    places = [
        scopes.labels().index(f"tariff:t{t}") if f"t{t}" in register.tariffs else None
        for t in range(TARIFFS)
    ]
    out = {}
    for slot, sums in latest.items():
        wh, n = scopes.roll_up(sums)
        by_tariff = [(int(wh[p]), int(n[p])) if p is not None else (0, 0) for p in places]
        if any(count for _, count in by_tariff):
            out[slot] = ([w for w, _ in by_tariff], [c for _, c in by_tariff], sums.revision)
    return out


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 5), st.booleans())
def test_any_history_gives_the_sums_of_a_plain_recomputation(
    chains: list[Versions], seed: int, which: int, compiled: bool
) -> None:
    """Readings, corrections, register versions and rules in any order; batches are undone and
    applied again, the state is saved and restored: sums by tariff and revisions are those of
    dictionaries that keep every reading, and the counters' energy is what the curves hold."""
    chain, rng = chains[which], np.random.default_rng(seed + 1)
    log = a_log(seed, chain)
    plain = Plainly(chain.plain[0], RULES)
    for entry in log:
        if isinstance(entry, int):
            plain.change(known=chain.plain[entry])
        elif isinstance(entry, Rules):
            plain.change(rules=entry)
        else:
            plain.read([tuple(map(int, row)) for row in entry])  # type: ignore[misc]
    state = Partition(0, chain.registers[0], RULES, kernels if compiled else kernels_numpy)
    latest: dict[int, Any] = {}
    at = energy = 0
    while at < len(log):
        batch = log[at : at + int(rng.integers(1, 7))]
        at += len(batch)
        for _ in range(int(rng.integers(0, 3))):
            for entry in batch[: int(rng.integers(1, len(batch) + 1))]:
                applied(state, entry, chain)
            state.undo()
            assert not state.changes()
        energy += sum(applied(state, entry, chain) for entry in batch)
        latest |= {slot: sums for (_, slot), sums in state.changes().items()}
        state.keep()
        if rng.random() < 0.2:
            state = Partition.restore(0, state.register, state.rules, *state.snapshot())
    assert found(latest, chain.registers[-1]) == plain.sums()
    assert energy == sum(sum(wh) for wh, _, _ in plain.sums().values())


PARIS = replace(RULES, calendar=LocalCalendar(GRID, "Europe/Paris"))


def built(directory: Path, *parts: str) -> list[Register]:
    """A version for each part: rows of "id,tariff,valid_from", apart by spaces."""
    out = []
    for i, part in enumerate(parts):
        rows = (row.split(",") for row in part.split())
        source = directory / f"{i}.csv"
        source.write_text(HEAD + "".join(f"{who},{t},6000,{day}\n" for who, t, day in rows))
        size = None if i else 2
        out.append(build_register([source], directory / "register", partition_size=size))
    return out


def one(meter: int, slot: int, wh: int, version: int = 0) -> blocks.Block:
    return blocks.readings(0, [meter], slot, [wh], version=version)


def by_tariff(state: Partition, slot: int) -> dict[str, tuple[int, int]]:
    scopes = Scopes(state.register, ["tariff"])
    wh, n = (column.tolist() for column in scopes.roll_up(state.changes()[0, slot]))
    return dict(zip(scopes.labels(), zip(wh, n, strict=True), strict=True))


def test_a_tariff_change_in_the_open_days_moves_what_is_summed(tmp_path: Path) -> None:
    """A correction that comes after it finds all of the reading where the meter is now."""
    day = date_of_day_number(DAY - 1)
    old, new = built(tmp_path, "77,a,2010-01-01 78,b,2010-01-01", f"77,b,{day}")
    state, slot = Partition(0, old, PARIS), DAY * 48 + 20
    state.apply(blocks.readings(0, [0, 1], slot, [100, 10]), 1, NOW_MS)
    state.keep()
    assert state.apply_register(new, 2) == [(0, slot)]
    assert by_tariff(state, slot) == {"tariff:a": (0, 0), "tariff:b": (110, 2)}
    assert state.changes()[0, slot].revision == 1
    state.apply(one(0, slot, 120, version=1), 3, NOW_MS)
    assert by_tariff(state, slot) == {"tariff:a": (0, 0), "tariff:b": (130, 2)}
    assert state.changes()[0, slot].revision == 2


def test_a_change_dated_before_the_open_days_holds_from_the_first_open_slot_on(
    tmp_path: Path,
) -> None:
    """In Paris a local day begins within a day of UTC: the slot before stays where it is."""
    old, new = built(tmp_path, "77,a,2010-01-01", "77,b,2020-01-01")
    state, first = Partition(0, old, PARIS), PARIS.open_around(DAY * 48 + 20).low
    assert first % 48
    for slot in (first - 1, first, first + 48, DAY * 48 + 20):
        state.apply(one(0, slot, 100), state.position + 1, NOW_MS)
    state.keep()
    open_ = [first, first + 48, DAY * 48 + 20]
    assert state.apply_register(new, 5) == [(0, slot) for slot in open_]
    assert sorted(slot for _, slot in state.changes()) == open_
    assert by_tariff(state, first) == {"tariff:a": (0, 0), "tariff:b": (100, 1)}


def test_more_open_days_open_nothing_that_had_closed(tmp_path: Path) -> None:
    """Its sums have left the partition: a reading of 0 Wh is too old, as before."""
    (register,) = built(tmp_path, "77,a,2010-01-01")
    state, slot = Partition(0, register, RULES), DAY * 48
    state.apply(one(0, slot, 100), 1, NOW_MS)
    before = state.lows()
    assert not state.apply_rules(replace(RULES, open_days=6), 2)[1:]
    assert state.lows() == before
    assert state.apply(one(0, before[0] - 1, 0), 3, NOW_MS).tally[Outcome.TOO_OLD] == 1
    again = Partition.restore(0, register, state.rules, *state.snapshot())
    assert again.lows() == before
    state.apply(one(0, slot + 48, 5), 4, NOW_MS)
    assert state.lows() == before  # and the days stay open that were
    assert state.apply(one(0, before[0], 0), 5, NOW_MS).tally[Outcome.NEW] == 1


def test_fewer_open_days_close_at_once(tmp_path: Path) -> None:
    """The last sums of a day that closes are among the changes of the same commit."""
    (register,) = built(tmp_path, "77,a,2010-01-01")
    state = Partition(0, register, RULES)
    for slot in (DAY * 48, DAY * 48 + 48):
        state.apply(one(0, slot, 100), state.position + 1, NOW_MS)
    state.apply_rules(replace(RULES, open_days=1), 3)
    assert state.lows() == {0: (DAY + 1) * 48}
    assert sorted(state.changes()) == [(0, DAY * 48), (0, DAY * 48 + 48)]
    assert state.apply(one(0, DAY * 48, 100), 4, NOW_MS).tally[Outcome.TOO_OLD] == 1


def test_a_meter_is_known_from_its_version_on(tmp_path: Path) -> None:
    """Refused before, accepted after, in a partition that had no meter at all."""
    old, new = built(tmp_path, "77,a,2010-01-01 78,a,2010-01-01", "79,c,2010-01-01")
    state, block = Partition(1, old, RULES), blocks.readings(1, [2], DAY * 48, [5])
    assert state.apply(block, 1, NOW_MS).tally[Outcome.UNKNOWN_METER] == 1
    state.apply_register(new, 2)
    assert state.apply(block, 3, NOW_MS).tally[Outcome.NEW] == 1
    assert by_tariff(state, DAY * 48)["tariff:c"] == (5, 1)
    state.undo()
    assert (state.size, state.register) == (0, old)


def test_what_was_judged_stays_judged(tmp_path: Path) -> None:
    """A larger margin accepts from its entry on; a smaller one takes nothing back."""
    (register,) = built(tmp_path, "77,a,2010-01-01")
    state, slot = Partition(0, register, RULES), DAY * 48
    assert state.apply(one(0, slot, 4000), 1, NOW_MS).tally[Outcome.TOO_HIGH] == 1
    state.apply_rules(replace(RULES, power_margin=2.0), 2)
    assert state.apply(one(0, slot, 4000), 3, NOW_MS).tally[Outcome.NEW] == 1
    state.apply_rules(RULES, 4)
    assert state.changes()[0, slot].wh.sum() == 4000
    assert state.apply(one(0, slot + 1, 4000), 5, NOW_MS).tally[Outcome.TOO_HIGH] == 1


def test_a_register_that_is_no_extension_is_refused(tmp_path: Path) -> None:
    """Another register of the same name would lose meters whose readings are summed."""
    (tmp_path / "other").mkdir()
    two = built(tmp_path, "77,a,2010-01-01 78,a,2010-01-01")[0]
    (less,) = built(tmp_path / "other", "77,a,2010-01-01")
    state = Partition(0, two, RULES)
    with pytest.raises(RegisterError, match="does not extend"):
        state.apply_register(less, 1)


def test_rules_are_read_as_they_were_written() -> None:
    """And what is no rules is data that nobody here wrote."""
    rules = replace(PARIS, open_days=7, power_margin=1.5, scopes=("nation",))
    again = Rules.from_dict(rules.to_dict())
    assert again.to_dict() == rules.to_dict()
    assert again.open_around(DAY * 48) == rules.open_around(DAY * 48)
    with pytest.raises(DataError, match="rules that say"):
        Rules.from_dict({"slot_minutes": 30, "time_zone": "UTC", "open_days": "many"})
