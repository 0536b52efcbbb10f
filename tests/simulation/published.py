"""Is what is published what the log adds up to, under what governs the curves in the end?

A slot whose sums change, or that is open where a partition takes another version or other rules
over, is published anew, under the newest that any partition has in force. So slots that were
touched under the newest must be published under it; others say what was expected, and whether
they were final, under some version and rules before.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from tests.simulation.entries import local_day, rules_in, version_in
from tests.simulation.oracle import Key, Said, Sums, Wanted
from tests.simulation.registers import Grown, of_label
from tests.simulation.world import PREFIX, World
from wattstorm.store.keys import SLOTS, day_keys, log_keys, partition_keys


def slot_in(member: bytes) -> tuple[int, int]:
    channel, _, slot = member.partition(b":")
    return int(channel), int(slot)


def sums_in(data: bytes, world: World) -> Any:
    """The bytes of `SlotSums`, read by hand."""
    _, classes, revision = struct.unpack_from("<IIq", data)
    columns = struct.unpack_from(f"<{2 * classes}q", data, 16)
    seen = world.newest.pairs
    both = zip(columns[:classes], columns[classes:], strict=True)
    pairs = {pair: sums for pair, sums in zip(seen, both, strict=False) if any(sums)}
    assert not any(columns[len(seen) : classes])
    return pairs, revision


@dataclass
class Governing:
    """A version and rules, and how far the stream has come under them. early: slots up to which
    a deadline may have passed before there was a partition more."""

    grown: Grown
    rules: dict[str, Any]
    passed: int
    early: int

    @cached_property
    def labels(self) -> set[str]:
        return set(self.grown.labels(tuple(self.rules["scopes"])))

    @cached_property
    def left_out(self) -> set[str]:
        """Curves that the register has, and nobody publishes."""
        return set(self.grown.labels()) - self.labels

    def homes(self, label: str, slot: int) -> int:
        day = local_day(slot, self.rules["slot_minutes"], self.rules["time_zone"])
        return self.grown.expected(label, day)

    def covered(self, n: int, homes: int) -> bool:
        return not homes or n / homes >= self.rules["final_coverage"]


def newest(said: Iterable[Said]) -> Said | None:
    """The version, and the rules, of the highest number; of the same the same for all."""
    held = [each for each in said if all(each)]
    if not held:
        return None
    register = max((register for register, _ in held), key=lambda text: int(text.split()[0]))
    return register, max((rules for _, rules in held), key=lambda t: (rules_in(t)["number"], t))


def _governing(world: World, wanted: list[Wanted], said: Said) -> Governing:
    register, rules = said
    plain = rules_in(rules)
    patience = plain["open_days"] * world.town.per_day
    # Each partition's own time counts; the foremost waits for the others as long as days are open.
    came = [max(want.marks.values(), default=-1) for want in wanted]
    # What has no partition by the newest register, nobody waits for.
    both = came[: world.newest.register.partitions], came[: world.chain[0].register.partitions]
    passed, early = (
        max(min(some), max(some) - patience) - plain["deadline_slots"] for some in both
    )
    grown = version_in(register, world.chain)
    return Governing(grown, plain, passed, max(passed, early))


def published(world: World, wanted: list[Wanted]) -> list[str]:
    total: dict[Key, Sums] = {}
    for want in wanted:
        for key, sums in want.sums.items():
            into = total.setdefault(key, Sums())
            into.revision += sums.revision
            for c, (wh, n) in sums.of.items():
                into.of[c][0] += wh
                into.of[c][1] += n
    rows = _rows(world)
    found = _summed(world, total) + _logged(world, rows) + _balanced(world, total)
    last = newest(want.said for want in wanted)
    if last is None:
        return found + [f"published {row}, and nothing is in force" for row in rows]
    governing = _governing(world, wanted, last)
    before = [_governing(world, wanted, said) for said in _ever(world)]
    labels = sorted(set[str]().union(governing.labels, *(each.labels for each in before)))
    left_out = set[str]().union(*(each.left_out for each in before))
    for key, sums in sorted(total.items()):
        touched = [want.touched[key] for want in wanted if key in want.touched]
        here = all(any(said[i] == last[i] for said in touched) for i in (0, 1))
        for label in labels:
            row = rows.pop((key, label), None)
            if label in governing.labels and (here or label not in left_out):
                found += _row_is(key, label, sums, row, [governing] if here else before)
            # Else it may be as it was when its scope was last among those that are published.
    found += [
        f"published {label} of {key}: {row}, wanted none" for (key, label), row in rows.items()
    ]
    return found


def _ever(world: World) -> list[Said]:
    """All pairs of what was ever said in the logs."""
    said: tuple[set[str], set[str]] = set(), set()
    for p, entries in enumerate(world.history.entries):
        fence = world.store.data.keys.get(partition_keys(PREFIX, p).fence.encode(), {})
        for i, kind in enumerate(("register", "rules")):
            said[i].update(e.data.decode() for e in entries.values() if e.kind == kind)
            if first := fence.get(f"first:{kind}".encode()):
                said[i].add(first.decode())
    return [(register, rules) for register in sorted(said[0]) for rules in sorted(said[1])]


def _row_is(key: Key, label: str, sums: Sums, row: Any, under: list[Governing]) -> list[str]:
    """What is wrong with a slot's row. under: what it may have been published under."""
    cells = [v for c, v in sums.of.items() if of_label(label, *c)]
    wh, n = sum(c[0] for c in cells), sum(c[1] for c in cells)
    may_be = [_row(each, key[1], label, wh, n, 1 + sums.revision) for each in under]
    if any(_fits(row, want, each, key[1]) for want, each in zip(may_be, under, strict=True)):
        return []
    return [f"published {label} of {key}: {row}, wanted {may_be[-1]}"]


