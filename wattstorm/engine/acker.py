"""Storm's acker, as far as one task needs it.

A *root* is what a bolt was given, or what a spout began. It is done when its task has acked it
and every tuple that was anchored to it is done where it went; it has failed as soon as one of
them fails, or the task that it went to is gone. So each task answers to the one that it has a
tuple from, and nobody in the middle counts for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wattstorm.errors import EngineError


@dataclass(frozen=True, slots=True)
class _Sent:
    """A tuple on its way: the task that has it, and the roots that wait for it."""

    target: str
    roots: frozenset[str]


@dataclass
class Tracker:
    """What task `name` holds, and what it waits for."""

    name: str
    done: Callable[[str, bool], None]
    """Called with a root and True (acked) or False (failed), once."""
    held: set[str] = field(default_factory=set)
    """Tuples that the component has and has neither acked nor failed."""
    open: dict[str, int] = field(default_factory=dict)
    """root → what it still waits for: the component's own ack, tuples on their way."""
    sent: dict[str, _Sent] = field(default_factory=dict)

    def given(self, identity: str, *, root: bool) -> None:
        """A tuple for the component; root: somebody waits for what becomes of it."""
        self.held.add(identity)
        if root:
            self.open[identity] = 1

    def begun(self, root: str) -> None:
        """A spout begins a tuple; it is sent next."""
        self.open[root] = 0

    def roots_of(self, anchors: Iterable[str]) -> frozenset[str]:
        """Those of the anchors that anybody still waits for."""
        return frozenset(a for a in anchors if self._held(a, "anchored an emit on") in self.open)

    def went(self, identity: str, target: str, roots: frozenset[str]) -> None:
        """A tuple that roots wait for is on its way."""
        self.sent[identity] = _Sent(target, roots)
        for root in roots:
            self.open[root] += 1

    def finish(self, identity: str, *, acked: bool) -> None:
        """The component acked or failed what it was given."""
        self.held.remove(self._held(identity, "acked" if acked else "failed"))
        self._settle(identity, acked)

    def answered(self, identity: str, *, acked: bool) -> None:
        """What became of a tuple where it went."""
        found = self.sent.pop(identity, None)
        for root in found.roots if found else ():
            self._settle(root, acked)

    def lost(self, target: str) -> None:
        """The task that had them is gone: whatever it has not answered failed."""
        for identity in [i for i, sent in self.sent.items() if sent.target == target]:
            self.answered(identity, acked=False)

    def _settle(self, root: str, acked: bool) -> None:
        if root not in self.open:
            return  # failed before, or nobody waits
        self.open[root] -= 1
        if not acked or not self.open[root]:
            del self.open[root]
            self.done(root, acked)

    def _held(self, identity: str, did: str) -> str:
        if identity not in self.held:
            raise EngineError(
                f"{self.name} {did} tuple {identity}, which it does not hold",
                "on Storm this ends the worker: ack or fail each tuple once, after its emits",
            )
        return identity
