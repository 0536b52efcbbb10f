"""A second consumer of the readings beside the sums: the toy of tests/stream/peaks.py.

It holds the log, or does not; it dies, sleeps, is taken over and loses its answers like any
other, and the sums must neither wait for it for ever nor change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.simulation import cast
from tests.simulation.actors import Actor, Incident
from tests.simulation.entries import decoded
from tests.stream.peaks import PEAKS, POISON_WH, Peaks
from wattstorm.store.keys import READINGS, partition_keys
from wattstorm.store.log import Log
from wattstorm.stream.consumer import AS_LONG_AS_NEEDED

if TYPE_CHECKING:
    from tests.simulation.world import World

Second = tuple[Actor, cast.Steps]


def new_second(world: World) -> Second:
    actor, made = world.actor("second"), list[cast.Steps]()
    hold = AS_LONG_AS_NEEDED if world.rules.second == "holds" else 0

    def make() -> None:
        connection = world.connection()
        consumer = cast.Steps(
            Log(connection, world.settings.store.prefix),
            PEAKS,
            lambda partition, scalars: Peaks(partition),
            settings=world.settings,
            connection=connection,
            partitions=world.partitions,
            hold=hold,
            logger=cast.SILENT,
        )
        consumer.applies = lambda own: None
        made.append(consumer)

    actor.run(make)
    world.seconds.append((actor, made[0]))
    return world.seconds[-1]


def follow(world: World, second: Second, partition: int, incident: Incident | None = None) -> None:
    actor, consumer = second

    def work() -> None:
        consumer.follow(partition)
        consumer.tick()

    actor.run(work, incident)


def begin_end(world: World) -> None:
    """Of two that live, or one that was born elsewhere, the older may not take from the newer."""
    if world.rules.second and (len(world.seconds) > 1 or world.visits):
        new_second(world)


def follow_all(world: World) -> None:
    """At the end: one that lives takes all there is."""
    if not world.rules.second:
        return
    idle = [one for one in world.seconds if not one[0].busy and not one[0].dead]
    second = idle[-1] if idle else new_second(world)
    for partition in range(world.partitions):
        if not second[0].busy:
            follow(world, second, partition)


def waits(world: World) -> list[int]:
    """Partitions whose log it has not passed."""
    if not world.rules.second:
        return []
    fences = [_held(world, _keys(p).fence).get(b"position", 0) for p in range(world.partitions)]
    return [p for p, fence in enumerate(fences) if int(fence) != world.history.tail(p)]


def wrong(world: World) -> list[str]:
    """It passed each entry once; and where it could lose nothing, its peaks are the log's."""
    if not world.rules.second:
        return []
    found = [f"p{p}: the second consumer is not at the log's end" for p in waits(world)]
    for p, entries in enumerate(world.history.entries):
        counted = {k.decode(): int(n) for k, n in _held(world, _keys(p).own + ":audit").items()}
        passed = sum(counted.get(name, 0) for name in ("entries", "refused", "lost_entries"))
        if passed != len(entries):
            found.append(f"p{p}: the second consumer counts {counted}, of {len(entries)}")
        late = "lost_entries" in counted  # it began behind what was trimmed already
        if world.rules.second != "holds" or world.lost_state or late:
            continue
        peaks = {int(m): int(wh) for m, wh in _held(world, f"{_keys(p).own}:{PEAKS}").items()}
        if peaks != (wanted := _peaks(e.data for e in entries.values())):
            found.append(f"p{p}: peaks {peaks}, wanted {wanted}")
    return found


def _peaks(entries: Any) -> dict[int, int]:
    peaks: dict[int, int] = {}
    for data in entries:
        block = decoded(data)
        if block is None:
            continue
        columns = block.columns
        if (columns.wh == POISON_WH).all():
            continue  # the toy cannot bear it
        for meter, wh in zip(columns.meter.tolist(), columns.wh.tolist(), strict=True):
            peaks[meter] = max(wh, peaks.get(meter, wh))
    return peaks


def _keys(partition: int) -> Any:
    from tests.simulation.world import PREFIX

    return partition_keys(PREFIX, partition, READINGS, PEAKS)


def _held(world: World, key: str) -> dict[bytes, bytes]:
    return world.store.data.keys.get(key.encode()) or {}