def _row(
    governing: Governing, slot: int, label: str, wh: int, n: int, revision: int
) -> list[int] | None:
    homes = governing.homes(label, slot)
    if label not in governing.labels or not (homes or n):
        return None
    final = slot <= governing.passed or governing.covered(n, homes)
    return [1, wh, n, homes, revision, int(final)]


def _fits(row: Any, want: list[int] | None, governing: Governing, slot: int) -> bool:
    if want is None and row:
        # It took the place of a row of a history that is no more, or of what moved away.
        return row[1:3] == [0, 0]
    if row == want:
        return True
    # Final before another partition came, whose time counts.
    return bool(row and want and row[:5] == want[:5] and row[5] and slot <= governing.early)


def _balanced(world: World, total: dict[Key, Sums]) -> list[str]:
    """Beside conservation, which compares counters with counters: of each day and channel the
    readings and Wh of the curves are what the counters accepted, less what was replaced."""
    days: dict[tuple[int, int], list[int]] = {}
    for (channel, slot), sums in total.items():
        of_day = days.setdefault((slot // world.town.per_day, channel), [0, 0])
        for wh, n in sums.of.values():
            of_day[0] += wh
            of_day[1] += n
    found = []
    for (day, channel), curves in sorted(days.items()):
        counted = [0, 0]
        for p in range(world.partitions):
            key = partition_keys(PREFIX, p).audit_day(day, channel).encode()
            held = {k: int(v) for k, v in world.store.data.keys.get(key, {}).items()}
            counted[0] += held.get(b"wh_accepted", 0) - held.get(b"wh_replaced", 0)
            counted[1] += held.get(b"new", 0)
        if counted != curves:
            found.append(f"day {day}, channel {channel}: curves {curves}, counters {counted}")
    return found


def _summed(world: World, total: dict[tuple[int, int], Sums]) -> list[str]:
    """The sums that the partitions hold and those that left them, slot by slot, together."""
    data, summed = world.store.data.keys, dict[tuple[int, int], Sums]()
    held = [
        data.get(partition_keys(PREFIX, p).partials.encode(), {}) for p in range(world.partitions)
    ]
    for day in {slot // world.town.per_day for _, slot in total}:
        rows = data.get(day_keys(PREFIX, day).closed.encode(), {})
        held.append({member: zlib.decompress(row) for member, row in rows.items()})
    for of_slots in held:
        for member, row in of_slots.items():
            cells, revision = sums_in(row, world)
            sums = summed.setdefault(slot_in(member), Sums())
            sums.revision += revision
            for c, (wh, n) in cells.items():
                sums.of[c][0] += wh
                sums.of[c][1] += n
    return [
        f"sums of {key}: {_plain(summed, key)}, wanted {_plain(total, key)}"
        for key in sorted(summed.keys() | total.keys())
        if _plain(summed, key) != _plain(total, key)
    ]


def _logged(world: World, rows: dict[Any, Any]) -> list[str]:
    """The log of slots, replayed, is what is published; no entry says what the last one said."""
    keys, found = log_keys(PREFIX, 0, SLOTS), list[str]()
    stream = world.store.data.keys.get(keys.log.encode())
    replayed, last = dict[Any, Any](), dict[Any, Any]()
    for at, ((number, _), fields) in enumerate(stream.entries if stream else (), 1):
        entry = json.loads(fields[1])
        key = entry["channel"], entry["slot"]
        if number != at:
            found.append(f"entry {at} of the slots has number {number}")
        if last.get(key) == entry["rows"]:
            found.append(f"slot {key} is in the log twice: entry {number} says nothing new")
        last[key] = entry["rows"]
        replayed |= {(key, label): row for label, row in entry["rows"].items()}
    wrong = [key for key in replayed.keys() | rows.keys() if replayed.get(key) != rows.get(key)]
    return found + [
        f"the log of slots ends with {label} of {key}: {replayed.get((key, label))}, published is "
        f"{rows.get((key, label))}"
        for key, label in sorted(wrong)
    ]


def _plain(sums: dict[tuple[int, int], Sums], key: tuple[int, int]) -> Any:
    return sums[key].plain() if key in sums else None


def _rows(world: World) -> dict[Any, Any]:
    """All that is published: ((channel, slot), label) → row."""
    out = {}
    for key, held in world.store.data.keys.items():
        _, curve, name = key.decode().partition(":curve:")
        if curve:
            channel, _, label = name.partition(":")
            for slot, row in held.items():
                out[(int(channel), int(slot)), label] = _parsed(row)
    return out


@lru_cache(maxsize=4096)
def _parsed(row: bytes) -> Any:
    return json.loads(row)
