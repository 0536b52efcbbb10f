"""Does the store hold, in the end, what the log adds up to?"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

from tests.simulation import second
from tests.simulation.oracle import (
    Recomputed,
    Sums,
    Wanted,
    expected,
    is_poison,
    labels,
    local_day,
    of_label,
)
from tests.simulation.town import PARTITIONS, contracts
from tests.simulation.world import PREFIX, World
from wattstorm.store.keys import SLOTS, day_keys, log_keys, partition_keys
from wattstorm.store.log import PRODUCER_LIFETIME_S

UNCOUNTED = ("batches", "dead", "dead_dropped")
"""Counters that say how the work was cut, not what became of readings."""


def wrong(world: World) -> list[str]:
    """What does not hold, a line each."""
    found: list[str] = []
    wanted = [recomputed(world, p, found) for p in range(len(world.history.entries))]
    for p, want in enumerate(wanted):
        found += _partition(world, p, want)
    found += _published(world, wanted)
    return found + _sent(world) + second.wrong(world)


def _sent(world: World) -> list[str]:
    """Blocks stand in the log as their producers sent them: each once, in order; those of a
    process that lives and said nothing of a loss are all there, but for what was shed."""
    found: list[str] = []
    for p, numbers in enumerate(world.history.numbers):
        last: dict[bytes, tuple[int, int]] = {}
        for position, (producer, number) in sorted(numbers.items()):
            before, then_ms = last.get(producer, (0, 0))
            now_ms = world.history.entries[p][position][1]
            # After seven days of silence a producer's number is forgotten, and it begins anew.
            if number <= before and now_ms - then_ms < PRODUCER_LIFETIME_S * 1000:
                found.append(f"p{p}: block {position} is {producer!r}'s {number}, out of order")
            last[producer] = number, now_ms
    senders = [s for of in world.senders.values() if (s := of[-1]).producer is not None]
    shed = sum(s.producer.counts.shed_blocks for s in senders if s.producer)
    for p in range(PARTITIONS):
        head = world.store.data.keys.get(partition_keys(PREFIX, p).head.encode(), {})
        shed += int(head.get(b"shed_blocks", 0))
    logged = [{data for data, _ in entries.values()} for entries in world.history.entries]
    missing = [
        f"p{p}: a block that producer {s.name} sent is not in the log"
        for s in senders
        if not (s.actor.dead or s.lost or s.taken)
        for p, data in s.sent
        if p not in s.strayed and data not in logged[p]
    ]
    return found + (missing if len(missing) > shed else [])


def recomputed(world: World, partition: int, found: list[str]) -> Wanted:
    """The log of one partition, entry by entry."""
    state = Recomputed(partition, world.settings)
    entries = world.history.entries[partition]
    if sorted(entries) != list(range(1, len(entries) + 1)):
        found.append(f"p{partition}: the log's entries are {sorted(entries)}")
        return state.wanted
    floors = world.history.floors[partition]
    if floors and not world.lost_state:
        found.append(f"p{partition}: its memory was given up for lost: {floors}")
    poisoned = _poisoned(world, partition)
    floor_of = _floors(floors, len(entries))
    for position, (data, arrived_ms) in sorted(entries.items()):
        if floor_of[position] != state.floor:
            state.forget(floor_of[position])
        if position in poisoned and not is_poison(data) and world.upsets < world.attempts:
            found.append(f"p{partition}: block {position} is no poison, and was set aside as such")
        if is_poison(data) and position not in poisoned:
            found.append(f"p{partition}: block {position} is poison, and was not set aside")
        state.entry(data, arrived_ms, position in poisoned)
    state.wanted.audit["blocks"] = len(entries)
    return state.wanted


def _floors(known: dict[int, int], tail: int) -> dict[int, int]:
    """Position → floor of the state that applied it."""
    floor_of, floor = {}, -1
    for position in range(1, tail + 1):
        floor = known.get(position - 1, floor)
        floor_of[position] = floor
    return floor_of


def _poisoned(world: World, partition: int) -> set[int]:
    return set(world.history.poisoned[partition])


def _partition(world: World, p: int, want: Wanted) -> list[str]:
    keys, data = partition_keys(PREFIX, p), world.store.data.keys
    held = {_slot(m): _sums(v) for m, v in data.get(keys.partials.encode(), {}).items()}
    wanted = {key: sums.plain() for key, sums in want.sums.items()}
    # Those that are not there must have left for the closed rows: see `_summed`.
    found = [
        f"p{p}: sums of {key}: {sums}, wanted {wanted.get(key)}"
        for key, sums in sorted(held.items())
        if sums != wanted.get(key)
    ]
    for name, key, counts in _counters(world, keys, want):
        got = {k.decode(): int(n) for k, n in data.get(key.encode(), {}).items() if int(n)}
        got = {k: n for k, n in got.items() if k not in UNCOUNTED}
        if got != {k: n for k, n in counts.items() if n}:
            found.append(f"p{p}: counters of {name}: {got}, wanted {dict(counts)}")
    if dirty := data.get(keys.dirty.encode()):
        found.append(f"p{p}: still dirty: {sorted(dirty)}")
    highest = int(data.get(keys.fence.encode(), {}).get(b"highest", -1))
    if highest != want.highest:
        found.append(f"p{p}: highest {highest}, wanted {want.highest}")
    return found


def _counters(world: World, keys: Any, want: Wanted) -> Any:
    yield "all", keys.audit, want.audit
    for (day, channel), counts in want.days.items():
        yield f"day {day}, channel {channel}", keys.audit_day(day, channel), counts
    if world.rules.live:
        return  # eight days pass, and a producer's counters are forgotten after seven
    for name, counts in want.producers.items():
        yield f"producer {name}", keys.audit_producer(name), counts


def _slot(member: bytes) -> tuple[int, int]:
    channel, _, slot = member.partition(b":")
    return int(channel), int(slot)


def _sums(data: bytes) -> Any:
    """The bytes of `SlotSums`, read by hand."""
    _, classes, revision = struct.unpack_from("<IIq", data)
    columns = struct.unpack_from(f"<{2 * classes}q", data, 16)
    # Pairs of tariff and region are numbered as the register's rows first have them.
    seen = dict.fromkeys((c.tariff, c.region) for rows in contracts() for c in rows)
    both = zip(columns[:classes], columns[classes:], strict=True)
    pairs = {pair: sums for pair, sums in zip(seen, both, strict=False) if any(sums)}
    assert not any(columns[len(seen) : classes])
    return pairs, revision


def _published(world: World, wanted: list[Wanted]) -> list[str]:
    stream = world.settings.stream
    deadline = round(stream.deadline_hours * 60 / stream.slot_minutes)
    # Each partition's own time counts; the foremost waits for the others as long as days are open.
    patience = stream.open_days * world.town.per_day
    came = [max(want.marks.values(), default=-1) for want in wanted]
    passed = max(min(came), max(came) - patience) - deadline
    total: dict[tuple[int, int], Sums] = {}
    for want in wanted:
        for key, sums in want.sums.items():
            into = total.setdefault(key, Sums())
            into.revision += sums.revision
            for c, (wh, n) in sums.of.items():
                into.of[c][0] += wh
                into.of[c][1] += n
    rows = _rows(world)
    found = _summed(world, total) + _logged(world, rows)
    for key, sums in sorted(total.items()):
        day = local_day(key[1], stream.slot_minutes, stream.time_zone)
        late = key[1] <= passed
        for label in labels():
            cells = [v for c, v in sums.of.items() if of_label(label, *c)]
            wh, n = sum(c[0] for c in cells), sum(c[1] for c in cells)
            homes = expected(label, day)
            want_row = None
            if homes or n:
                coverage = n / homes if homes else 1.0
                final = late or coverage >= stream.final_coverage
                want_row = [1, wh, n, homes, 1 + sums.revision, int(final)]
            row = rows.pop((key, label), None)
            if want_row is None and row and row[1:3] == [0, 0]:
                continue  # it took the place of a row of a history that is no more
            if row != want_row:
                found.append(f"published {label} of {key}: {row}, wanted {want_row}")
    found += [
        f"published {label} of {key}: {row}, wanted none" for (key, label), row in rows.items()
    ]
    return found


def _summed(world: World, total: dict[tuple[int, int], Sums]) -> list[str]:
    """The sums that the partitions hold and those that left them, slot by slot, together."""
    data, summed = world.store.data.keys, dict[tuple[int, int], Sums]()
    held = [data.get(partition_keys(PREFIX, p).partials.encode(), {}) for p in range(PARTITIONS)]
    for day in {slot // world.town.per_day for _, slot in total}:
        rows = data.get(day_keys(PREFIX, day).closed.encode(), {})
        held.append({member: zlib.decompress(row) for member, row in rows.items()})
    for of_slots in held:
        for member, row in of_slots.items():
            cells, revision = _sums(row)
            sums = summed.setdefault(_slot(member), Sums())
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
                out[(int(channel), int(slot)), label] = json.loads(row)
    return out
