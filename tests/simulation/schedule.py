"""One schedule from its first step to the verdict."""

from __future__ import annotations

import functools
import traceback
from dataclasses import dataclass, field
from typing import Any

from tests.simulation import cast, keeper, second
from tests.simulation.plan import Plan
from tests.simulation.stage import Stage
from tests.simulation.verdict import wrong
from tests.simulation.world import World, directory

ROUNDS = 150
_PAUSES = (0.05, 0.2, 1.0, 1.1, 3.0)


@dataclass
class Outcome:
    """wrong: what did not hold, a line each; trace: what happened; held: all that the store
    held in the end."""

    wrong: list[str]
    trace: list[str]
    held: dict[bytes, Any] = field(repr=False, compare=False)


def run(plan: Plan, *, tracing: bool = False) -> Outcome:
    """Run it; `set_up` must be in force."""
    with directory() as where:
        world = World(plan.rules, where, tracing=tracing)
        try:
            return Outcome(_whole(world, plan), world.trace, world.store.data.keys)
        except Exception:
            what = ["the simulation failed", *traceback.format_exc().splitlines()]
            return Outcome(what, world.trace, {})
        finally:
            world.close()


def _whole(world: World, plan: Plan) -> list[str]:
    for step in plan.steps:
        world.step(step)
        if world.hub.crashes:
            return world.hub.crashes
    found = end(world, plan)
    return world.hub.crashes or found or wrong(world)


def end(world: World, plan: Plan) -> list[str]:
    """All that befell is over; who sleeps wakes up or is dead; then everything must flow off."""
    world.say("the end: everything is up again, and at home")
    world.come_home()
    world.store.up, world.store.refuses, world.disk.full = True, "", False
    choice = plan.rules.town
    for actor in world.sleepers():
        choice >>= 1
        if choice & 1 and actor.asleep_until is None:
            actor.die()
    while world.store.late:
        choice >>= 1
        if choice & 1:
            world.store.late.pop(0)()
        else:
            world.store.late.pop(0)
    world.queue.clear()
    for senders in world.senders.values():
        if senders[-1].actor.dead:
            senders.append(senders[-1].successor(world, 1))
        senders[-1].letters = senders[-1].letters + world.last_words(senders[-1].name)
    if world.spout[0].dead:
        world.new_spout()
    if world.rules.town % 2 or len(world.tasks) > 1 or world.idle_task() is None:
        # Of two tasks that live, the one born earlier may not take from the other.
        world.new_task()
    world.new_publisher()
    second.begin_end(world)
    keeper.say_all(world)
    for n in range(ROUNDS):
        _round(world, n)
        if world.hub.crashes:
            return world.hub.crashes
        if world.at_rest():
            for _ in range(2):
                publish(world)
            if world.at_rest():
                return []
    return [f"stuck: {world.what_waits()}"]


def _round(world: World, n: int) -> None:
    Stage.now += _PAUSES[n % len(_PAUSES)]
    for senders in world.senders.values():
        for sender in senders:
            if sender.actor.dead:
                continue
            if not sender.actor.busy:
                if sender is senders[-1]:
                    rest = len(sender.letters) - sender.at
                    sender.send(rest if n or not world.rules.chain else rest // 2)
            elif sender.actor.asleep_until is None or sender.actor.asleep_until <= Stage.now:
                sender.actor.go_on()
    keeper.say_more(world, n)
    world.follow_the_clock()
    for actor in world.sleepers():
        if actor.asleep_until is None:
            actor.go_on()
    world.poll()
    task_actor, task = world.idle_task()
    while world.queue:
        owner, values, number = world.queue.popleft()
        answer = functools.partial(world.answer, owner, number)
        world.give((task_actor, task), values, None, answer)
    task_actor.run(lambda: cast.give(task, tick=True))
    second.follow_all(world)
    if n % 2:
        publish(world)


def publish(world: World) -> None:
    actor, publisher = world.publishers[-1]
    actor.run(lambda: cast.give(publisher, tick=True))
