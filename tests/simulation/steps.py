"""What each step of a plan lets happen in a world."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.simulation import cast, keeper
from tests.simulation import second as seconds
from tests.simulation.plan import Step
from tests.simulation.stage import Stage
from tests.simulation.store import REFUSALS

if TYPE_CHECKING:
    from tests.simulation.world import World


def send(world: World, step: Step) -> None:
    senders = world.senders["ab"[step.which % 2]]
    sender = senders[-1]
    if sender.actor.dead:
        senders.append(sender := sender.successor(world, step.which >> 1))
    if sender.actor.busy:
        return
    sender.send(1 + int(step.size * 4), step.incident)
    world.follow_the_clock()


def poll(world: World, step: Step) -> None:
    actor = world.spout[0]
    if actor.dead:
        world.new_spout()
    elif not actor.busy:
        world.poll(step.incident)


def deliver(world: World, step: Step) -> None:
    if not world.queue:
        poll(world, step._replace(incident=None))
    if not world.queue:
        return
    at = 0 if step.size < 0.9 else step.which % len(world.queue)
    spout, values, number = world.queue[at]
    del world.queue[at]
    if chosen := world.task_for(step):
        world.give(chosen, values, step.incident, functools.partial(world.answer, spout, number))


def batch(world: World, step: Step) -> None:
    """A batch that overlaps others, as an older attempt's does."""
    p = step.which % world.partitions
    fence, tail = world.history.fence(p), world.history.tail(p)
    first = max(1, fence + 1 + (step.which >> 4) % 6 - 3)
    last = min(tail, first + (step.which >> 8) % 6)
    if first <= last and (chosen := world.task_for(step)):
        world.give(chosen, (p, first, last, 1 + step.which % 9), step.incident)


def second(world: World, step: Step) -> None:
    """The other consumer, where there is one, looks for what is new."""
    if not world.rules.second:
        return
    chosen = world.free(world.seconds, step)
    if chosen is None or step.size < 0.05:
        chosen = seconds.new_second(world)
    seconds.follow(world, chosen, step.which % world.partitions, step.incident)


def tick(world: World, step: Step) -> None:
    if chosen := world.free(world.tasks, step):
        chosen[0].run(functools.partial(cast.give, chosen[1], tick=True), step.incident)


def publish(world: World, step: Step) -> None:
    chosen = world.free(world.publishers, step)
    if chosen is None:
        world.new_publisher()
        chosen = world.publishers[-1]
    if world.told and step.which % 3:
        work = functools.partial(cast.give, chosen[1], world.told.popleft(), 0)
    else:
        work = functools.partial(cast.give, chosen[1], tick=True)
    chosen[0].run(work, step.incident)


def wake(world: World, step: Step) -> None:
    if sleepers := world.sleepers():
        actor = sleepers[step.which % len(sleepers)]
        world.say(f"    {actor.name} wakes up, {actor.where}")
        actor.go_on(step.incident)


def clock(world: World, step: Step) -> None:
    Stage.now += 8 * step.size


def new_task(world: World, step: Step) -> None:
    world.new_task()


def new_publisher(world: World, step: Step) -> None:
    world.new_publisher()


def new_spout(world: World, step: Step) -> None:
    if not world.spout[0].busy:
        world.new_spout()


def new_producer(world: World, step: Step) -> None:
    senders = world.senders["ab"[step.which % 2]]
    senders.append(senders[-1].successor(world, step.which >> 1))


def crash(world: World, step: Step) -> None:
    world.crash(step.size)


def blackout(world: World, step: Step) -> None:
    world.blackout(step.size)


def restart(world: World, step: Step) -> None:
    world.store.restart()


def refuse(world: World, step: Step) -> None:
    world.store.refuses = list(REFUSALS)[step.which % len(REFUSALS)]


def calm(world: World, step: Step) -> None:
    world.store.refuses, world.disk.full = "", False


def late(world: World, step: Step) -> None:
    world.store.carry_out_late(step.which)


def sync(world: World, step: Step) -> None:
    world.store.sync()


def backup(world: World, step: Step) -> None:
    if world.away is None:
        world.backups.append((world.store.backup(), world.history.copy()))


def restore(world: World, step: Step) -> None:
    if world.backups and world.away is None:
        data, history = world.backups[step.which % len(world.backups)]
        world.store.restore(data)
        world.history.restore(history)
        world.lost_state = True


def disk(world: World, step: Step) -> None:
    if step.size < 0.1:
        world.disk.lose()
        world.lost_state = True
    else:
        world.disk.full = not world.disk.full


def store_clock(world: World, step: Step) -> None:
    world.store.offset_us += int((step.size - 0.6) * 2e9)


def elsewhere(world: World, step: Step) -> None:
    """For a while the address leads to another, empty store, and everything goes on there; then
    it leads home again, or to a backup that was put in its place."""
    if world.away is None:
        world.go_elsewhere()
    else:
        world.come_home()
        if step.size < 0.3:
            restore(world, step)


DO: dict[str, Callable[[World, Step], None]] = {
    "send": send,
    "poll": poll,
    "deliver": deliver,
    "batch": batch,
    "second": second,
    "tick": tick,
    "publish": publish,
    "wake": wake,
    "clock": clock,
    "new task": new_task,
    "new publisher": new_publisher,
    "new spout": new_spout,
    "new producer": new_producer,
    "crash": crash,
    "blackout": blackout,
    "restart": restart,
    "refuse": refuse,
    "calm": calm,
    "late": late,
    "sync": sync,
    "backup": backup,
    "restore": restore,
    "disk": disk,
    "store clock": store_clock,
    "elsewhere": elsewhere,
    "register": keeper.register,
    "rules": keeper.rules,
    "replay": keeper.replay,
}
