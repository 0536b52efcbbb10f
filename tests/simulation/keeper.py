"""Who changes what is in force while the stream runs, and sends again what was refused.

Each of them is a process of its own, which may die half way, be repeated by another, or sleep and
say what it had to say much later:

    register    `wattstorm register build`: a version more, said to the stream
    rules       the start of an engine with other settings
    replay      `wattstorm dead replay`
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.simulation.actors import Incident
from tests.simulation.plan import Step
from wattstorm.engine.watch import Watch
from wattstorm.errors import StoreError, UsageError
from wattstorm.ingest.replay import replay as send_again

if TYPE_CHECKING:
    from tests.simulation.world import World

PATIENCE = 3
"""How often a replay asks a full log until it gives up."""
RULES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("power_margin", (0.25, 0.5, 1.2, 2.0)),
    ("future_minutes", (0, 15, 120)),
    ("open_days", (1, 2, 3, 5)),
    ("deadline_hours", (1.0, 6.0, 24.0)),
    ("scopes", (("nation", "tariff", "region"), ("nation", "region"), ("nation",))),
    ("final_coverage", (0.99, 0.5)),
)


def register(world: World, step: Step) -> None:
    """Build a version, or say again what another keeper may have said in part."""
    if step.size < 0.8:
        world.build(world.built + 1)
    if step.which % 5:  # else its files reach the stream's machines later than its entry
        world.copy_versions()
    _run(world, step.incident, lambda watch: watch.extend())


def rules(world: World, step: Step) -> None:
    rng = random.Random(step.which)
    changed = {name: rng.choice(values) for name, values in RULES if rng.random() < 0.4}
    stream = replace(world.settings.stream, **changed)
    world.settings = replace(world.settings, stream=stream)
    _run(world, step.incident, lambda watch: watch.introduce())


def replay(world: World, step: Step) -> None:
    _replay(world, "unknown_meter" if step.size < 0.5 else None, step.incident)


def _replay(world: World, reason: str | None, incident: Incident | None) -> None:
    log = replace(world.settings.log, backlog_mb=64)
    settings, asked = replace(world.settings, log=log), []

    def work(watch: Watch) -> None:
        if watch.results.meta():
            watch.extend()
        send_again(
            watch.connection,
            settings,
            watch.register,
            reason,
            lambda: asked.append(0) or len(asked) > PATIENCE,  # type: ignore[func-returns-value]
        )

    _run(world, incident, work)


def say_all(world: World) -> None:
    """At the end: what was built is everywhere, and whatever was said in part is said whole."""
    if world.rules.chain:
        world.copy_versions()
        _run(world, None, lambda watch: (watch.extend(), watch.introduce()))
        if world.rules.town & 1024:
            _replay(world, "unknown_meter", None)


def say_more(world: World, n: int) -> None:
    """In round n of the end: something changes while what is left is sent."""
    if n == 1:
        world.copy_versions()
    elif n == 0 and world.rules.chain:
        number = world.rules.town >> 4
        (rules if number % 4 == 0 else register)(world, Step("", number, 0.5))


def _run(world: World, incident: Incident | None, work: Callable[[Watch], Any]) -> None:
    """In a process of its own, with the settings and the register of this moment."""
    keeper = world.actor("keeper")
    world.keepers.append(keeper)
    settings, newest = world.settings, world.newest.register

    def run() -> None:
        # The store is away, or knows a newer version than this process does.
        with suppress(StoreError, UsageError):
            work(Watch(world.connection(), settings, newest))

    keeper.run(run, incident)
