"""A seed → what happens: the rules of a world, and its steps in order.

A step says in full what it does, so that the others may be left out: see `shrink`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tests.simulation.actors import Incident
from tests.simulation.registers import CHAINS

Weighted = dict[str, int]
COMMANDS: Weighted = {
    "commit": 60,
    "fetch": 5,
    "acquire": 4,
    "try_block": 6,
    "ask": 6,
    "renew": 3,
    "trim": 4,
    "birth": 1,
    "confirm": 6,
    "replay_failed": 1,
}
STEPS: Weighted = {
    **COMMANDS,
    "commit": 20,
    "restored": 3,
    "replay": 4,
    "apply": 8,
    "keep": 8,
    "announce": 4,
    "write": 4,
    "sync": 6,
    "rename": 6,
}
SAVING: Weighted = {"write": 4, "sync": 8, "rename": 8, "confirm": 8, "trim": 8}
PUBLISHING: Weighted = {"dirty": 1, "read_partials": 4, "write_results": 8, "provisional": 2}
SAYING: Weighted = {"append_control": 12, "said": 3, "write_card": 4, "hgetall": 1, "recount": 1}
REPLAYING: Weighted = {"replay_letter": 12, "append_control": 2, "letters": 1, "fetch": 2}
SENDING: Weighted = {"claim": 2, "append": 10, "last_numbers": 1}
FATES: Weighted = {
    "lost": 20,
    "done": 25,
    "late": 20,
    "reset": 8,
    "OOM": 12,
    "READONLY": 8,
    "MISCONF": 4,
    "NOREPLICAS": 3,
}
"""What may become of one command."""
MISHAPS: Weighted = {"pause": 45, "die": 25, "crash": 22, "blackout": 8}
"""What may happen at any point."""


class Step(NamedTuple):
    """`which`: a number that picks among what there is; `incident`: what befalls the work."""

    name: str
    which: int = 0
    size: float = 0.0
    dt: float = 0.0
    incident: Incident | None = None

    def __str__(self) -> str:
        text = f"+{self.dt:.2f} s  {self.name} {self.which} {self.size:.2f}"
        return f"{text}  [{self.incident}]" if self.incident else text


@dataclass(frozen=True)
class Rules:
    """What a world is like. backlog: bytes that may wait in a partition's log; second: whether a
    second consumer reads it, and "holds" it or is "free"; chain: how the register grows (see
    `registers.chain`), 0: neither it nor the rules change."""

    town: int
    blocks: int
    minutes: int
    zone: str
    product: str
    live: bool
    backlog: int
    second: str
    chain: int
    options: tuple[tuple[str, Any], ...]


class Plan(NamedTuple):
    rules: Rules
    steps: tuple[Step, ...]


def plan(seed: int) -> Plan:
    """The schedule of this number."""
    rng = random.Random(f"schedule {seed}")
    steps = tuple(_step(rng) for _ in range(rng.choice((8, 16, 30, 50))))
    options = {
        "stream.open_days": rng.choice((1, 1, 2, 3)),
        "snapshot.every_s": rng.choice((0.3, 1.0, 3.0, 60.0)),
        "batch.max_blocks": rng.choice((1, 3, 16, 16)),
        "batch.pending": rng.choice((1, 2, 4)),
        "batch.attempts": rng.choice((2, 3, 5)),
        "dead_letters.keep": rng.choice((0, 3, 10_000)),
        "results.expire_days": rng.choice((0, 400)),
        "results.publish_ms": rng.choice((1, 100)),
        "log.when_full": rng.choice(("block", "block", "shed")),
        "stream.deadline_hours": rng.choice((6.0, 24.0)),
    }
    rules = Rules(
        town=rng.randrange(1 << 30),
        blocks=rng.choice((5, 9, 14)),
        minutes=rng.choice((30, 60)),
        zone=rng.choice(
            ("Europe/Paris", "Europe/Paris", "UTC", "America/New_York", "Australia/Sydney")
        ),
        product=rng.choice(("redis7", "redis8", "valkey")),
        live=rng.random() < 0.5,
        backlog=rng.choice((700, 2_500, 1 << 20)),
        second=rng.choice(("", "", "", "holds", "holds", "free")),
        chain=0,
        options=tuple(options.items()),
    )
    return _with_changes(Plan(rules, steps), random.Random(f"changes {seed}"))


def _with_changes(plan: Plan, rng: random.Random) -> Plan:
    """Half of the schedules are told of register versions and rules, between their other steps."""
    if rng.random() < 0.5:
        return plan
    steps = list[Step]()
    for step in plan.steps:
        if rng.random() < 0.15:
            steps.append(_step(rng, CHANGES))
        steps.append(step)
    steps.insert(rng.randrange(len(steps)), _step(rng, CHANGES))
    return Plan(replace(plan.rules, chain=rng.randrange(1, CHAINS + 1)), tuple(steps))


Kinds = tuple[tuple[str, int, Weighted, Weighted], ...]
KINDS: Kinds = (
    # name, how often, commands that may be disturbed, points at which more may happen
    ("send", 17, SENDING, SENDING),
    ("poll", 8, {"ask": 1}, {"ask": 1}),
    ("deliver", 26, COMMANDS, STEPS),
    ("batch", 10, COMMANDS, STEPS),
    ("second", 8, COMMANDS, STEPS),
    ("tick", 8, {"confirm": 2, "trim": 2}, SAVING),
    ("publish", 8, PUBLISHING, PUBLISHING),
    ("wake", 9, COMMANDS, STEPS | PUBLISHING),
    ("clock", 3, {}, {}),
    ("new task", 3, {}, {}),
    ("new publisher", 1, {}, {}),
    ("new producer", 1, {}, {}),
    ("new spout", 1, {}, {}),
    ("crash", 2, {}, {}),
    ("blackout", 1, {}, {}),
    ("restart", 1, {}, {}),
    ("refuse", 1, {}, {}),
    ("calm", 3, {}, {}),
    ("late", 4, {}, {}),
    ("sync", 2, {}, {}),
    ("backup", 1, {}, {}),
    ("restore", 1, {}, {}),
    ("disk", 2, {}, {}),
    ("store clock", 1, {}, {}),
    ("elsewhere", 3, {}, {}),
)
CHANGES: Kinds = (
    ("register", 6, SAYING, SAYING),
    ("rules", 4, SAYING, SAYING),
    ("replay", 4, REPLAYING, REPLAYING),
)


def _step(rng: random.Random, kinds: Kinds = KINDS) -> Step:
    name, _, commands, points = rng.choices(kinds, [often for _, often, *_ in kinds])[0]
    incident = None
    if points and rng.random() < 0.55:
        incident = _incident(rng, commands, points)
    dt = rng.choice((0.0, 0.01, 0.05, 0.1, 0.3, 0.3, 1.0))
    return Step(name, rng.randrange(1 << 16), rng.random(), dt, incident)


def _incident(rng: random.Random, commands: Weighted, points: Weighted) -> Incident:
    if rng.random() < 0.55:
        return Incident(f"before {_one(rng, commands)}", _one(rng, FATES), rng.random())
    if rng.random() < (0.6 if points in (SAYING, REPLAYING) else 0.2):
        at = f"#{rng.randrange(1, 20)}"
    else:
        at = f"{rng.choice(('before', 'after'))} {_one(rng, points)}"
    return Incident(at, _one(rng, MISHAPS), rng.random())


def _one(rng: random.Random, weighted: Weighted) -> str:
    return rng.choices(list(weighted), list(weighted.values()))[0]
