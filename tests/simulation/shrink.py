"""A schedule that fails → one of fewer steps that still fails, in the same way."""

from __future__ import annotations

from collections.abc import Callable

from tests.simulation.plan import Plan, Step
from tests.simulation.schedule import run

Fails = Callable[[Plan], str]


def kind_of(plan: Plan) -> str:
    """How a plan fails, roughly; '' if it does not. What is shrunk must stay the same kind."""
    wrong = run(plan).wrong
    if not wrong:
        return ""
    first = wrong[0].split("\n")
    return first[-2].strip()[:40] if len(first) > 2 else first[0].split(":")[0][:12].rstrip("012 ")


def shrink(plan: Plan, fails: Fails = kind_of, budget: int = 400) -> Plan:
    """Leaves out halves, quarters … single steps, then incidents, as long as it fails the same way.

    budget: schedules that may be run for it.
    """
    kind = fails(plan)
    left = [budget]

    def still(steps: list[Step]) -> bool:
        left[0] -= 1
        return left[0] >= 0 and fails(plan._replace(steps=tuple(steps))) == kind

    steps = list(plan.steps)
    size = max(1, len(steps) // 2)
    while left[0] > 0:
        shorter = _without(steps, size, still)
        if size == 1 and len(shorter) == len(steps):
            break
        steps, size = shorter, max(1, size // 2)
    for at, step in enumerate(steps):
        if step.incident and still(
            [*steps[:at], calm := step._replace(incident=None), *steps[at + 1 :]]
        ):
            steps[at] = calm
    return plan._replace(steps=tuple(steps))


def _without(steps: list[Step], size: int, still: Callable[[list[Step]], bool]) -> list[Step]:
    """The steps less each stretch of this size that may be left out, from the back."""
    at = len(steps)
    while at > 0:
        at = max(0, at - size)
        shorter = steps[:at] + steps[at + size :]
        if still(shorter):
            steps = shorter
    return steps
