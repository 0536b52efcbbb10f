"""Does the store hold, in the end, what the log adds up to?"""

from __future__ import annotations

from typing import Any

from tests.simulation import second
from tests.simulation.entries import is_poison
from tests.simulation.oracle import Recomputed, Said, Wanted
from tests.simulation.published import published, slot_in, sums_in
from tests.simulation.world import PREFIX, World
from wattstorm.store.keys import partition_keys
from wattstorm.store.log import PRODUCER_LIFETIME_S

UNCOUNTED = ("batches", "dead", "dead_dropped")
"""Counters that say how the work was cut, not what became of readings."""


def wrong(world: World) -> list[str]:
    """What does not hold, a line each."""
    found: list[str] = []
    wanted = [recomputed(world, p, found) for p in range(len(world.history.entries))]
    for p, want in enumerate(wanted):
        found += _partition(world, p, want)
    found += published(world, wanted)
    return found + _sent(world) + second.wrong(world)


def _sent(world: World) -> list[str]:
    """Blocks stand in the log as their producers sent them: each once, in order; those of a
    process that lives and said nothing of a loss are all there, but for what was shed."""
    found: list[str] = []
    for p, numbers in enumerate(world.history.numbers):
        last: dict[bytes, tuple[int, int]] = {}
        for position, (producer, number) in sorted(numbers.items()):
            before, then_ms = last.get(producer, (0, 0))
            now_ms = world.history.entries[p][position].arrived
            # After seven days of silence a producer's number is forgotten, and it begins anew.
            if number <= before and now_ms - then_ms < PRODUCER_LIFETIME_S * 1000:
                found.append(f"p{p}: block {position} is {producer!r}'s {number}, out of order")
            last[producer] = number, now_ms
    senders = [s for of in world.senders.values() if (s := of[-1]).producer is not None]
    shed = sum(s.producer.counts.shed_blocks for s in senders if s.producer)
    for p in range(world.partitions):
        head = world.store.data.keys.get(partition_keys(PREFIX, p).head.encode(), {})
        shed += int(head.get(b"shed_blocks", 0))
    logged = [{entry.data for entry in entries.values()} for entries in world.history.entries]
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
    entries = world.history.entries[partition]
    fence = world.store.data.keys.get(partition_keys(PREFIX, partition).fence.encode(), {})
    first = _said(fence, "first:")
    if not all(first):  # nobody has had it yet
        if entries:
            found.append(f"p{partition}: {len(entries)} entries, and nothing is in force")
        return Wanted()
    state = Recomputed(partition, first, world.chain)
    if sorted(entries) != list(range(1, len(entries) + 1)):
        found.append(f"p{partition}: the log's entries are {sorted(entries)}")
        return state.wanted
    floors = world.history.floors[partition]
    if floors and not world.lost_state:
        found.append(f"p{partition}: its memory was given up for lost: {floors}")
    poisoned = _poisoned(world, partition)
    floor_of = _floors(floors, len(entries))
    for position, (kind, data, arrived_ms, _) in sorted(entries.items()):
        if floor_of[position] != state.floor:
            state.forget(floor_of[position])
        if position in poisoned and not is_poison(data) and world.upsets < world.attempts:
            found.append(f"p{partition}: block {position} is no poison, and was set aside as such")
        if is_poison(data) and position not in poisoned:
            found.append(f"p{partition}: block {position} is poison, and was not set aside")
        state.entry(kind, data, arrived_ms, position in poisoned)
    if _said(fence) != state.wanted.said:
        found.append(f"p{partition}: {_said(fence)} in force, wanted {state.wanted.said}")
    return state.wanted


def _said(fence: Any, prefix: str = "") -> Said:
    names = (f"{prefix}register", f"{prefix}rules")
    register, rules = (fence.get(name.encode(), b"").decode() for name in names)
    return register, rules


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
    partials = data.get(keys.partials.encode(), {})
    held = {slot_in(m): sums_in(v, world) for m, v in partials.items()}
    wanted = {key: sums.plain() for key, sums in want.sums.items()}
    # Those that are not there must have left for the closed rows: see `published`.
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
